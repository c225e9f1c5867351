"""uvicorn's HTTP/1.1 protocol with limits on connections, heads, bodies, answers and pipelining, and strict framing.

uvicorn applies backpressure to bodies, which the application reads, but accepts heads of any length for any time, and
bodies at any pace. Its parser (llhttp) refuses most of what two servers could read in two ways: a repeated
`Content-Length`, one beside a `Transfer-Encoding`, folded lines, bare line feeds. What it lets through is refused here:
codings other than `chunked`, `Host` missing or repeated, versions other than 1.0 and 1.1.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from http import HTTPStatus
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from aftersend.processes.http.answering import AnswerTransport, TakingWatch
from aftersend.processes.http.connections import Connections
from aftersend.processes.http.limits import HttpLimits

#: Pipelined requests that may wait on one connection; providers do not pipeline.
_MAX_PIPELINED: Final = 16
#: Headers that decide how a request is read.
_FRAMING: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect"})
#: No white space has a higher code.
_SPACE: Final = 0x20
_VERSIONS: Final = frozenset({"1.0", "1.1"})
#: After an answer to a request that was not read to its end, what still arrives is discarded for so long, and at most
#: `HttpLimits.body_bytes` of it: the kernel would otherwise reset the connection, and the client might lose the answer.
_LINGER_SECONDS: Final = 5.0


class Waiting(Enum):
    """What a connection's timer waits for."""

    NOTHING = 0
    HEAD = 1
    BODY = 2
    #: For the client to close, after its last answer.
    END = 3


class FrontProtocol(HttpToolsProtocol):
    """One connection.

    Args:
        limits: shared by all connections of the port.
        all_connections: of the port.
        given: uvicorn's arguments.
    """

    def __init__(self, limits: HttpLimits, all_connections: Connections, **given: Any) -> None:
        super().__init__(**given)
        self._limits = limits
        self._all = all_connections
        #: Inside a request's head; inside its body.
        self._in_head = False
        self._in_body = False
        #: Bytes of the head so far, with empty lines before it; of the body so far.
        self._head_bytes = 0
        self._body_bytes = 0
        #: A message has ended in the data that is being parsed.
        self._ended = False
        #: All of the data that is being parsed is white space.
        self._blank = False
        #: Number of `Host` headers; whether there is a `Transfer-Encoding`.
        self._hosts = 0
        self._coded = False
        #: Answer to what the parser has refused.
        self._refusal = HTTPStatus.BAD_REQUEST
        #: What arrives is discarded: nothing after it can be read as a request.
        self._deaf = False
        self._answers: AnswerTransport | None = None
        self._waiting = Waiting.NOTHING
        self._timer: asyncio.TimerHandle | None = None
        self._taking: TakingWatch | None = None

    # Events of the transport.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection unless there are too many."""
        super().connection_made(transport)
        self._answers = AnswerTransport(transport, self._close_after_answer)
        self._taking = TakingWatch(transport, self.loop, self._limits.body_seconds)
        if self._all.admit(self, len(self.connections)):
            self._wait_for(Waiting.HEAD)
        else:
            self._limits.on_rejected(HTTPStatus.SERVICE_UNAVAILABLE)
            transport.write(self._answer(HTTPStatus.SERVICE_UNAVAILABLE))
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timers."""
        self._all.busy(self)
        self._wait_for(Waiting.NOTHING)
        if self._answers is not None and self._taking is not None:
            self._taking.stop()
            # No reference cycle may remain: garbage is collected rarely.
            self._answers.close = self.transport.close
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse data, within the limits."""
        room = self._limits.head_bytes - self._head_bytes
        if self._in_body or len(data) <= room:
            self._parse(data)
            return
        rest = memoryview(data)
        while rest:
            taken = self._most_to_parse(len(rest))
            self._parse(rest[:taken])
            rest = rest[taken:]

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection open while a complete request waits for its answer; return whether that is so."""
        if self._in_body or self._answered() or self._deaf:
            return self._deaf and not self._answered()
        self._hear_no_more()
        return True

    def pause_writing(self) -> None:
        """Limit the time for the answer: the client does not take it."""
        super().pause_writing()
        if self._taking is not None:
            self._taking.start()

    def resume_writing(self) -> None:
        """End the limit."""
        if self._taking is not None:
            self._taking.stop()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection."""
        self.hang_up()

    # Events of the parser.

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._in_head = True
        self._hosts = 0
        self._coded = False
        self._refusal = HTTPStatus.BAD_REQUEST
        if self._answered():
            self._all.wait(self)
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers after the body are dropped, since their number is not limited."""
        if self._in_body:
            return
        name = name.lower()
        if name in _FRAMING:
            self._check_framing(name, value)
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Begin the body.

        Raises:
            ValueError: if the request is refused; the parser reports it.
        """
        self._in_head = False
        version = self.parser.get_http_version()
        if version not in _VERSIONS:
            self._refusal = HTTPStatus.HTTP_VERSION_NOT_SUPPORTED
            raise ValueError("an unknown version")
        if self._hosts != 1 and (self._hosts or version == "1.1"):
            raise ValueError("not one Host")
        if self._coded and version == "1.0":
            raise ValueError("chunks are of HTTP/1.1")
        if len(self.pipeline) >= _MAX_PIPELINED:
            raise ValueError("too many requests at once")
        self._all.busy(self)
        super().on_headers_complete()
        # uvicorn's type is a class; answers need some of its methods only.
        self.cycle.transport = cast("asyncio.Transport", self._answers)
        self._in_body = True
        self._body_bytes = 0

    def on_message_complete(self) -> None:
        """End the body.

        Raises:
            ValueError: if there was no head, as in HTTP/0.9.
        """
        if not self._in_body:
            raise ValueError("an unknown version")
        self._in_body = False
        self._ended = True
        super().on_message_complete()
        if self.cycle.response_complete:
            self._all.wait(self)

    def send_400_response(self, msg: str) -> None:
        """Reject what is not HTTP, or not as it has to be."""
        del msg
        if self.transport.is_closing():
            return
        if self._blank and self._answered():
            # Sent behind a body that ended before. An answer to it would be taken for the next request's.
            self.hang_up()
        else:
            self._reject(self._refusal)

    # Events of the answer.

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the client to take the last answer."""
        super().on_response_complete()
        if not self.transport.is_closing():
            if not self._in_body and self.cycle.response_complete:
                self._all.wait(self)
        elif self._taking is not None:
            self._taking.start()

    def shutdown(self) -> None:
        """Close now, or after the answer in progress."""
        if self._waiting is Waiting.END:
            self.hang_up()
        super().shutdown()

    def hang_up(self) -> None:
        """Close without an answer; what the client has not taken by now is lost."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def _check_framing(self, name: bytes, value: bytes) -> None:
        """Check a header that decides how the request is read.

        Raises:
            ValueError: if the request is refused.
        """
        if name == b"host":
            self._hosts += 1
        elif name == b"content-length":
            digits = value.strip()
            if digits.isdigit() and int(digits) > self._limits.body_bytes:
                self._refusal = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
                raise ValueError("too large")
        elif name == b"transfer-encoding":
            if self._coded or value.strip(b" \t").lower() != b"chunked":
                self._refusal = HTTPStatus.NOT_IMPLEMENTED
                raise ValueError("a coding other than chunked")
            self._coded = True
        elif value.lower() == b"100-continue":
            self.expect_100_continue = True

    def _most_to_parse(self, size: int) -> int:
        """Return how many of the next bytes to parse at once: of a head no more than it may have."""
        if self._in_body or self._deaf or self.transport.is_closing():
            return size
        return self._limits.head_bytes - self._head_bytes

    def _parse(self, data: bytes | memoryview) -> None:
        """Parse data of which no more than allowed belongs to a head."""
        if self._deaf:
            self._discard(len(data))
        elif not self.transport.is_closing():
            self._ended = False
            self._blank = data[0] <= _SPACE and bytes(data).isspace()
            idle = self._idle()
            super().data_received(data)  # type: ignore[arg-type]  # the parser takes any buffer
            self._count(len(data), idle=idle)

    def _count(self, size: int, *, idle: bool) -> None:
        """Apply the limits of size and time after data was parsed.

        Args:
            size: of the data, bytes.
            idle: whether the connection waited for a request before it.
        """
        if self._deaf or self.transport.is_closing():
            return
        if self._ended and not self._in_head and not self._in_body:
            # The usual: one whole request.
            self._head_bytes = 0
            self._wait_for(Waiting.NOTHING)
            return
        if self._in_body:
            self._head_bytes = 0
            self._body_bytes += size
            if self._body_bytes > self._limits.body_bytes:
                self._reject(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                return
        elif self._ended:
            # Where in the data the next head begins is not known; the rest of it is counted.
            self._head_bytes = 0
        else:
            self._head_bytes += size
            if self._head_bytes >= self._limits.head_bytes:
                self._reject(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
                return
        self._set_timer(idle=idle)

    def _set_timer(self, *, idle: bool) -> None:
        """Start or end the time limit of what has to come next."""
        if self._in_body:
            self._wait_for(Waiting.BODY)
        elif self._in_head or (idle and self._idle()):
            self._wait_for(Waiting.HEAD)
        else:
            # While the application processes a request, its own time limits apply; then those of an idle connection.
            self._wait_for(Waiting.NOTHING)

    def _idle(self) -> bool:
        """Return whether no request is in progress."""
        return not self._in_head and not self._in_body and self._answered()

    def _answered(self) -> bool:
        """Return whether the last request was answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    # Time limits.

    def _wait_for(self, what: Waiting) -> None:
        if what is self._waiting:
            return
        self._waiting = what
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if what is not Waiting.NOTHING:
            limits = self._limits
            seconds = {Waiting.HEAD: limits.head_seconds, Waiting.BODY: limits.body_seconds}.get(what, _LINGER_SECONDS)
            self._timer = self.loop.call_later(seconds, self._on_timeout)

    def _on_timeout(self) -> None:
        waited, self._waiting, self._timer = self._waiting, Waiting.NOTHING, None
        if waited is Waiting.END or self._idle():
            self.hang_up()
        elif self._in_head and not self._answered():
            # The answer to the request before has precedence, and its own limit.
            self._wait_for(waited)
        else:
            self._reject(HTTPStatus.REQUEST_TIMEOUT)

    # Rejections.

    def _reject(self, status: HTTPStatus) -> None:
        """Answer without the application where no answer has begun; close the connection."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete and not self._in_body:
            self._hear_no_more()
            return
        if cycle is not None and self._in_body and (cycle.response_started or self.pipeline):
            self.hang_up()
            return
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        self._limits.on_rejected(status)
        self.transport.write(self._answer(status))
        self._linger()

    def _close_after_answer(self) -> None:
        if self._in_body and not self._deaf:
            self._linger()
        else:
            self.transport.close()

    def _hear_no_more(self) -> None:
        """Have the requests so far answered, then close; nothing after them is read."""
        self._deaf = True
        self._body_bytes = 0
        self.cycle.keep_alive = False
        self._wait_for(Waiting.NOTHING)

    def _linger(self) -> None:
        """Close once the client has read the answer, or soon."""
        self._deaf = True
        self._body_bytes = 0
        self._all.busy(self)
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        self._wait_for(Waiting.END)
        self.transport.write_eof()

    def _discard(self, size: int) -> None:
        self._body_bytes += size
        if self._body_bytes > self._limits.body_bytes:
            self.hang_up()

    def _answer(self, status: HTTPStatus) -> bytes:
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", "content-length: 0", "connection: close"]
        if status is HTTPStatus.SERVICE_UNAVAILABLE:
            lines.append(f"retry-after: {self._limits.retry_after}")
        return "\r\n".join([*lines, "", ""]).encode()
