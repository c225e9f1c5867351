"""Additions to aiokafka's producer; closing by force on a real broker is in tests/system/test_exactly_once.py."""

from __future__ import annotations

import asyncio
from typing import Any

from aftersend.engine.aiokafka.producers import ThrottledClient


class Client:
    """A client whose broker is unreachable: every request fails at once."""

    def __init__(self, *, available: bool = False) -> None:
        self.requests = 0
        self.available = available
        self.hosts = ["kafka"]

    async def force_metadata_update(self) -> bool:
        self.requests += 1
        return self.available


async def test_metadata_are_requested_at_intervals_while_no_broker_answers() -> None:
    client = Client()
    throttled = ThrottledClient(client)
    try:
        async with asyncio.timeout(0.35):
            while True:
                await throttled.force_metadata_update()
    except TimeoutError:
        pass
    assert 2 <= client.requests <= 4


async def test_metadata_that_a_broker_gives_arrive_at_once() -> None:
    client = Client(available=True)
    throttled: Any = ThrottledClient(client)
    async with asyncio.timeout(0.05):
        for _ in range(10):
            assert await throttled.force_metadata_update()
    assert ["kafka"] == throttled.hosts, "all else is the client's own"
