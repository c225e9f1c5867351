"""Reads of the positions topic are shared, but never older than what asks for them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from aftersend.engine.positions import PositionLog


class Topic:
    """Counts reads, each of which lasts until the test lets it end."""

    def __init__(self) -> None:
        self.reads = 0
        self.may_end = asyncio.Event()
        self.errors: list[Exception] = []

    async def bounds(self, _options: Any, keys: list[Any]) -> Any:
        self.reads += 1
        await self.may_end.wait()
        if self.errors:
            raise self.errors.pop(0)
        return dict.fromkeys(keys, (0, 7))

    async def read(self, *_args: Any, **_more: Any) -> Any:
        return {}


@pytest.fixture
async def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    topic = Topic()
    monkeypatch.setattr("aftersend.engine.changelog.bounds", topic.bounds)
    monkeypatch.setattr("aftersend.engine.changelog.read", topic.read)
    return topic


async def test_those_who_ask_during_a_read_share_the_next_one(topic: Topic) -> None:
    log = PositionLog({}, "positions", {}, 60.0)
    first = asyncio.create_task(log.refresh())
    await asyncio.sleep(0)
    assert 1 == topic.reads
    others = [asyncio.create_task(log.refresh()) for _ in range(50)]
    await asyncio.sleep(0)
    topic.may_end.set()
    await asyncio.gather(first, *others)
    assert 2 == topic.reads, "the first read began before the others asked"
    await log.refresh()
    assert 3 == topic.reads


async def test_a_read_that_failed_is_shared_by_nobody(topic: Topic) -> None:
    log = PositionLog({}, "positions", {}, 60.0)
    topic.errors = [KafkaConnectionError(), KafkaConnectionError()]
    topic.may_end.set()
    outcomes = await asyncio.gather(*(log.refresh() for _ in range(4)), return_exceptions=True)
    assert 2 == sum(isinstance(outcome, KafkaConnectionError) for outcome in outcomes)
    assert 3 <= topic.reads
