"""Additions to aiokafka's producer; closing by force on a real broker is in tests/system/test_exactly_once.py."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from aftersend.engine.aiokafka import producers
from aftersend.engine.aiokafka.producers import ThrottledClient
from tests.patience import PATIENCE


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
    began = time.monotonic()
    for _ in range(3):
        assert not await throttled.force_metadata_update()
    assert 3 == client.requests
    assert time.monotonic() - began > 3 * producers._METADATA_SECONDS * 0.9


async def test_metadata_that_a_broker_gives_arrive_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producers, "_METADATA_SECONDS", 2 * PATIENCE)
    client = Client(available=True)
    throttled: Any = ThrottledClient(client)
    async with asyncio.timeout(PATIENCE):
        for _ in range(10):
            assert await throttled.force_metadata_update()
    assert ["kafka"] == throttled.hosts, "all else is the client's own"
