"""Workers as processes of their own, which a test may kill, stop, freeze and start again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from aftersend.sandbox.embedded.guard import Guard
from tests.paths import ROOT
from tests.patience import PATIENCE

_POLL = 0.05


class WorkerProcess:
    """One worker; every start is a new process with the same settings and the same folder.

    Args:
        name: for messages and the log's name.
        environment: the settings.
        folder: where the log goes.
        module: what is run.
    """

    def __init__(
        self, name: str, environment: dict[str, str], folder: Path, module: str = "aftersend.cli.main"
    ) -> None:
        """Start nothing yet."""
        self._module = module
        self.name = name
        self.log_path = folder / f"{name}.log"
        self.paused = False
        #: Exit codes of the processes before this one.
        self.exit_codes: list[int] = []
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None
        #: Length of the log when the present process was started.
        self._logged_before = 0

    @property
    def pid(self) -> int | None:
        """Process id, None where no process is running."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def running(self) -> bool:
        """Whether the process exists, frozen or not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start a process; does nothing where one is running."""
        if self.running:
            return
        self._forget()
        self._logged_before = len(self.log())
        # If the test run is killed, its workers must not live on.
        self._guard = Guard()
        Path(self._environment["AFTERSEND_DATA_DIR"]).mkdir(exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module, "worker"],
                cwd=ROOT,
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guard.watch(self._process.pid)

    def kill(self) -> None:
        """End the process at once (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._forget()

    def terminate(self) -> None:
        """Ask the process to end in good order (SIGTERM); returns at once."""
        self._signal(signal.SIGTERM)

    def pause(self) -> None:
        """Freeze the process (SIGSTOP): it notices nothing, and nothing is heard of it."""
        self._signal(signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        self._signal(signal.SIGCONT)
        self.paused = False

    async def wait(self, timeout: float = PATIENCE) -> int:
        """Wait until the process has ended by itself; return its exit code.

        Raises:
            TimeoutError: if it has not, with the end of its log.
        """
        deadline = time.monotonic() + timeout
        while self.running:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} has not ended after {timeout:g} s; its log ends with:\n{self.tail()}")
            await asyncio.sleep(_POLL)
        self._forget()
        return self.exit_codes[-1]

    def log(self) -> str:
        """Return all that the processes have logged."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def tail(self, lines: int = 40) -> str:
        """Return the end of the log."""
        return "\n".join(self.log().splitlines()[-lines:])

    async def await_log(self, words: str, *, times: int = 1, timeout: float = PATIENCE) -> None:
        """Wait until the log has some words so many times.

        Raises:
            TimeoutError: if it has not, with the end of the log.
        """
        deadline = time.monotonic() + timeout
        while self.log().count(words) < times:
            if time.monotonic() > deadline or not self.running:
                raise TimeoutError(f"{self.name} never logged {words!r}; its log ends with:\n{self.tail()}")
            await asyncio.sleep(_POLL)

    async def await_assigned(self, timeout: float = PATIENCE) -> None:
        """Wait until the present process has an assignment: before that, SIGTERM may end it in the midst of its start.

        Raises:
            TimeoutError: if it gets none, with the end of the log.
        """
        deadline = time.monotonic() + timeout
        while self.running and "partitions assigned" not in self.log()[self._logged_before :]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} got no assignment; its log ends with:\n{self.tail()}")
            await asyncio.sleep(_POLL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _forget(self) -> None:
        if self._process is not None and self._process.returncode is not None:
            self.exit_codes.append(self._process.returncode)
        self._process, self.paused = None, False
        if self._guard is not None:
            self._guard.release()
            self._guard = None
