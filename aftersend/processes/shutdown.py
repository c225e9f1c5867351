"""Shutdown of a process: with its parent, and within a deadline after the request to stop."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import TracebackType
from typing import Final, Self

import structlog

from aftersend.errors import EXIT_CRASHED

log = structlog.get_logger(__name__)

#: Time for an orderly shutdown, seconds. A transaction in flight may wait for an unreachable broker; the next owner of
#: the partition ends it.
GRACE_SECONDS: Final = 40.0


def end_with_parent(descriptor: int = 0) -> None:
    """Send SIGTERM to this process when the other end of a pipe is closed, because the parent has ended.

    Args:
        descriptor: reading end of the pipe; default: standard input.
    """

    def watch() -> None:
        try:
            while os.read(descriptor, 1024):
                pass
        except OSError:
            return
        log.warning("the parent process is gone")
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()


class Deadline:
    """Ends the process by force when an orderly shutdown takes too long.

    `start` starts the timer; leaving the context cancels it.

    Args:
        seconds: for the orderly shutdown.
        exit_code: of the process when it is ended by force.
    """

    def __init__(self, seconds: float = GRACE_SECONDS, exit_code: int = EXIT_CRASHED) -> None:
        self._timer = threading.Timer(seconds, self._force)
        # A daemon thread runs on while Python waits for other threads at its end, where it may hang.
        self._timer.daemon = True
        self._seconds = seconds
        self._exit_code = exit_code
        self._started = False

    def __enter__(self) -> Self:
        """Return the deadline, not started."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel the timer."""
        self._timer.cancel()

    def start(self) -> None:
        """Start the timer; further calls do nothing."""
        if not self._started:
            self._started = True
            self._timer.start()

    def _force(self) -> None:
        log.error("ended by force: the orderly end took too long", seconds=self._seconds)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(self._exit_code)
