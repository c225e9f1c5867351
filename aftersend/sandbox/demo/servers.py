"""What the demo plays on: Kafka, Redis, workers and a gateway of its own, gone without a trace when it ends."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aftersend.config.loading import load
from aftersend.config.settings import Settings
from aftersend.errors import AftersendError
from aftersend.sandbox.embedded import EmbeddedKafka, EmbeddedRedis
from aftersend.sandbox.embedded.guard import Guard
from aftersend.sandbox.embedded.jars import ensure_jars
from aftersend.sandbox.embedded.ports import HOST, is_free, pick_free
from aftersend.sandbox.simulation.signing import make_keys

Say = Callable[[str], None]

_PREFIX: Final = "AFTERSEND_"
_PARTITIONS: Final = 4
_LAST_PORT: Final = 65_535
#: Seconds that workers get to end in good order.
_PATIENCE: Final = 10.0
_PROBE_TIMEOUT: Final = 1.0
_LAST_WORDS: Final = 15


class DemoFailedError(AftersendError):
    """The demo can't go on; the message says why."""


class ServerProcess:
    """`aftersend worker` or `aftersend gateway` as a process of its own.

    Args:
        name: the command, which names the log too.
        environment: with the settings.
        folder: where it runs, and keeps its log.
        ports: of the health checks, one for each process.
    """

    def __init__(self, name: str, environment: dict[str, str], folder: Path, ports: list[int]) -> None:
        self._name = name
        self._environment = environment
        self._folder = folder
        self._ports = ports
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None
        self.log_path = folder / f"{name}.log"

    def start(self) -> None:
        """Start the process, which is killed when this one ends, however that comes about."""
        command = [sys.executable, "-P", "-m", "aftersend.cli.main", self._name, "--processes", str(len(self._ports))]
        self._guard = Guard()
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is the demo's affair, which then stops everything in order
            )
        self._guard.watch(self._process.pid)

    def check(self) -> None:
        """See that it is there.

        Raises:
            DemoError: if they have ended.
        """
        if self._process is None or self._process.poll() is not None:
            code = self._process.returncode if self._process is not None else None
            raise DemoFailedError(f"the {self._name} has ended by itself with exit code {code}; {self.last_words()}")

    def last_words(self) -> str:
        """Return how the log ends."""
        lines = self.log_path.read_text(errors="replace").splitlines()[-_LAST_WORDS:]
        return "\n".join(["its last words:", *lines])

    def ready(self) -> bool:
        """Say whether all processes can do their work: workers have their partitions in hand."""
        return all(_answers(f"http://{HOST}:{port}/ready") for port in self._ports)

    def stop(self) -> None:
        """End the process in good order, by force if that takes too long."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            # All of its session: a supervisor that is killed leaves its children some seconds to notice.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if self._guard is not None:
            self._guard.release()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=_PROBE_TIMEOUT) as response:  # noqa: S310 - our own address
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@dataclass(slots=True)
class DemoServers:
    """Everything that runs; workers and gateway have yet to be started."""

    kafka: EmbeddedKafka
    redis: EmbeddedRedis
    workers: ServerProcess
    gateway: ServerProcess
    settings: Settings
    #: What providers sign with.
    keys: Path

    def check(self) -> None:
        """See that all parts are there.

        Raises:
            DemoError: if one has ended.
        """
        self.workers.check()
        self.gateway.check()


@contextlib.contextmanager
def start_servers(say: Say, *, processes: int, store: str) -> Iterator[DemoServers]:
    """Start Kafka and Redis, and make keys; in the end, stop everything and remove all files.

    Args:
        say: told what is going on.
        processes: how many worker processes there will be.
        store: where they keep their rows, `memory` or `rocksdb`.

    Raises:
        EmbeddedUnavailableError: a server can't be had here; the message says what is missing and how to get it.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="aftersend-demo-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        ensure_jars(lambda done, of: say(f"fetching Kafka, once: {done} of {of} files"))
        say("starting Kafka")
        kafka = EmbeddedKafka(folder / "kafka")
        # Nothing is kept, so the servers need no orderly end.
        stack.callback(kafka.kill)
        kafka.start()
        say("starting Redis")
        redis = EmbeddedRedis(folder / "redis")
        stack.callback(redis.kill)
        redis.start()
        first = _first_of_free_ports(processes + 2)
        gateway_port, gateway_admin_port = first + processes, first + processes + 1
        keys = folder / "keys"
        made = make_keys(keys)
        chosen = {
            "kafka_bootstrap": kafka.bootstrap,
            "redis_url": redis.url,
            "partitions": _PARTITIONS,
            "replication_factor": 1,
            # A small group on one machine, that need not wait for slow networks.
            "session_timeout": 10.0,
            "heartbeat_interval": 1.0,
            "rebalance_timeout": 3.0,
            "clock_interval": 5.0,
            "store": store,
            "data_dir": str(folder / "data"),
            "web_port": first,
            "gateway_port": gateway_port,
            "gateway_admin_port": gateway_admin_port,
            "gateway_secrets_dir": str(made.secrets),
            "gateway_certificates": made.certificates,
            "log_format": "console",
        }
        environment = _environment(chosen)
        workers = ServerProcess("worker", environment, folder, [first + i for i in range(processes)])
        gateway = ServerProcess("gateway", environment, folder, [gateway_admin_port])
        # Stopped first, since it writes to what the workers read.
        stack.callback(workers.stop)
        stack.callback(gateway.stop)
        stack.enter_context(_uninterrupted_end())
        yield DemoServers(kafka, redis, workers, gateway, _settings(chosen, folder), keys)


@contextlib.contextmanager
def _uninterrupted_end() -> Iterator[None]:
    """When left, let nobody interrupt what ends now: half of it would stay behind."""
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)


def _first_of_free_ports(count: int) -> int:
    """Return the first of some free ports in a row."""
    for _ in range(100):
        first = pick_free(1)[0]
        if first + count <= _LAST_PORT and all(is_free(first + i) for i in range(count)):
            return first
    raise DemoFailedError(f"no {count} free ports in a row found on {HOST}")


def _environment(chosen: dict[str, Any]) -> dict[str, str]:
    """Return the parts' environment; settings that somebody has made for a real installation stay out of it."""
    others = {name: value for name, value in os.environ.items() if not name.upper().startswith(_PREFIX)}
    texts = {name: json.dumps(value) if isinstance(value, dict) else str(value) for name, value in chosen.items()}
    return others | {f"{_PREFIX}{name.upper()}": text for name, text in texts.items()}


def _settings(chosen: dict[str, Any], folder: Path) -> Settings:
    """Return the same settings for this process, read where no `.env` and no settings file lies."""
    for name in [name for name in os.environ if name.upper().startswith(_PREFIX)]:
        del os.environ[name]
    with contextlib.chdir(folder):
        return load(**chosen)
