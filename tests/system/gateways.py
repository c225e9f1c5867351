"""Gateways as processes, signed requests, and what lies in the raw topics."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aftersend.engine import admin, changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.errors import KafkaUnusableError
from aftersend.sandbox.embedded import EmbeddedKafka
from aftersend.sandbox.embedded.guard import Guard
from aftersend.sandbox.embedded.ports import pick_free
from tests.paths import ROOT
from tests.patience import PATIENCE
from tests.system.chaos.installation import Installation


class Signer:
    """Signs as SendGrid does, with a key of its own."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        #: As SendGrid shows it.
        self.secret = base64.b64encode(public).decode()

    def headers(self, body: bytes, at: float | None = None) -> dict[str, str]:
        """Return the headers of a signed request."""
        timestamp = str(int(time.time() if at is None else at))
        signature = self._key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
        return {
            "Content-Type": "application/json",
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        }


class GatewayProcess:
    """One `aftersend gateway`.

    Args:
        installation: whose topics it writes.
        arguments: of the command.
        settings: of the gateway, by name.
    """

    def __init__(self, installation: Installation, *arguments: str, **settings: Any) -> None:
        self.port, self.admin_port, second = pick_free(3)
        # Of several processes the second one has the next port.
        self.admin_port = min(self.admin_port, second)
        chosen = {"gateway_port": self.port, "gateway_admin_port": self.admin_port, **settings}
        self._environment = installation.environment(**chosen)
        self._arguments = arguments
        self.log_path = installation.folder / f"gateway-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Start it; return when it is ready."""
        self._guard = Guard()
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - gone in a moment
                [sys.executable, "-m", "aftersend.cli.main", "gateway", *self._arguments],
                cwd=ROOT,
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guard.watch(self._process.pid)
        deadline = time.monotonic() + PATIENCE
        async with aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(f"http://127.0.0.1:{self.admin_port}/ready") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass  # not there yet; the deadline is what ends this
                if time.monotonic() > deadline or not self.running:
                    self._leave()
                    raise TimeoutError(f"the gateway is not ready; its log ends with:\n{self.log()[-3000:]}")
                await asyncio.sleep(0.05)

    def terminate(self) -> None:
        """Ask for an orderly end."""
        os.kill(self.pid, signal.SIGTERM)

    async def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for its end; return the exit code."""
        assert self._process is not None
        deadline = time.monotonic() + timeout
        while self._process.poll() is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the gateway has not ended; its log ends with:\n{self.log()[-3000:]}")
            await asyncio.sleep(0.05)
        return int(self._process.returncode)

    def close(self) -> None:
        """Kill it, if it is there."""
        self._leave()

    def _leave(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._guard is not None:
            self._guard.release()
            self._guard = None

    def log(self) -> str:
        """Return all that it has logged."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def resident_bytes(self) -> int:
        """Return how much memory it has."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise ValueError("no such line")


async def raw_records(installation: Installation, source: str) -> list[FetchedRecord]:
    """Return all records of a source's raw topic."""
    topic = installation.topics.raw(source)
    found: list[FetchedRecord] = []
    await changelog.read(
        installation.settings.kafka_options(),
        {(topic, partition): None for partition in range(installation.settings.partitions)},
        lambda _topic, _partition, records: found.extend(records),
    )
    return found


async def raw_bodies(installation: Installation, source: str) -> list[bytes]:
    """Return the values of all records of a source's raw topic, sorted."""
    return sorted(record.value or b"" for record in await raw_records(installation, source))


async def thaw(kafka: EmbeddedKafka) -> None:
    """Let a broker go on that may be frozen; return when it is a member of its own cluster again."""
    kafka.resume()
    deadline = time.monotonic() + PATIENCE
    in_a_row = 0
    # It may answer a first time before it notices that its session is over.
    while in_a_row < 5:
        try:
            await admin.inspect({"bootstrap_servers": [kafka.bootstrap]})
            in_a_row += 1
        except KafkaUnusableError:
            if time.monotonic() > deadline:
                raise
            in_a_row = 0
        await asyncio.sleep(0.1)


async def talk(port: int, *parts: bytes, pause: float = 0.0, timeout: float = PATIENCE) -> bytes:
    """Send bytes on a connection of their own, with pauses between; return what comes until the end or the timeout."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heard = b""
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        async with asyncio.timeout(timeout):
            while chunk := await reader.read(65536):
                heard += chunk
    except (ConnectionError, TimeoutError):
        pass  # what was heard so far is the answer
    finally:
        writer.close()
    return heard
