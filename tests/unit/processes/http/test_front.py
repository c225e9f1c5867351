"""The front with an application of the test's own: what a client can do to a connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvicorn

from aftersend.processes.http import front
from aftersend.processes.http.limits import HttpLimits
from tests.patience import PATIENCE

KIB = 1024
MIB = 1024 * KIB
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
#: Times that no test reaches.
NEVER = PATIENCE * 10


class Served:
    """A front on a free port, and its application: it answers with a body's length, once `gate` is open."""

    def __init__(self, **limits: Any) -> None:
        self.rejected: list[int] = []
        self.limits = HttpLimits(
            **{
                "connections": 10,
                "head_bytes": 32 * KIB,
                "head_seconds": NEVER,
                "body_bytes": MIB,
                "body_seconds": NEVER,
                "idle_seconds": NEVER,
                "on_rejected": self.rejected.append,
                **limits,
            }
        )
        self.gate = asyncio.Event()
        self.gate.set()
        self.seen: list[bytes] = []
        self.port = 0
        self._server: uvicorn.Server | None = None

    @property
    def connections(self) -> int:
        assert self._server is not None
        return len(self._server.server_state.connections)

    async def start(self) -> None:
        listener = front.listen("127.0.0.1", 0, str, shared=False)
        self.port = listener.getsockname()[1]
        self._server = await front.serve(self, listener, self.limits, grace=1, backlog=64)

    async def stop(self) -> None:
        assert self._server is not None
        self.gate.set()
        await self._server.shutdown()

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message["body"]
            more = message["more_body"]
        self.seen.append(body)
        await self.gate.wait()
        text = bytes(50 * MIB) if scope["path"] == "/large" else b"%d" % len(body)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(text))]})
        await send({"type": "http.response.body", "body": text})

    async def connect(self) -> Streams:
        return await asyncio.open_connection("127.0.0.1", self.port)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[Served]]]:
    made: list[Served] = []

    async def start(**limits: Any) -> Served:
        made.append(Served(**limits))
        await made[-1].start()
        return made[-1]

    yield start
    for served in made:
        await served.stop()


def post(body: bytes = b"", *headers: bytes, path: bytes = b"/") -> bytes:
    lines = [b"POST %b HTTP/1.1" % path, b"host: x", b"content-length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", body])


async def say(served: Served, *parts: bytes) -> bytes:
    """Send parts as segments of their own; return all that comes back until the other side closes."""
    reader, writer = await served.connect()
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.02)
        return await asyncio.wait_for(reader.read(), PATIENCE)
    finally:
        writer.close()


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not what():
            await asyncio.sleep(0.01)


CLOSE = b"connection: close"


async def test_a_body_whose_last_segment_is_white_space_is_answered(serve: Any) -> None:
    served = await serve()
    request = post(b"x" * 40 * KIB + b"\r\n" * 20 * KIB, CLOSE)

    heard = await say(served, request[: -30 * KIB], request[-30 * KIB :])

    assert heard.startswith(b"HTTP/1.1 200 ")
    assert heard.endswith(b"%d" % (80 * KIB))


@pytest.mark.parametrize("rest", [b"   \r\n", b" " * 40 * KIB, b"\r\n" * 40 * KIB, b"\x00\xff", b"GET"])
async def test_a_complete_request_is_answered_whatever_follows_it(serve: Any, rest: bytes) -> None:
    served = await serve(head_seconds=0.5)
    served.gate.clear()
    reader, writer = await served.connect()
    writer.write(post(b"hello"))
    await until(lambda: bool(served.seen))
    writer.write(rest)
    await writer.drain()
    await asyncio.sleep(0.05)
    served.gate.set()

    heard = await asyncio.wait_for(reader.read(), PATIENCE)

    assert heard.startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_white_space_after_an_answer_gets_none_of_its_own(serve: Any) -> None:
    """It would be taken for the answer to the next request."""
    served = await serve()
    reader, writer = await served.connect()
    writer.write(post(b"hello"))
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n5"), PATIENCE)
    writer.write(b"   ")

    assert b"" == await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()


async def test_a_client_that_has_finished_sending_gets_its_answer(serve: Any) -> None:
    served = await serve()
    served.gate.clear()
    reader, writer = await served.connect()
    writer.write(post(b"hello"))
    writer.write_eof()
    await until(lambda: bool(served.seen))
    served.gate.set()

    assert (await asyncio.wait_for(reader.read(), PATIENCE)).endswith(b"\r\n\r\n5")
    writer.close()


@pytest.mark.parametrize("size, status", [(32 * KIB, 200), (32 * KIB + 1, 431), (300 * KIB, 431)])
@pytest.mark.parametrize("segments", [1, 7])
async def test_a_head_has_a_longest_length(serve: Any, size: int, status: int, segments: int) -> None:
    served = await serve()
    bare = len(post(b"", b"x: ", CLOSE))
    request = post(b"", b"x: " + b"y" * (size - bare), CLOSE)
    step = -(-len(request) // segments)

    heard = await say(served, *(request[at : at + step] for at in range(0, len(request), step)))

    assert heard.startswith(b"HTTP/1.1 %d " % status)
    assert ([] if status == 200 else [431]) == served.rejected


async def test_pipelined_requests_are_answered_in_their_order(serve: Any) -> None:
    served = await serve()

    heard = await say(served, b"".join(post(b"x" * number) for number in range(9)) + post(b"x" * 9, CLOSE))

    assert [b"%d" % number for number in range(10)] == [part[:1] for part in heard.split(b"\r\n\r\n")[1:]]


async def test_too_large_a_body_is_refused_before_and_while_it_arrives(serve: Any) -> None:
    served = await serve(body_bytes=64 * KIB)
    chunk = b"1000\r\n" + bytes(4 * KIB) + b"\r\n"

    told = await say(served, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 65537\r\n\r\n", bytes(1000))
    found = await say(served, b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + chunk * 20)

    assert told.startswith(b"HTTP/1.1 413 ")
    assert found.startswith(b"HTTP/1.1 413 ")
    assert [413, 413] == served.rejected
    assert [] == served.seen


async def test_what_arrives_too_slowly_is_refused(serve: Any) -> None:
    served = await serve(head_seconds=0.3, body_seconds=0.3, idle_seconds=0.3)
    request = post(b"hello")

    silent, head, body, idle = await asyncio.gather(
        say(served), say(served, request[:20]), say(served, request[:-1]), say(served, request)
    )

    assert b"" == silent
    assert head.startswith(b"HTTP/1.1 408 ")
    assert body.startswith(b"HTTP/1.1 408 ")
    assert idle.endswith(b"\r\n\r\n5")
    assert [408, 408] == served.rejected


async def test_an_answer_that_nobody_takes_ends(serve: Any) -> None:
    """50 MB that lie in memory for as long as the connection lasts."""
    served = await serve(body_seconds=0.3)
    _, first = await served.connect()
    _, second = await served.connect()
    first.transport.pause_reading()
    second.transport.pause_reading()
    first.write(post(path=b"/large"))
    second.write(post(b"", CLOSE, path=b"/large"))

    await until(lambda: len(served.seen) == 2)
    await until(lambda: not served.connections)

    first.close()
    second.close()


async def test_an_answer_that_is_taken_slowly_does_not_end(serve: Any) -> None:
    served = await serve(body_seconds=0.5)
    reader, writer = await served.connect()
    writer.write(post(b"", CLOSE, path=b"/large"))
    received = 0
    async with asyncio.timeout(PATIENCE):
        while chunk := await reader.read(2 * MIB):
            received += len(chunk)
            await asyncio.sleep(0.01)

    assert received > 50 * MIB
    writer.close()


async def test_beyond_the_limit_the_connection_that_has_waited_longest_is_closed(serve: Any) -> None:
    served = await serve(connections=3)
    busy, first, second = [await served.connect() for _ in range(3)]
    served.gate.clear()
    busy[1].write(post(b"x"))
    await until(lambda: len(served.seen) == 1)
    # The first one has begun a request, so the second one waits for longer.
    first[1].write(post(b"x")[:10])
    await asyncio.sleep(0.05)

    third = await served.connect()

    assert b"" == await asyncio.wait_for(second[0].read(), PATIENCE)
    fourth = await served.connect()
    assert b"" == await asyncio.wait_for(first[0].read(), PATIENCE)
    served.gate.set()
    for reader, writer in (third, fourth):
        writer.write(post(b"hello"))
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n5"), PATIENCE)
    await asyncio.wait_for(busy[0].readuntil(b"\r\n\r\n1"), PATIENCE)
    for _, writer in (busy, first, second, third, fourth):
        writer.close()


async def test_where_all_connections_are_busy_a_new_one_is_told_to_come_again(serve: Any) -> None:
    served = await serve(connections=2)
    served.gate.clear()
    busy = [await served.connect() for _ in range(2)]
    for _, writer in busy:
        writer.write(post(b"hello"))
    await until(lambda: len(served.seen) == 2)

    heard = await say(served)

    assert heard.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 2\r\n" in heard
    assert [503] == served.rejected
    served.gate.set()
    for reader, writer in busy:
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n5"), PATIENCE)
        writer.close()


async def test_a_thousand_idle_connections_keep_nobody_out(serve: Any) -> None:
    served = await serve(connections=20)
    idle = []
    for _ in range(1000):
        with contextlib.suppress(OSError):
            idle.append(await served.connect())

    assert (await say(served, post(b"hello", CLOSE))).endswith(b"\r\n\r\n5")

    assert served.connections <= 20
    for _, writer in idle:
        writer.close()
