"""Publishers, and the counters that they wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import redis.asyncio as redis

from aftersend.publish.redis.publisher import KpiPublisher
from aftersend.sandbox.embedded import EmbeddedRedis
from tests.system.live_kpis.partitions import EXPIRY_DAYS


@pytest.fixture
async def publisher_of(redis_server: EmbeddedRedis, unique: str) -> AsyncIterator[Callable[..., KpiPublisher]]:
    made: list[KpiPublisher] = []

    def make(url: str = redis_server.url, cluster: str = "cluster") -> KpiPublisher:
        client = redis.from_url(url, decode_responses=True, socket_timeout=2.0, socket_connect_timeout=1.0)
        made.append(KpiPublisher(client, prefix=unique, cluster=cluster, interval=0.05, expiry_days=EXPIRY_DAYS))
        return made[-1]

    yield make
    for publisher in made:
        await publisher.stop()


@pytest.fixture
def totals(client: redis.Redis, redis_server: EmbeddedRedis, unique: str) -> Callable[[str], Awaitable[dict[str, int]]]:
    """Return what reads a delivery's counters; those that are 0 are left out."""

    async def read(delivery_id: str) -> dict[str, int]:
        async with redis.from_url(redis_server.url, decode_responses=True) as reader:
            fields: Any = await reader.hgetall(f"{unique}:kpi:{delivery_id}")
        others = {"started_at", "updated_at", "revision"}
        return {k: int(v) for k, v in fields.items() if not k.startswith("_p") and k not in others and v != "0"}

    return read
