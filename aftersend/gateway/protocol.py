"""uvicorn's HTTP/1.1 connections with bounds: on their number, and on what may come before and beside a body.

uvicorn bounds bodies by reading only what the application takes, but reads heads of any length for any time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

#: Providers send some 2 kB.
_MAX_HEAD: Final = 32 * 1024
#: Of a whole request, with all that frames the chunks of a body. The application counts the body itself; what comes
#: after its answer is read and thrown away up to here, so that a provider that is told 503 sees no broken connection.
_MAX_REQUEST: Final = 8 * 1024 * 1024
#: Requests that wait behind one on the same connection. Providers do not do that at all.
_MAX_PIPELINED: Final = 16


class Bounds(msgspec.Struct, frozen=True):
    """What connections are held to."""

    connections: int
    #: Seconds for a head to come in, from the connection's beginning or the head's first byte; and for a body that
    #: nobody reads any more.
    head_seconds: float
    retry_after: int
    #: Told of each request that did not get as far as the application, with the status.
    refused: Callable[[int], None]


class BoundedProtocol(HttpToolsProtocol):
    """One connection.

    Args:
        bounds: of all connections.
        given: what uvicorn gives.
    """

    def __init__(self, bounds: Bounds, **given: Any) -> None:
        super().__init__(**given)
        self._bounds = bounds
        #: Between the first byte of a head and its end; between that and the end of the body.
        self._in_head = False
        self._in_body = False
        #: Bytes of this request so far.
        self._came = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, if there are not too many."""
        super().connection_made(transport)
        if len(self.connections) > self._bounds.connections:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, within the bounds."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.transport.is_closing():
            return
        # Empty lines between requests are as good as nothing, but not without end.
        if self._in_head or self._in_body or data.isspace():
            self._came += len(data)
            if self._came > (_MAX_REQUEST if self._in_body else _MAX_HEAD):
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
                return
        else:
            self._came = 0
        # An application that reads, or that works on what it has read, has bounds of its own in time.
        waits_for_us = self._in_body and not self.cycle.response_complete
        if self._in_head or (self._in_body and not waits_for_us):
            self._arm()
        elif not self._idle():
            self._disarm()
        elif data.isspace():
            self._arm()

    def on_message_begin(self) -> None:
        """Note that a head begins."""
        self._in_head = True
        self._came = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, but none behind the body: trailers may be many, and are no headers of the request."""
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Note that the head is there."""
        self._in_head = False
        if len(self.pipeline) >= _MAX_PIPELINED:
            raise ValueError("too many requests at once")
        super().on_headers_complete()
        self._in_body = True

    def on_message_complete(self) -> None:
        """Note that the body is there."""
        self._in_body = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        if not self.transport.is_closing():
            self._bounds.refused(HTTPStatus.BAD_REQUEST)
        super().send_400_response(msg)

    def _idle(self) -> bool:
        """Say whether nothing is under way."""
        return not self._in_head and not self._in_body and self._answered()

    def _answered(self) -> bool:
        """Say whether the last request has its answer."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self._bounds.head_seconds, self._time_is_up)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_is_up(self) -> None:
        self._timer = None
        if self._in_head:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer without the application, and close."""
        if self.transport.is_closing():
            return
        # Behind a request that waits for its answer, or that has it already, there is nothing to say.
        if not self._in_body and self._answered():
            self._bounds.refused(status)
            lines = [f"HTTP/1.1 {status.value} {status.phrase}", "content-length: 0", "connection: close"]
            if status is HTTPStatus.SERVICE_UNAVAILABLE:
                lines.append(f"retry-after: {self._bounds.retry_after}")
            self.transport.write("\r\n".join([*lines, "", ""]).encode())
        self.transport.close()
