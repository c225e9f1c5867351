"""Servers of the demo: Kafka, Redis, workers and a gateway in a temporary folder, all removed at its end."""

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
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from aftersend.config.loading import load
from aftersend.config.settings import Settings
from aftersend.config.types import PREFIX
from aftersend.errors import AftersendError
from aftersend.sandbox.embedded import EmbeddedKafka, EmbeddedRedis
from aftersend.sandbox.embedded.guard import Guard
from aftersend.sandbox.embedded.jars import ensure_jars
from aftersend.sandbox.embedded.ports import HOST, is_free, pick_free
from aftersend.sandbox.simulation.signing import make_keys

#: Called with a sentence for each phase.
Report = Callable[[str], None]

_PARTITIONS: Final = 4
_LAST_PORT: Final = 65_535
#: Attempts to find free ports in a row.
_ATTEMPTS: Final = 100
#: Time for workers to stop in order, seconds.
_STOP_SECONDS: Final = 10.0
_PROBE_SECONDS: Final = 1.0
#: Lines of a log in an error message.
_TAIL: Final = 15


class DemoFailedError(AftersendError):
    """The demo can't go on; the message has the reason."""


class ServerProcess:
    """`aftersend worker` or `aftersend gateway` as a child process.

    Args:
        name: the command, and the name of its log.
        environment: with the settings.
        folder: working directory, with the log.
        ports: of the health checks, one for each process.
    """

    def __init__(self, name: str, environment: dict[str, str], folder: Path, ports: list[int]) -> None:
        self.name = name
        self._environment = environment
        self._folder = folder
        self._ports = ports
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None
        self.log_path = folder / f"{name}.log"

    def start(self) -> None:
        """Start the process; it is killed when this process ends in any way."""
        command = [sys.executable, "-P", "-m", "aftersend.cli.main", self.name, "--processes", str(len(self._ports))]
        self._guard = Guard()
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the demo only, which stops its processes in order
            )
        self._guard.watch(self._process.pid)

    def check(self) -> None:
        """Make sure that the process runs.

        Raises:
            DemoFailedError: if it has exited.
        """
        if self._process is None or self._process.poll() is not None:
            code = self._process.returncode if self._process is not None else None
            raise DemoFailedError(f"the {self.name} has exited with code {code}; {self.log_tail()}")

    def log_tail(self) -> str:
        """Return the last lines of the log."""
        lines = self.log_path.read_text(errors="replace").splitlines()[-_TAIL:]
        return "\n".join(["the end of its log:", *lines])

    def ready(self) -> bool:
        """Return whether all processes are ready: workers have taken over their partitions."""
        return all(_answers(f"http://{HOST}:{port}/ready") for port in self._ports)

    def stop(self) -> None:
        """Stop the process in order, or kill it if that takes too long."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # The whole session: the children of a killed supervisor take some seconds to notice.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if self._guard is not None:
            self._guard.release()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=_PROBE_SECONDS) as response:  # noqa: S310 - our own address
            return bool(response.status == HTTPStatus.OK)
    except (urllib.error.URLError, OSError):
        return False


@dataclass(slots=True)
class DemoServers:
    """Kafka and Redis, running; workers and gateway, not started."""

    kafka: EmbeddedKafka
    redis: EmbeddedRedis
    workers: ServerProcess
    gateway: ServerProcess
    settings: Settings
    #: Folder of the keys that providers sign with.
    keys: Path

    def check(self) -> None:
        """Make sure that workers and gateway run.

        Raises:
            DemoFailedError: if one has exited.
        """
        self.workers.check()
        self.gateway.check()


@contextlib.contextmanager
def start_servers(report: Report, *, processes: int, store: str) -> Iterator[DemoServers]:
    """Start Kafka and Redis and make keys; on exit, stop everything and remove all files.

    Args:
        report: called with a sentence for each phase.
        processes: number of worker processes.
        store: of the workers' rows, `memory` or `rocksdb`.

    Raises:
        EmbeddedUnavailableError: if a server is unavailable on this machine; with what is missing and how to get it.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="aftersend-demo-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        ensure_jars(lambda done, of: report(f"downloading Kafka, once: {done} of {of} files"))
        report("starting Kafka")
        kafka = EmbeddedKafka(folder / "kafka")
        # Their data is removed, so the servers are killed.
        stack.callback(kafka.kill)
        kafka.start()
        report("starting Redis")
        redis = EmbeddedRedis(folder / "redis")
        stack.callback(redis.kill)
        redis.start()
        keys = folder / "keys"
        ports = [first := _first_of_free_ports(processes + 2), *range(first + 1, first + processes + 2)]
        chosen = _chosen_settings(kafka, redis, folder, keys, store, ports)
        environment = _environment(chosen)
        workers = ServerProcess("worker", environment, folder, ports[:processes])
        gateway = ServerProcess("gateway", environment, folder, ports[-1:])
        # The gateway is stopped first, since it writes to what the workers read.
        stack.callback(workers.stop)
        stack.callback(gateway.stop)
        stack.enter_context(_uninterrupted_end())
        yield DemoServers(kafka, redis, workers, gateway, _settings(chosen, folder), keys)


def _chosen_settings(
    kafka: EmbeddedKafka, redis: EmbeddedRedis, folder: Path, keys: Path, store: str, ports: list[int]
) -> dict[str, Any]:
    """Return the settings of workers and gateway.

    Args:
        kafka: running.
        redis: running.
        folder: of the demo.
        keys: folder to make the providers' keys in.
        store: of the workers' rows.
        ports: one for each worker, the gateway's, and the gateway's for health checks.
    """
    made = make_keys(keys)
    return {
        "kafka_bootstrap": kafka.bootstrap,
        "redis_url": redis.url,
        "partitions": _PARTITIONS,
        "replication_factor": 1,
        # Short timeouts: the group is small, and on one machine.
        "session_timeout": 10.0,
        "heartbeat_interval": 1.0,
        "rebalance_timeout": 3.0,
        "clock_interval": 5.0,
        "store": store,
        "data_dir": str(folder / "data"),
        "web_port": ports[0],
        "gateway_port": ports[-2],
        "gateway_admin_port": ports[-1],
        "gateway_secrets_dir": str(made.secrets),
        "gateway_certificates": made.certificates,
        "log_format": "console",
    }


@contextlib.contextmanager
def _uninterrupted_end() -> Iterator[None]:
    """Ignore signals from the exit on, so that everything is stopped and removed."""
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)


def _first_of_free_ports(count: int) -> int:
    """Return the first of some free ports in a row.

    Raises:
        DemoFailedError: if there are none.
    """
    for _ in range(_ATTEMPTS):
        first = pick_free(1)[0]
        if first + count <= _LAST_PORT and all(is_free(first + i) for i in range(count)):
            return first
    raise DemoFailedError(f"no {count} free ports in a row found on {HOST}")


def _environment(chosen: dict[str, Any]) -> dict[str, str]:
    """Return the environment of the processes, without settings of a real installation."""
    others = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    texts = {name: json.dumps(value) if isinstance(value, dict) else str(value) for name, value in chosen.items()}
    return others | {f"{PREFIX}{name.upper()}": text for name, text in texts.items()}


def _settings(chosen: dict[str, Any], folder: Path) -> Settings:
    """Return the same settings for this process, loaded in a folder without settings files."""
    for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
        del os.environ[name]
    with contextlib.chdir(folder):
        return load(**chosen)
