"""What an answer is written to, and how long the client may take to read it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

#: Least that a client has to take of an answer in each period, bytes.
MIN_TAKEN_BYTES: Final = 64 * 1024


class AnswerTransport:
    """What answers are written to: the connection's transport, except that the connection is closed as it has to be.

    Args:
        transport: of the connection.
        close: called where the answer is the last one.
    """

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


class TakingWatch:
    """Aborts a connection whose client does not take its answer, which lies in memory meanwhile.

    Args:
        transport: of the connection.
        loop: the running one.
        seconds: period in which the client has to take all, or at least `MIN_TAKEN_BYTES`.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._transport = transport
        self._loop = loop
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        #: Bytes that were left at the start of the period.
        self._left = 0

    def start(self) -> None:
        """Watch, if something is left to take."""
        if self._timer is None and (left := self._transport.get_write_buffer_size()):
            self._left = left
            self._timer = self._loop.call_later(self._seconds, self._check)

    def stop(self) -> None:
        """Watch no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        self._timer = None
        left = self._transport.get_write_buffer_size()
        if left and left > self._left - MIN_TAKEN_BYTES:
            self._transport.abort()
        else:
            self.start()
