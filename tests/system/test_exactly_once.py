"""Each event counts exactly once, whatever breaks: workers killed, stopped and frozen, broker and Redis restarted.

The long version runs with `make chaos`; `SEED=…` repeats a run's faults.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from faust.types import TP

from aftersend.config.loading import load
from aftersend.config.settings import Settings
from aftersend.engine import admin, changelog
from aftersend.engine.aiokafka.offsets import wait_for_committed_offsets
from aftersend.engine.transaction import TransactionalWriter
from aftersend.errors import EXIT_OK, FencedError, TransactionFailedError
from aftersend.sandbox.embedded import EmbeddedKafka
from aftersend.schemas.topics import TopicLayout
from tests.patience import PATIENCE
from tests.system.chaos.installation import Installation
from tests.system.chaos.load import direct_events
from tests.system.chaos.run import Scale, run

SHORT = Scale(recipients=4_000, events=18_000, workers=3, seconds=45.0, gaps=(2.0, 3.5), patience=2 * PATIENCE)
LONG = Scale(recipients=65_000, events=130_000, workers=3, seconds=240.0, gaps=(3.0, 7.0), patience=5 * PATIENCE)
#: As `SHORT`, with hostile records and wrong clocks in between.
HOSTILE = SHORT._replace(hostile=400, wrong_clocks=3, seconds=60.0)
#: A million honest events and all faults, in `HOUR` seconds.
HOUR = Scale(
    recipients=250_000,
    events=250_000,
    workers=3,
    seconds=float(os.environ.get("HOUR") or 3600.0),
    gaps=(5.0, 20.0),
    patience=5 * PATIENCE,
    hostile=5_000,
    wrong_clocks=10,
    most_mib=1_500.0,
    most_standstill=60.0,
)

#: The longest transaction that a broker allows, seconds: whoever had to wait for its end would run into PATIENCE.
LONGEST = 15 * 60

Writers = Callable[..., TransactionalWriter]


@pytest.mark.slow
@pytest.mark.timeout(1600)
@pytest.mark.parametrize("store", ["memory", "rocksdb"])
async def test_every_number_is_right_after_a_short_chaos(store: str, tmp_path: Path) -> None:
    await run(tmp_path, SHORT, 1, store=store, partitions=4)


@pytest.mark.slow
@pytest.mark.timeout(1600)
async def test_every_number_is_right_with_hostile_records_and_wrong_clocks(tmp_path: Path) -> None:
    await run(tmp_path, HOSTILE, 1, store="memory", partitions=4)


@pytest.mark.chaos
@pytest.mark.timeout(14_400)
@pytest.mark.parametrize("store", ["memory", "rocksdb"])
async def test_every_number_is_right_after_a_hostile_hour(store: str, tmp_path: Path) -> None:
    """A million honest events among hostile records, wrong clocks, kills and outages; `HOUR=900` takes 15 minutes."""
    await run(tmp_path, HOUR, int(os.environ.get("SEED") or secrets.randbelow(10_000)), store=store, partitions=4)


@pytest.mark.chaos
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("store", ["memory", "rocksdb"])
async def test_every_number_is_right_after_a_long_chaos(store: str, tmp_path: Path) -> None:
    """At least 300,000 events: some 195,000 raw records and 130,000 events that come directly."""
    seed = int(os.environ.get("SEED") or secrets.randbelow(10_000))
    await run(tmp_path, LONG, seed, store=store, partitions=4)


class Ledger:
    """A topic that transactions write to, and the offsets that they commit for a source."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self.settings = settings
        self.topic = topic
        self.source = (f"{topic}-source", 0)
        self.group = f"{topic}-group"
        self.id = f"{topic}-id"
        self.writers: list[TransactionalWriter] = []

    async def writer(self, timeout: float = 60.0) -> TransactionalWriter:
        """Return a started writer, a later owner than all before."""
        self.writers.append(TransactionalWriter(self.settings.kafka_options(), self.id, self.group, timeout))
        await self.writers[-1].start()
        return self.writers[-1]

    async def write(self, writer: TransactionalWriter, word: str, next_offset: int) -> dict[tuple[str, int], int]:
        """Write a word and an offset in a transaction."""
        output = writer.output()
        output.channel(self.topic, 0).append(b"word", word.encode(), 1_790_000_000_000)
        return await writer.commit(output, self.source, next_offset)

    async def words(self) -> list[str]:
        """Return what a reader of committed records sees."""
        seen: list[str] = []
        await changelog.read(
            self.settings.kafka_options(),
            {(self.topic, 0): None},
            lambda _topic, _partition, records: seen.extend((record.value or b"").decode() for record in records),
        )
        return seen

    async def committed(self) -> int | None:
        """Return the committed offset of the source."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.kafka_bootstrap, group_id=self.group, enable_auto_commit=False
        )
        await consumer.start()
        try:
            source = TP(*self.source)
            return (await wait_for_committed_offsets(consumer, [source], PATIENCE)).get(source)
        finally:
            await consumer.stop()


@pytest.fixture
async def ledger(kafka: EmbeddedKafka, unique: str) -> AsyncIterator[Ledger]:
    ledger = Ledger(load(kafka_bootstrap=kafka.bootstrap), unique)
    layouts = [TopicLayout(name, 1, {"cleanup.policy": "delete"}, "") for name in (unique, ledger.source[0])]
    await admin.apply_topics(ledger.settings.kafka_options(), layouts, 1)
    yield ledger
    for writer in ledger.writers:
        await writer.close()


async def test_a_later_owner_fences_the_earlier_one(ledger: Ledger) -> None:
    """What the earlier one writes from then on is not there, nor is the offset."""
    earlier = await ledger.writer()
    await ledger.write(earlier, "before", 10)
    later = await ledger.writer()

    with pytest.raises(FencedError):
        await ledger.write(earlier, "from a zombie", 20)

    assert ["before"] == await ledger.words()
    assert 10 == await ledger.committed()
    assert earlier.epoch < later.epoch
    await ledger.write(later, "after", 15)
    assert ["before", "after"] == await ledger.words()
    assert 15 == await ledger.committed()


async def test_a_take_over_ends_what_the_former_owner_left_open(ledger: Ledger) -> None:
    """A worker was killed when all had been sent and nothing committed: who comes next need not wait for a timeout."""
    killed = AIOKafkaProducer(
        bootstrap_servers=ledger.settings.kafka_bootstrap,
        transactional_id=ledger.id,
        transaction_timeout_ms=LONGEST * 1000,
    )
    await killed.start()
    await killed.begin_transaction()
    await killed.send_and_wait(ledger.topic, b"half done", partition=0)
    await killed.send_offsets_to_transaction({TopicPartition(*ledger.source): 10}, ledger.group)

    async with asyncio.timeout(PATIENCE):
        later = await ledger.writer()
        assert [] == await ledger.words()
        assert await ledger.committed() is None
    await ledger.write(later, "done", 10)
    assert ["done"] == await ledger.words()
    with pytest.raises(KafkaError):
        await killed.commit_transaction()
    assert ["done"] == await ledger.words()
    await killed.stop()


async def test_a_commit_tells_where_its_records_end(ledger: Ledger) -> None:
    writer = await ledger.writer()
    first = await ledger.write(writer, "one", 1)
    second = await ledger.write(writer, "two", 2)
    assert {(ledger.topic, 0): 1} == first
    assert {(ledger.topic, 0): 3} == second, "a transaction's end takes an offset too"


async def test_an_empty_transaction_commits_its_offset(ledger: Ledger) -> None:
    writer = await ledger.writer()
    assert {} == await writer.commit(writer.output(), ledger.source, 7)
    assert 7 == await ledger.committed()


@pytest.mark.slow
async def test_a_commit_without_an_answer_fails_in_time_and_leaves_nothing_behind(
    ledger: Ledger, kafka: EmbeddedKafka
) -> None:
    writer = await ledger.writer()
    await ledger.write(writer, "before", 1)
    writer._timeout = 3.0
    tasks = len(asyncio.all_tasks())
    kafka.pause()
    try:
        with pytest.raises(TransactionFailedError):
            await ledger.write(writer, "unanswered", 2)
        async with asyncio.timeout(PATIENCE):  # in order it would last for as long as the broker is away
            await writer.close()
        assert tasks > len(asyncio.all_tasks()), "those of the producer have ended"
    finally:
        kafka.resume()
    later = await ledger.writer()
    # Whether it was committed, the offset tells; both or none.
    words, offset = await ledger.words(), await ledger.committed()
    assert (words, offset) in ((["before"], 1), (["before", "unanswered"], 2))
    await ledger.write(later, "after", 3)
    assert "after" == (await ledger.words())[-1]


@pytest.mark.slow
async def test_a_stop_in_good_order_leaves_nothing_open(install: Callable[..., Installation]) -> None:
    """Under load: the process ends, no transaction is open, and the next worker goes on at once and exactly."""
    installation = install(transaction_timeout=float(LONGEST))
    (first,) = await installation.start()
    load = direct_events(installation.topics, 16_000, 5, time.time() - 3600, installation.settings.partitions)
    writing = asyncio.create_task(installation.write(load, rate=6_000))
    await installation.await_begun()

    first.terminate()
    assert EXIT_OK == await first.wait()
    assert [] == await _open_transactions(installation)

    installation.add_worker().start()
    await writing
    await installation.finish()


async def _open_transactions(installation: Installation) -> list[str]:
    """Return the partitions of our output where a reader of committed records does not come to the end."""
    options = installation.settings.kafka_options()
    topics = [installation.topics.status, installation.topics.kpis, installation.topics.contacts]
    partitions = [TopicPartition(topic, p) for topic in topics for p in range(installation.settings.partitions)]
    consumer = AIOKafkaConsumer(**options, isolation_level="read_committed", auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        left = {tp for tp in partitions if ends[tp]}
        deadline = time.monotonic() + PATIENCE
        while left and time.monotonic() < deadline:
            await consumer.getmany(*left, timeout_ms=200)
            left = {tp for tp in left if await consumer.position(tp) < ends[tp]}
    finally:
        await consumer.stop()
    return [f"{tp.topic}-{tp.partition}" for tp in left]
