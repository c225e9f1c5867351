"""Base class of the embedded servers: one child process with a data directory."""

import logging
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from aftersend.sandbox.embedded.errors import EmbeddedUnavailableError
from aftersend.sandbox.embedded.guard import Guard
from aftersend.sandbox.embedded.ports import require_free

_log = logging.getLogger(__name__)

# Time between two readiness checks of a starting server, in seconds.
_POLL = 0.05


class EmbeddedProcess(ABC):
    """A server as a child process on 127.0.0.1, with its data and log in its own directory.

    Ports and data stay the same after `stop`, `kill` and `start`. The server is killed when this process ends for any
    reason, unless `outlive_parent` is set. Not thread-safe.
    """

    name: str
    """Name of the server in messages."""

    def __init__(self, data_dir: Path, *, outlive_parent: bool = False) -> None:
        self.data_dir = data_dir.resolve()
        self._outlive_parent = outlive_parent
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None

    @abstractmethod
    def ports(self) -> list[int]:
        """All ports that the server listens on."""

    @abstractmethod
    def prepare(self) -> list[str]:
        """Write the server's files into the data directory and return its command line.

        Raises:
            EmbeddedUnavailableError: a part of the server is missing on this machine.
        """

    @abstractmethod
    def ping(self) -> bool:
        """Return whether the server answers requests over the network, within a second."""

    @property
    def log_path(self) -> Path:
        """The file with the server's output."""
        return self.data_dir / f"{self.name.lower()}.log"

    @property
    def running(self) -> bool:
        """Whether the process exists (it may be paused or not ready yet)."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id.

        Raises:
            RuntimeError: the server is not running.
        """
        return self._alive().pid

    def ready(self) -> bool:
        """Return whether the server runs and answers requests."""
        return self.running and self.ping()

    def start(self, timeout: float = 60.0) -> None:
        """Start the server and wait until it answers requests; does nothing if it is running.

        Args:
            timeout: time to wait, in seconds, without the time of a first download.

        Raises:
            EmbeddedUnavailableError: the server is not available, ended at once, or was not ready in time.
        """
        if self.running:
            return
        self._forget()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        command = self.prepare()
        for port in self.ports():
            require_free(port, self.name)
        self._spawn(command)
        try:
            self._await_ready(timeout)
        except BaseException:
            self.kill()
            raise

    def stop(self, timeout: float = 30.0) -> None:
        """Stop the server gracefully (SIGTERM); kill it after `timeout` seconds."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            # A paused process handles SIGTERM only after SIGCONT.
            self._process.send_signal(signal.SIGCONT)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                _log.warning("%s did not end within %g s and is killed", self.name, timeout)
        self.kill()

    def kill(self) -> None:
        """End the server at once (SIGKILL), without a clean shutdown."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._forget()

    def restart(self, timeout: float = 60.0) -> None:
        """Stop and start; `timeout` is that of the start, in seconds."""
        self.stop()
        self.start(timeout)

    def pause(self) -> None:
        """Suspend the server (SIGSTOP) and return once it is suspended: connections stay open without answers.

        Raises:
            RuntimeError: the server is not running.
        """
        process = self._alive()
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)

    def resume(self) -> None:
        """Resume a paused server (SIGCONT).

        Raises:
            RuntimeError: the server is not running.
        """
        self._alive().send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        """Start with the default timeout."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop gracefully."""
        self.stop()

    def _spawn(self, command: list[str]) -> None:
        guard = None if self._outlive_parent else Guard()
        with self.log_path.open("ab") as log:
            try:
                # In a session of its own: Ctrl-C in a terminal reaches only this process, which then stops the server.
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self.data_dir,
                    start_new_session=True,
                )
            except OSError as error:
                if guard is not None:
                    guard.release()
                raise EmbeddedUnavailableError(f"{self.name}: cannot run {command[0]}: {error.strerror}") from error
        if guard is not None:
            guard.watch(self._process.pid)
            self._guard = guard

    def _await_ready(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not self.ready():
            if not self.running:
                raise EmbeddedUnavailableError(
                    f"{self.name} ended while starting: {self._last_log_line()} (log: {self.log_path})"
                )
            if time.monotonic() > deadline:
                raise EmbeddedUnavailableError(f"{self.name} was not ready after {timeout:g} s (log: {self.log_path})")
            time.sleep(_POLL)

    def _last_log_line(self) -> str:
        lines = [line.strip() for line in self.log_path.read_text(errors="replace").splitlines()[-200:]]
        # Of a Java stack trace, the message is more useful than the frames.
        messages = [line for line in lines if line and not line.startswith(("at ", "...", "\tat "))]
        errors = [line for line in messages if "ERROR" in line or "Exception" in line]
        return (errors or messages or ["no output"])[-1]

    def _alive(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"{self.name} is not running")
        return self._process

    def _forget(self) -> None:
        self._process = None
        if self._guard is not None:
            self._guard.release()
            self._guard = None
