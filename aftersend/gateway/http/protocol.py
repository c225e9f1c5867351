"""uvicorn's HTTP/1.1 protocol with limits on connections, request heads and pipelining.

uvicorn applies backpressure to bodies, which the application reads, but accepts heads of any length for any time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

#: Longest head of a request, bytes; providers send some 2 kB.
_MAX_HEAD_BYTES: Final = 32 * 1024
#: Longest request with the framing of its chunks, bytes. The application limits the body itself. What arrives after its
#: answer is read and discarded up to here, so that a provider reads its 503 instead of a broken connection.
_MAX_REQUEST_BYTES: Final = 8 * 1024 * 1024
#: Pipelined requests that may wait on one connection; providers do not pipeline.
_MAX_PIPELINED: Final = 16


class ConnectionLimits(msgspec.Struct, frozen=True):
    """Limits on connections."""

    connections: int
    #: Time for a head, from the start of the connection or the head's first byte, and for a body that is discarded,
    #: seconds.
    head_seconds: float
    #: Value of the header `Retry-After`, seconds.
    retry_after: int
    #: Called with the status of each request that is rejected before it reaches the application.
    on_rejected: Callable[[int], None]


class BoundedProtocol(HttpToolsProtocol):
    """One connection.

    Args:
        limits: shared by all connections.
        given: uvicorn's arguments.
    """

    def __init__(self, limits: ConnectionLimits, **given: Any) -> None:
        super().__init__(**given)
        self._limits = limits
        #: Inside a request's head; inside its body.
        self._in_head = False
        self._in_body = False
        #: Bytes of this request so far.
        self._received = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            self._reject(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timer."""
        self._cancel_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse data, within the limits."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.transport.is_closing():
            return
        # Empty lines between requests are allowed, but not without limit.
        if self._in_head or self._in_body or data.isspace():
            self._received += len(data)
            if self._received > (_MAX_REQUEST_BYTES if self._in_body else _MAX_HEAD_BYTES):
                self._reject(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
                return
        else:
            self._received = 0
        # While the application reads or processes a request, its own time limits apply.
        in_application = self._in_body and not self.cycle.response_complete
        if self._in_head or (self._in_body and not in_application):
            self._start_timer()
        elif not self._idle():
            self._cancel_timer()
        elif data.isspace():
            self._start_timer()

    def on_message_begin(self) -> None:
        """Start counting a head."""
        self._in_head = True
        self._received = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers after the body are dropped, since their number is not limited."""
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the body; reject the request if too many are pipelined."""
        self._in_head = False
        if len(self.pipeline) >= _MAX_PIPELINED:
            raise ValueError("too many requests at once")
        super().on_headers_complete()
        self._in_body = True

    def on_message_complete(self) -> None:
        """End the body."""
        self._in_body = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Count and reject what is not HTTP."""
        if not self.transport.is_closing():
            self._limits.on_rejected(HTTPStatus.BAD_REQUEST)
        super().send_400_response(msg)

    def _idle(self) -> bool:
        """Return whether no request is in progress."""
        return not self._in_head and not self._in_body and self._answered()

    def _answered(self) -> bool:
        """Return whether the last request was answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self._limits.head_seconds, self._on_timeout)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timeout(self) -> None:
        self._timer = None
        if self._in_head:
            self._reject(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    def _reject(self, status: HTTPStatus) -> None:
        """Answer without the application and close the connection."""
        if self.transport.is_closing():
            return
        # Inside a body, or behind a request that waits for its answer, another answer would break the protocol.
        if not self._in_body and self._answered():
            self._limits.on_rejected(status)
            lines = [f"HTTP/1.1 {status.value} {status.phrase}", "content-length: 0", "connection: close"]
            if status is HTTPStatus.SERVICE_UNAVAILABLE:
                lines.append(f"retry-after: {self._limits.retry_after}")
            self.transport.write("\r\n".join([*lines, "", ""]).encode())
        self.transport.close()
