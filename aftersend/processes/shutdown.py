"""A process's end, come what may: with its parent, and within bounds once it has been told to stop."""

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

#: Seconds from the request to stop until the process is ended by force. A transaction under way may be waiting for a
#: broker that is away; whoever takes the partition over ends it.
GRACE: Final = 40.0


def end_with_parent(descriptor: int = 0) -> None:
    """Stop this process, as by SIGTERM, when the other end of a pipe is closed: its holder is gone.

    Args:
        descriptor: the pipe's end to read; standard input by default.
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
    """Ends the process by force when an orderly end takes too long: with `start`, the time runs.

    Left as a context manager, nothing is bounded any more.

    Args:
        seconds: given to the orderly end.
        exit_code: what the process ends with otherwise.
    """

    def __init__(self, seconds: float = GRACE, exit_code: int = EXIT_CRASHED) -> None:
        self._timer = threading.Timer(seconds, self._force)
        # A daemon thread goes on while Python waits for others at its end, which is where an end may hang.
        self._timer.daemon = True
        self._seconds = seconds
        self._exit_code = exit_code
        self._started = False

    def __enter__(self) -> Self:
        """Do nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the time."""
        self._timer.cancel()

    def start(self) -> None:
        """Let the time run; calls after the first do nothing."""
        if not self._started:
            self._started = True
            self._timer.start()

    def _force(self) -> None:
        log.error("ended by force: the orderly end took too long", seconds=self._seconds)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(self._exit_code)
