"""Deliveries expire in Redis; nothing else is lost or written again because of it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import redis.asyncio as redis

from aftersend.publish.redis.publisher import KpiPublisher
from tests.system.live_kpis.partitions import DAY, EXPIRY_DAYS, Partition, part, summed


async def test_a_delivery_expires_after_its_last_event(publisher_of: Any, client: redis.Redis, unique: str) -> None:
    """Whichever partition has them, and whichever writes last."""
    publisher = publisher_of()
    first, second = Partition(publisher, 0), Partition(publisher, 1)
    first.take((1, 0))
    second.take((1, 0))
    now = time.time()
    second.change(d=part(1, at=now))
    await publisher.flush()
    first.change(d=part(1, at=now - 40 * DAY))
    await publisher.flush()

    left = await client.pttl(f"{unique}:kpi:d") / 1000 / DAY
    assert EXPIRY_DAYS - 0.1 < left <= EXPIRY_DAYS


async def test_an_expired_delivery_is_complete_after_its_next_event(
    publisher_of: Any, client: redis.Redis, totals: Any, unique: str
) -> None:
    publisher = publisher_of()
    first, second = Partition(publisher, 0), Partition(publisher, 1)
    old = time.time() - 60 * DAY
    first.parts["d"] = part(10, at=old)
    second.parts["d"] = part(5, at=old)
    first.take((1, 0))
    second.take((1, 0))
    await publisher.flush()
    assert {} == await totals("d")
    assert 0 == await client.exists(f"{unique}:kpi:d")

    second.change(d=part(5, 1))
    await publisher.flush()
    publisher._dormant_until = 0.0
    await publisher.flush()
    assert summed(part(10), part(5, 1)) == await totals("d")


async def scripts_run(client: redis.Redis) -> int:
    """Return the number of scripts that the server has run since its statistics were reset."""
    found: Any = await client.info("commandstats")
    return int(found.get("cmdstat_evalsha", {}).get("calls", 0))


async def flush_until_quiet(*publishers: KpiPublisher) -> None:
    """Flush as the task does, as long as something calls for it."""
    for _ in range(50):
        for publisher in publishers:
            publisher._wake.clear()
            await publisher.flush()
        if not any(publisher._wake.is_set() for publisher in publishers):
            break


async def test_events_older_than_the_expiry_are_written_without_loss(
    publisher_of: Any, client: redis.Redis, totals: Any, unique: str
) -> None:
    """A record that expires as it is written would look like data loss, which all workers repair."""
    publishers = [publisher_of() for _ in range(2)]
    partitions = [Partition(publishers[number % 2], number) for number in range(8)]
    for partition in partitions:
        partition.take((1, 0))
        for number in range(20):
            partition.change(**{f"today{number}": part(1)})
    await flush_until_quiet(*publishers)
    await client.config_resetstat()

    old = time.time() - 60 * DAY
    for number in range(30):
        partitions[number % 8].change(old=part(1 + number // 8, at=old + number))
        await flush_until_quiet(*publishers)

    assert 30 == await scripts_run(client)
    assert 0 == await client.exists(f"{unique}:kpi:old")
    assert {} == await totals("old")
    assert summed(*[part(1)] * 8) == await totals("today7")


async def test_a_delivery_that_expired_long_ago_is_complete_again_after_its_next_change(
    publisher_of: Any, client: redis.Redis, totals: Any, unique: str
) -> None:
    """Its expiry was no data loss: no other delivery is written again."""
    publishers = [publisher_of() for _ in range(2)]
    first, second = (Partition(publisher, number) for number, publisher in enumerate(publishers))
    almost = time.time() - EXPIRY_DAYS * DAY + 1.0
    for partition in (first, second):
        partition.take((1, 0))
        partition.change(d=part(10, at=almost), other=part(7))
    await flush_until_quiet(*publishers)
    assert summed(part(10), part(10)) == await totals("d")
    while await client.exists(f"{unique}:kpi:d"):
        await asyncio.sleep(0.1)
    for publisher in publishers:
        publisher._dormant_until = 0.0
    await flush_until_quiet(*publishers)
    await client.config_resetstat()

    second.change(d=part(10, 1))
    for _ in range(3):
        for publisher in publishers:
            publisher._dormant_until = 0.0
        await flush_until_quiet(*publishers)

    assert summed(part(10), part(10, 1)) == await totals("d")
    assert 2 == await scripts_run(client)
