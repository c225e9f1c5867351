"""Posting as a provider does, to a server that answers as a gateway may."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from aftersend.errors import AftersendError
from aftersend.sandbox.simulation import posting
from aftersend.sandbox.simulation.posting import Poster, batches
from aftersend.schemas.raw import RawRecord
from aftersend.sources.simulation.simulator import Request

Serve = Callable[[Callable[[int, bytes], web.Response]], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Return what starts a server whose answers depend on the request's number and body."""
    servers = []

    async def start(answer: Callable[[int, bytes], web.Response]) -> str:
        count = 0

        async def handle(request: web.Request) -> web.Response:
            nonlocal count
            count += 1
            return answer(count, await request.read())

        app = web.Application()
        app.router.add_post("/webhooks/test", handle)
        server = TestServer(app)
        await server.start_server()
        servers.append(server)
        return str(server.make_url("/webhooks/test"))

    yield start
    for server in servers:
        await server.close()


def sign(events: list[bytes]) -> Request:
    return Request({}, b",".join(events), len(events))


def test_batches() -> None:
    records = [RawRecord("sendgrid", str(i).encode(), None, 0) for i in range(5)]

    assert [[b"0", b"1"], [b"2", b"3"], [b"4"]] == list(batches(records, 2))
    assert [] == list(batches([], 2))


async def test_what_is_refused_for_a_while_comes_again_when_told(serve: Serve) -> None:
    taken = []
    asked: list[float] = []

    def answer(number: int, body: bytes) -> web.Response:
        asked.append(time.monotonic())
        if number == 1:
            return web.Response(status=503, headers={"Retry-After": "1"})
        if number == 2:
            return web.Response(status=429, headers={"Retry-After": "0"})
        taken.append(body)
        return web.Response()

    poster = Poster(await serve(answer), sign, connections=1)
    posted = await poster.post_all([[b"a", b"b"], [b"c"]])

    assert [b"a,b", b"c"] == taken
    assert (2, 3, 2) == (posted.requests, posted.events, posted.repeated)
    assert {"503": 1, "429": 1, "200": 2} == posted.answers
    assert asked[1] - asked[0] >= 1.0


async def test_a_rate_is_kept(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not exceeded, and no pause is longer than it takes: the last of 20 is due after 19/40 of a second."""
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(seconds)

    poster = Poster(await serve(lambda _number, _body: web.Response()), sign)
    monkeypatch.setattr(asyncio, "sleep", pause)
    began = time.monotonic()
    await poster.post_all([[b"x"]] * 20, rate=40.0)

    assert time.monotonic() - began > 0.4
    assert 0.0 < sum(pauses) <= 0.5


@pytest.mark.parametrize("status, words", [(401, "--make-key"), (403, "AFTERSEND_GATEWAY_SECRETS_DIR"), (404, "--url")])
async def test_what_is_refused_for_good_is_told(serve: Serve, status: int, words: str) -> None:
    poster = Poster(await serve(lambda _number, _body: web.Response(status=status)), sign)

    with pytest.raises(AftersendError, match=words):
        await poster.post_all([[b"x"]] * 100)


async def test_what_is_refused_for_too_long_is_told(serve: Serve) -> None:
    later = web.Response(status=503, headers={"Retry-After": "0"})
    poster = Poster(
        await serve(lambda _number, _body: web.Response(status=later.status, headers=later.headers)), sign, patience=0.3
    )

    with pytest.raises(AftersendError, match="the last answer: 503"):
        await poster.post_all([[b"x"]])


async def test_that_nobody_is_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "_NOBODY", 0.2)
    poster = Poster("http://127.0.0.1:1/webhooks/test", sign)

    with pytest.raises(AftersendError, match="is the gateway running"):
        await poster.post_all([[b"x"]])
