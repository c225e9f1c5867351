"""A stream that goes on while Redis is away, and a Redis that lost everything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis.asyncio as redis

from aftersend.sandbox.embedded import EmbeddedRedis
from aftersend.sandbox.reference.check import check
from tests.patience import PATIENCE
from tests.system.chaos.installation import Input, Installation
from tests.system.chaos.load import direct_events

Install = Callable[..., Installation]


@pytest.fixture
def load(install: Install) -> tuple[Installation, list[Input]]:
    installation = install(partitions=2)
    events = direct_events(installation.topics, 6_000, 3, time.time() - 3600, 2)
    return installation, list(events)


async def test_the_stream_goes_on_without_redis_which_catches_up(
    load: tuple[Installation, list[Input]], redis_server: EmbeddedRedis
) -> None:
    installation, events = load
    (worker,) = await installation.start()
    await installation.write(events[:2_000])
    await installation.await_caught_up()
    redis_server.kill()
    await installation.write(events[2_000:4_000])
    await installation.await_caught_up()
    assert "redis is unavailable" in worker.log()

    redis_server.start(PATIENCE)
    await installation.finish()


async def test_a_worker_starts_without_redis(
    load: tuple[Installation, list[Input]], redis_server: EmbeddedRedis
) -> None:
    installation, events = load
    redis_server.kill()
    await installation.start()
    await installation.write(events[:1_000])
    await installation.await_caught_up()
    redis_server.start(PATIENCE)
    await installation.finish()


async def test_flushall_is_repaired(load: tuple[Installation, list[Input]], client: redis.Redis) -> None:
    """Of what two workers show, and while nothing changes as well as in the middle of the stream."""
    installation, events = load
    await installation.start(2)
    await installation.write(events[:3_000])
    await installation.await_caught_up()
    before = await _settled(client, installation)
    for _ in range(3):
        await client.flushall()
        async with asyncio.timeout(PATIENCE):
            while await _shown(client, installation) != before:
                await asyncio.sleep(0.1)
    writing = asyncio.create_task(installation.write(events[3_000:], rate=1_000))
    while not writing.done():
        await asyncio.sleep(0.3)
        await client.flushall()
    await writing
    await installation.finish()


async def _shown(client: redis.Redis, installation: Installation) -> dict[str, dict[str, str]]:
    shown = {}
    async for key in client.scan_iter(f"{installation.settings.redis_prefix}:kpi:*"):
        fields: Any = await client.hgetall(key)
        shown[key] = {k: v for k, v in fields.items() if not k.startswith("_p") and k != "revision" and v != "0"}
    return shown


async def _settled(client: redis.Redis, installation: Installation) -> dict[str, dict[str, str]]:
    """Return what is shown once it changes no more."""
    async with asyncio.timeout(PATIENCE):
        while not (await check(installation.settings)).equal:
            pass  # which waits for Redis itself
    return await _shown(client, installation)
