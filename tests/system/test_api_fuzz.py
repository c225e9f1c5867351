"""Mutated requests to a worker's API: an answer for each, never a 500."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from tests.fuzz.mutation import ODD_VALUES, Mutator
from tests.fuzz.portions import SCALE, SEED
from tests.patience import PATIENCE
from tests.system.chaos.installation import Installation
from tests.system.test_api import OPERATOR, VIEWER, start, write

pytestmark = pytest.mark.slow

NUMBER: Final = 1_500 * SCALE
PATHS: Final = (
    "/openapi.json",
    "/deliveries",
    "/deliveries/{}",
    "/deliveries/{}/recipients/{}",
    "/deliveries/{}/recipients/{}/explanation",
    "/recipients/{}",
    "/suppression/check",
    "/control/{}",
    "/metrics",
    "/{}",
)
PARAMETERS: Final = ("limit", "sort", "after", "cursor", "raw", "view", "as_of", "state", "type", "search", "{}")
QUESTION: Final = json.dumps({"addresses": ["person0@example.org", "nobody@example.org"], "type": "campaign"}).encode()


def text(rng: random.Random) -> str:
    """Return what stands in a path or parameter."""
    odd = rng.choice(ODD_VALUES)
    return rng.choice(("sale", "person0@example.org", "1", "true", str(odd)[:1500]))


def request(rng: random.Random) -> tuple[str, str, dict[str, str]]:
    """Return method, target and headers of a request."""
    path = rng.choice(PATHS)
    while "{}" in path:
        path = path.replace("{}", quote(text(rng).encode("utf-8", "surrogatepass"), safe=rng.choice(("", "/@%"))), 1)
    query = "&".join(
        rng.choice(PARAMETERS).replace("{}", "x") + "=" + quote(text(rng).encode("utf-8", "surrogatepass"))
        for _ in range(rng.choice((0, 0, 1, 1, 2, 4)))
    )
    headers = {"Authorization": rng.choice((f"Bearer {OPERATOR}", f"Bearer {VIEWER}", "Bearer ", "Basic eDp5", "\xff"))}
    if rng.random() < 0.2:
        headers |= {rng.choice(("Accept", "Range", "Cookie", "Accept-Language", "If-None-Match")): "x" * 500}
    path = rng.choice(("/api/v1", "/api/v1", "/api/v1", "")) + path
    return rng.choice(("GET", "GET", "GET", "POST", "DELETE")), f"{path}?{query}" if query else path, headers


async def test_any_request_gets_an_answer_that_is_no_500(install: Callable[..., Installation]) -> None:
    installation, (port,) = await start(install, 1)
    await write(installation, "clicked", ["person0@example.org"])
    rng = random.Random(f"{SEED} api")
    bodies = Mutator(f"{SEED} questions", [QUESTION]).records(NUMBER)
    seen: dict[int, int] = {}
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for body in bodies:
            method, target, headers = request(rng)
            sent = body if method == "POST" else None
            url = f"http://127.0.0.1:{port}{target}"
            try:
                async with session.request(method, _as_is(url), headers=headers, data=sent) as answer:
                    await answer.read()
                    seen[answer.status] = seen.get(answer.status, 0) + 1
                    assert answer.status < 500 or answer.status == 503, (method, target, headers, body[:500])
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                seen[0] = seen.get(0, 0) + 1  # refused before its body was sent
    assert {200, 401, 404} <= seen.keys(), seen
    assert seen.get(0, 0) + seen.get(503, 0) < NUMBER / 10, seen
    assert installation.workers[0].running
    assert "Traceback" not in installation.workers[0].tail(500)


def _as_is(url: str) -> URL:
    """Return a URL whose escapes nobody changes."""
    return URL(url, encoded=True)


async def test_a_slow_request_delays_no_other(install: Callable[..., Installation]) -> None:
    _, (port,) = await start(install, 1)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /suppression/check HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
    await writer.drain()
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/api/v1/openapi.json") as answer,
    ):
        assert 200 == answer.status
    writer.close()
    del reader
