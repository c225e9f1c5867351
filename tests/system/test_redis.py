"""The live KPIs in Redis: right whatever happens to Redis, to workers, and between the two."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import pytest
import redis.asyncio as redis
from redis.exceptions import RedisError

from aftersend.errors import RedisOwnedError
from aftersend.publish.redis.publisher import KpiPublisher, counters
from aftersend.rules.kpi.indicators import totals_of
from aftersend.rules.recipient.decisions import Decision
from aftersend.rules.recipient.facts import Fact
from aftersend.rules.recipient.kinds import OPENED, SENT
from aftersend.sandbox.embedded import EmbeddedRedis
from aftersend.schemas.kpi import KpiPartial
from aftersend.schemas.packing import pack_bucket, pack_event_counter
from tests.patience import PATIENCE
from tests.system.chaos.installation import Installation

Install = Callable[..., Installation]
EXPIRY_DAYS: Final = 45.0
DAY: Final = 86_400.0
STATUS_SENT: Final = 3


def part(sent: int, opened: int = 0, *, at: float | None = None, version: int = 1) -> KpiPartial:
    """Return a partition's part: rows that were sent, and some that were opened."""
    at = time.time() if at is None else at
    return KpiPartial(
        {
            pack_bucket(STATUS_SENT, Fact.SENT): sent,
            pack_bucket(8, Fact.SENT | Fact.DELIVERED | Fact.OPENED): opened,
        },
        {
            pack_event_counter(1, SENT, Decision.APPLIED): sent + opened,
            pack_event_counter(1, OPENED, Decision.APPLIED): opened,
        },
        at,
        at,
        version,
    )


class Partition:
    """A partition's committed KPIs, and one who publishes them."""

    def __init__(self, publisher: KpiPublisher, number: int) -> None:
        self.publisher = publisher
        self.number = number
        self.parts: dict[str, KpiPartial] = {}
        self.offset = 0

    def take(self, epoch: tuple[int, int]) -> None:
        self.publisher.taken_over(self.number, epoch, lambda: iter(self.parts.items()))

    def change(self, **parts: KpiPartial) -> None:
        self.offset += 10
        self.parts.update(parts)
        self.publisher.changed(self.number, self.offset, parts, {name: totals_of(part) for name, part in parts.items()})


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


def summed(*parts: KpiPartial) -> dict[str, int]:
    """Return the counters of parts added up."""
    result: dict[str, int] = {}
    for one in parts:
        for name, number in counters(totals_of(one)).items():
            result[name] = result.get(name, 0) + number
    return result


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
