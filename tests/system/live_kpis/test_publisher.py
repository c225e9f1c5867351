"""The live KPIs in Redis: right whatever happens to Redis, to workers, and between the two."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import redis.asyncio as redis
from redis.exceptions import RedisError

from aftersend.errors import RedisOwnedError
from aftersend.sandbox.embedded import EmbeddedRedis
from tests.patience import PATIENCE
from tests.system.live_kpis.partitions import Partition, part, summed


async def test_partitions_add_up_and_corrections_are_signed(publisher_of: Any, totals: Any) -> None:
    publisher = publisher_of()
    first, second = Partition(publisher, 0), Partition(publisher, 1)
    first.take((1, 0))
    second.take((1, 0))
    first.change(d=part(10))
    second.change(d=part(5, 2))
    await publisher.flush()
    assert summed(part(10), part(5, 2)) == await totals("d")

    first.change(d=part(7, 3))
    await publisher.flush()
    assert summed(part(7, 3), part(5, 2)) == await totals("d")


async def test_a_write_of_an_earlier_owner_is_rejected(publisher_of: Any, totals: Any) -> None:
    """A worker whose partition has been taken over, before it is informed."""
    old, new = publisher_of(), publisher_of()
    stale, current = Partition(old, 0), Partition(new, 0)
    stale.take((7, 0))
    stale.change(d=part(10))
    await old.flush()
    current.take((7, 1))
    current.change(d=part(12, 1))
    await new.flush()

    stale.change(d=part(11))
    await old.flush()
    old.released(0)

    assert summed(part(12, 1)) == await totals("d")
    assert 0 < old.refused
    assert 0 == new.refused
    # What the two marked as written does not keep the current owner from noticing.
    await new.flush()
    await new.flush()
    assert summed(part(12, 1)) == await totals("d")


async def test_a_write_with_an_earlier_offset_is_rejected(publisher_of: Any, totals: Any) -> None:
    one, other = publisher_of(), publisher_of()
    later, earlier = Partition(one, 0), Partition(other, 0)
    for partition in (later, earlier):
        partition.take((7, 0))
    later.offset = 100
    later.change(d=part(12))
    earlier.change(d=part(11))
    await one.flush()
    await other.flush()
    assert summed(part(12)) == await totals("d")
    assert 1 == other.refused


async def test_another_installation_does_not_write_until_the_keys_are_deleted(
    publisher_of: Any, totals: Any, client: redis.Redis, unique: str
) -> None:
    """Their parts have the same names, so each would adjust the other's totals."""
    old, new = publisher_of(cluster="old"), publisher_of(cluster="new")
    before, after = Partition(old, 0), Partition(new, 0)
    await old.check_owner()
    before.take((4000, 9))
    before.change(d=part(100))
    await old.flush()
    with pytest.raises(RedisOwnedError, match=f"{unique}:.* belong to the installation old .*AFTERSEND_REDIS_PREFIX"):
        await new.check_owner()
    after.take((1, 0))
    after.change(d=part(3))
    with pytest.raises(RedisOwnedError):
        await new.flush()
    assert summed(part(100)) == await totals("d")

    await client.delete(*[key async for key in client.scan_iter(f"{unique}:*")])
    await new.flush()
    assert summed(part(3)) == await totals("d")


async def test_of_two_first_starts_one_wins(publisher_of: Any) -> None:
    outcomes = await asyncio.gather(
        *(publisher_of(cluster=f"c{number}").check_owner() for number in range(5)), return_exceptions=True
    )
    assert [RedisOwnedError] * 4 == [type(outcome) for outcome in outcomes if outcome is not None]


async def test_a_start_without_redis_goes_on_and_checks_the_owner_later(publisher_of: Any) -> None:
    await publisher_of("redis://127.0.0.1:1").check_owner()


async def test_watchers_are_notified(publisher_of: Any, client: redis.Redis, unique: str) -> None:
    publisher = publisher_of()
    partition = Partition(publisher, 0)
    partition.take((1, 0))
    async with client.pubsub() as watcher:
        await watcher.subscribe(f"{unique}:changes")
        for sent in (1, 2):
            partition.change(**{"spring sale": part(sent)})
            await publisher.flush()
        messages: list[Any] = []
        while len(messages) < 2:
            message = await watcher.get_message(ignore_subscribe_messages=True, timeout=PATIENCE)
            assert message is not None or not messages
            if message is not None:
                messages.append(json.loads(message["data"]))
    assert [("spring sale", 1), ("spring sale", 2)] == [(one["delivery_id"], one["revision"]) for one in messages]


async def test_flushall_between_reading_and_writing_is_detected(
    publisher_of: Any, client: redis.Redis, totals: Any
) -> None:
    """Whatever the moment: here after it was seen that all was well, before the write of something new."""
    publisher = publisher_of()
    partition = Partition(publisher, 0)
    partition.take((1, 0))
    partition.change(d=part(10))
    await publisher.flush()

    look = publisher._detect_data_loss

    async def look_and_lose() -> None:
        await look()
        await client.flushall()
        # Another worker has detected the loss meanwhile.
        await client.set(f"{publisher._prefix}:generation", "1")

    publisher._detect_data_loss = look_and_lose
    partition.change(e=part(20))
    await publisher.flush()
    publisher._detect_data_loss = look
    await publisher.flush()

    assert summed(part(10)) == await totals("d")
    assert summed(part(20)) == await totals("e")


async def test_a_redis_that_returns_with_older_data_gets_all_deliveries(
    publisher_of: Any, redis_server: EmbeddedRedis, totals: Any
) -> None:
    """A restart from the last snapshot, or a failover to a replica that lagged."""
    publisher = publisher_of()
    partition = Partition(publisher, 0)
    partition.take((1, 0))
    partition.change(d=part(10), e=part(20))
    await publisher.flush()
    async with redis.from_url(redis_server.url) as raw:
        snapshot = {key: await raw.dump(key) for key in await raw.keys("*")}
        partition.change(d=part(11))
        await publisher.flush()
        await raw.flushall()
        for key, value in snapshot.items():
            await raw.restore(key, 0, value or b"")
    assert summed(part(10)) == await totals("d")

    await publisher.flush()
    assert summed(part(11)) == await totals("d")
    assert summed(part(20)) == await totals("e")


async def test_an_evicted_delivery_is_complete_again_after_its_next_change(
    publisher_of: Any, client: redis.Redis, totals: Any, unique: str
) -> None:
    here, there = publisher_of(), publisher_of()
    first, second = Partition(here, 0), Partition(there, 1)
    first.take((1, 0))
    second.take((1, 0))
    first.change(d=part(10))
    second.change(d=part(5))
    for publisher in (here, there):
        await publisher.flush()
    await client.delete(f"{unique}:kpi:d")

    first.change(d=part(11))
    for publisher in (here, there, here):
        await publisher.flush()
    assert summed(part(11), part(5)) == await totals("d")


async def test_a_partition_is_published_as_it_is_when_redis_returns(
    publisher_of: Any, totals: Any, redis_server: EmbeddedRedis
) -> None:
    """What was waiting to be written before is older than what another worker has made of it since."""
    publisher, other = publisher_of(), publisher_of()
    ours, theirs = Partition(publisher, 0), Partition(other, 0)
    ours.take((1, 0))
    ours.change(d=part(10))
    await publisher.flush()
    redis_server.kill()
    ours.change(d=part(11))
    with pytest.raises(redis.RedisError):
        await publisher.flush()
    # As a write that was under way would leave it behind when it fails after the partition has gone.
    waiting = dict(publisher._changed)
    publisher.released(0)
    publisher._changed.update(waiting)
    redis_server.start(PATIENCE)
    theirs.take((1, 1))
    theirs.change(d=part(15))
    await other.flush()
    other.released(0)

    ours.parts = theirs.parts
    ours.take((1, 2))
    await publisher.flush()
    assert summed(part(15)) == await totals("d")


async def test_only_deliveries_and_marks_are_kept(publisher_of: Any, client: redis.Redis, unique: str) -> None:
    """Nothing grows but by deliveries, and each of those goes when its time has come."""
    publisher = publisher_of()
    partition = Partition(publisher, 3)
    partition.take((1, 0))
    for number in range(5):
        partition.change(**{f"d{number}": part(number + 1)})
        await publisher.flush()
    keys = {key async for key in client.scan_iter("*")}
    marks = {f"{unique}:owner", f"{unique}:generation", f"{unique}:flushed:3"}
    assert {f"{unique}:kpi:d{n}" for n in range(5)} | marks == keys
    assert all([await client.pttl(f"{unique}:kpi:d{n}") > 0 for n in range(5)])


async def test_stopping_does_not_wait_for_an_unavailable_redis(publisher_of: Any, redis_server: EmbeddedRedis) -> None:
    publisher = publisher_of()
    partition = Partition(publisher, 0)
    partition.take((1, 0))
    publisher.start()
    await asyncio.sleep(0.2)
    redis_server.kill()
    try:
        partition.change(d=part(1))
        async with asyncio.timeout(PATIENCE):
            await publisher.stop()
    finally:
        redis_server.start(PATIENCE)


async def test_the_heartbeat_is_published_when_redis_has_confirmed_it(publisher_of: Any) -> None:
    """With nothing else to write, too; not while Redis is away, and not for a partition that has gone."""
    publisher = publisher_of()
    first, second = Partition(publisher, 0), Partition(publisher, 1)
    first.take((1, 0))
    second.take((1, 0))
    publisher.ticked(0, 1000.0)
    publisher.ticked(1, 1000.0)
    assert {} == publisher.heartbeat.last
    await publisher.flush()
    assert {("redis", 0): 1000.0, ("redis", 1): 1000.0} == publisher.heartbeat.last
    publisher.released(1)
    publisher.ticked(1, 1005.0)
    publisher.ticked(0, 1005.0)
    await publisher.flush()
    assert {("redis", 0): 1005.0} == publisher.heartbeat.last

    away = publisher_of("redis://127.0.0.1:1/0")
    Partition(away, 0).take((1, 0))
    away.ticked(0, 1000.0)
    with pytest.raises(RedisError):
        await away.flush()
    assert {} == away.heartbeat.last
