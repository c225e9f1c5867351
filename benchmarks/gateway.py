"""What a webhook costs the gateway: signed POSTs, each answered once Kafka has it.

    python -m benchmarks.gateway [--events 1] [--seconds 10] [--rate 0] [--connections 64]

Starts a Kafka and a gateway of its own. A load generator in a process of its own posts SendGrid webhooks, signed
beforehand with ECDSA over P-256, on so many connections: as fast as answers come (`--rate 0`), or at a rate, each
connection in its turn; then latency counts from the moment a request was due, so that waiting in line is not left out.
One line of JSON; CPU seconds are those of the gateway's process, user and system.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import cast

import uvloop
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aftersend.config.installation import topic_layouts
from aftersend.config.loading import load
from aftersend.engine import admin
from aftersend.engine.aiokafka import patches
from aftersend.sandbox.embedded import EmbeddedKafka
from aftersend.sandbox.embedded.ports import pick_free

#: Different requests that are signed beforehand and sent in turn.
_DIFFERENT = 200
_WARM_SECONDS = 2.0
_TICKS = os.sysconf("SC_CLK_TCK")


def event(number: int) -> dict[str, object]:
    """Return an event as SendGrid sends it."""
    return {
        "email": f"user{number}@example.org",
        "timestamp": int(time.time()),
        "smtp-id": f"<{number}.14c5d75ce93.dfd.64b469@ismtpd-555>",
        "event": "delivered",
        "category": ["autumn"],
        "sg_event_id": base64.urlsafe_b64encode(f"event-{number:016d}".encode()).decode(),
        "sg_message_id": f"14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.{number}",
        "response": "250 2.0.0 OK 1758021113 d2e1a72fcca58-7761b3d5e2fsi1234567b3a.12 - gsmtp",
        "delivery_id": f"campaign-{number % 20}",
        "tls": 1,
    }


def signed_request(key: ec.EllipticCurvePrivateKey, body: bytes) -> bytes:
    """Return a whole request."""
    timestamp = str(int(time.time())).encode()
    signature = base64.b64encode(key.sign(timestamp + body, ec.ECDSA(SHA256())))
    lines = [
        b"POST /webhooks/sendgrid HTTP/1.1",
        b"Host: feedback.brand.example",
        b"User-Agent: SendGrid Event API",
        b"Content-Type: application/json",
        b"Accept-Encoding: gzip",
        b"X-Twilio-Email-Event-Webhook-Signature: " + signature,
        b"X-Twilio-Email-Event-Webhook-Timestamp: " + timestamp,
        b"Content-Length: %d" % len(body),
    ]
    return b"\r\n".join([*lines, b"", body])


def requests(key: ec.EllipticCurvePrivateKey, events: int) -> list[bytes]:
    """Return signed requests of so many events each."""
    bodies = ([event(number * events + place) for place in range(events)] for number in range(_DIFFERENT))
    return [signed_request(key, json.dumps(body, separators=(",", ":")).encode() + b"\r\n") for body in bodies]


class Connection(asyncio.Protocol):
    """One connection: a request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._heard = b""
        self._waiter: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has no base of asyncio's

    def data_received(self, data: bytes) -> None:
        """Tell whoever waits the status."""
        self._heard += data
        if b"\r\n\r\n" in self._heard and self._waiter is not None:
            self._waiter.set_result(int(self._heard[9:12]))
            self._heard, self._waiter = b"", None

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits that there is nothing to come."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(exc or ConnectionResetError())

    async def ask(self, request: bytes) -> int:
        """Send a request; return the status of its answer."""
        assert self._transport is not None
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiter


async def generate(port: int, wanted: list[bytes], connections: int, rate: float, seconds: float) -> dict[str, object]:
    """Send requests; return the latencies and the statuses."""
    loop = asyncio.get_running_loop()
    opened = [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(connections)]
    latencies: list[float] = []
    statuses: dict[int, int] = {}
    begin = time.perf_counter()
    sent = 0

    async def work(connection: Connection) -> None:
        nonlocal sent
        while True:
            number, sent = sent, sent + 1
            due = begin + number / rate if rate else time.perf_counter()
            if due - begin >= seconds:
                return
            if (ahead := due - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            status = await connection.ask(wanted[number % len(wanted)])
            latencies.append(time.perf_counter() - due)
            statuses[status] = statuses.get(status, 0) + 1

    await asyncio.gather(*(work(connection) for connection in opened))
    elapsed = time.perf_counter() - begin
    cuts = statistics.quantiles(latencies, n=1000)
    return {
        "requests": len(latencies),
        "statuses": statuses,
        "seconds": round(elapsed, 2),
        "p50_ms": round(cuts[499] * 1000, 2),
        "p99_ms": round(cuts[989] * 1000, 2),
        "max_ms": round(max(latencies) * 1000, 2),
    }


def cpu_seconds(pid: int) -> float:
    """Return what a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def arguments() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1, help="events in each request")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second; 0: as fast as it goes")
    parser.add_argument("--connections", type=int, default=64)
    # Given to the load generator's process by the other one.
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--requests", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def load_generator(args: argparse.Namespace) -> None:
    """Be the load generator."""
    wanted = [base64.b64decode(line) for line in args.requests.read_text().split()]
    print(json.dumps(uvloop.run(generate(args.port, wanted, args.connections, args.rate, args.seconds))))


def measure(args: argparse.Namespace, folder: Path, kafka: EmbeddedKafka) -> dict[str, object]:
    """Start a gateway, let it take requests, and return the figures."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    port, admin_port = pick_free(2)
    chosen = {
        "kafka_bootstrap": kafka.bootstrap,
        "partitions": "4",
        "gateway_port": str(port),
        "gateway_admin_port": str(admin_port),
        "gateway_secrets": json.dumps({"sendgrid": base64.b64encode(public).decode()}),
        "log_level": "warning",
    }
    settings = load(**chosen)
    patches.apply()
    asyncio.run(admin.apply_topics(settings.kafka_options(), topic_layouts(settings), 1))
    wanted = requests(key, args.events)
    file = folder / "requests"
    file.write_text("\n".join(base64.b64encode(request).decode() for request in wanted))
    environment = {**os.environ, **{f"AFTERSEND_{name.upper()}": value for name, value in chosen.items()}}
    gateway = subprocess.Popen([sys.executable, "-m", "aftersend.cli.main", "gateway"], env=environment)
    try:
        await_ready(f"http://127.0.0.1:{admin_port}/ready")
        own = [sys.executable, "-m", "benchmarks.gateway", "--port", str(port), "--requests", str(file)]
        own += ["--rate", str(args.rate), "--connections", str(args.connections)]
        subprocess.run([*own, "--seconds", str(_WARM_SECONDS)], check=True, stdout=subprocess.DEVNULL)
        before = cpu_seconds(gateway.pid)
        run = subprocess.run([*own, "--seconds", str(args.seconds)], check=True, stdout=subprocess.PIPE, text=True)
        used = cpu_seconds(gateway.pid) - before
    finally:
        gateway.terminate()
        gateway.wait(60)
    figures: dict[str, object] = json.loads(run.stdout)
    assert {"200"} == set(figures["statuses"]), figures  # type: ignore[call-overload]
    count = int(str(figures["requests"]))
    return {
        "events_each": args.events,
        "body_bytes": statistics.mean(len(request) for request in wanted),
        "rate": args.rate,
        **figures,
        "requests_per_s": round(count / float(str(figures["seconds"]))),
        "cpu_s": round(used, 2),
        "requests_per_cpu_s": round(count / used),
        "events_per_cpu_s": round(count * args.events / used),
    }


def await_ready(url: str, patience: float = 30.0) -> None:
    """Return when an address answers 200.

    Raises:
        OSError: if it does not in time.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - of this machine
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def main() -> int:
    """Measure, or be the load generator."""
    args = arguments()
    if args.port:
        load_generator(args)
        return 0
    with tempfile.TemporaryDirectory() as folder, EmbeddedKafka(Path(folder) / "kafka") as kafka:
        print(json.dumps(measure(args, Path(folder), kafka)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
