"""A partition's state from its changelogs on a real broker: the same as was committed, nothing more, and quickly."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from math import inf
from pathlib import Path
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaProducer

from aftersend.agents.track import Track, TrackState
from aftersend.config.installation import topic_layouts
from aftersend.config.loading import load
from aftersend.config.settings import Settings
from aftersend.engine import admin
from aftersend.engine.partitions.batch import Batch
from aftersend.engine.transaction import TransactionalWriter
from aftersend.processes.worker import fold_options, store_opener
from aftersend.sandbox.embedded import EmbeddedKafka
from aftersend.schemas.topics import Topics
from aftersend.services.installation import codec
from aftersend.tables.restore import restore
from aftersend.tables.stores.base import PartitionStore
from tests.system.chaos.load import direct_events

EVENTS: Final = 12_000
BATCH: Final = 500
#: Of the processor time that folding the events took; it is less than a fifth.
MOST_OF_FOLDING: Final = 0.5
RESTORES: Final = 5


class _Record:
    """An event, as folding wants it."""

    headers: Final[list[Any]] = []

    def __init__(self, offset: int, timestamp: int, key: bytes | None, value: bytes) -> None:
        self.offset = offset
        self.timestamp = timestamp
        self.key = key
        self.value = value


class _NoSink:
    """Shows nobody anything."""

    def taken_over(self, *_: Any) -> None:
        pass

    def changed(self, *_: Any) -> None:
        pass

    def ticked(self, *_: Any) -> None:
        pass

    def released(self, *_: Any) -> None:
        pass


class Changelogs:
    """A partition whose events are folded here, in transactions, as its owner would."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        topics = settings.topics
        self.events: list[Any] = [
            _Record(i, record.timestamp_ms, record.key, record.value)
            for i, record in enumerate(direct_events(Topics(), EVENTS, 9, time.time() - 3600, 1))
        ]
        self.folded = 0
        self.source = topics.events
        self.writer = TransactionalWriter(settings.kafka_options(), topics.prefix, topics.prefix, 20.0)
        self.track = self.processor("owner")
        self.state: TrackState | None = None

    def processor(self, name: str, kind: str = "memory") -> Track:
        """Return what restores and folds, with a store of some kind in a directory of its own."""
        settings = load(store=kind, data_dir=str(self.settings.data_dir / name))
        opener = store_opener(settings, "cluster")
        return Track(self.settings, codec(self.settings), fold_options(self.settings), opener, _NoSink())

    async def start(self) -> None:
        await admin.apply_topics(self.settings.kafka_options(), topic_layouts(self.settings), 1)
        await self.writer.start()
        self.state = await self.track.restore(self.source, 0, self.writer.epoch)

    async def fold(self, events: int) -> PartitionStore:
        """Fold some more events; return the store that they are in."""
        assert self.state is not None
        for _ in range(0, events, BATCH):
            batch = Batch(self.folded, self.events[self.folded : self.folded + BATCH])
            output = self.writer.output()
            pending = self.track.process(self.state, batch, output)
            ends = await self.writer.commit(output, (self.source, 0), batch.next_offset)
            self.track.committed(self.state, pending, ends, batch.next_offset)
            self.folded += BATCH
        return self.state.store


def content(store: PartitionStore) -> dict[str, Any]:
    """Return all that a store holds."""
    parts = dict(store.partials())
    rows = {(delivery, r): row for delivery in parts for r, row in store.scan(delivery, None, 100_000)}
    contacts = {recipient: store.contact(recipient) for _, recipient in rows}
    shown = {d: (p.buckets, p.events, p.started_at, p.updated_at, p.version) for d, p in parts.items()}
    return {"rows": rows, "contacts": contacts, "kpis": shown, "tick": store.tick}


@pytest.fixture
async def changelogs(kafka: EmbeddedKafka, unique: str, tmp_path: Path) -> AsyncIterator[Changelogs]:
    changelogs = Changelogs(
        load(kafka_bootstrap=kafka.bootstrap, topic_prefix=unique, partitions=1, data_dir=str(tmp_path))
    )
    await changelogs.start()
    yield changelogs
    await changelogs.writer.close()


@pytest.mark.parametrize("kind", ["memory", "rocksdb"])
async def test_what_was_committed_is_restored(changelogs: Changelogs, kind: str) -> None:
    store = await changelogs.fold(6_000)
    state = await changelogs.processor("other", kind).restore(changelogs.source, 0, (1, 0))
    assert content(store) == content(state.store)
    assert 1_000 < len(content(store)["rows"])
    assert any(content(store)["contacts"].values())
    state.store.close()


@pytest.mark.parametrize("kind", ["memory", "rocksdb"])
async def test_what_was_not_committed_is_not(changelogs: Changelogs, kind: str) -> None:
    """Neither what was given up, nor what the former owner left open when it was killed."""
    store = await changelogs.fold(1_000)
    settings = changelogs.settings
    killed = AIOKafkaProducer(**settings.kafka_options(), transactional_id=settings.topics.prefix)
    await killed.start()
    for given_up in (True, False):
        await killed.begin_transaction()
        for topic in (settings.topics.status, settings.topics.contacts, settings.topics.kpis):
            await killed.send_and_wait(topic, b"never committed, and not to be read", b"key", partition=0)
        if given_up:
            await killed.abort_transaction()
    await changelogs.writer.close()
    changelogs.writer = TransactionalWriter(
        settings.kafka_options(), settings.topics.prefix, settings.topics.prefix, 20.0
    )
    await changelogs.writer.start()

    state = await changelogs.processor("other", kind).restore(changelogs.source, 0, (1, 0))
    assert content(store) == content(state.store)
    state.store.close()
    await killed.stop()


async def test_a_local_store_reads_only_what_it_lacks(changelogs: Changelogs) -> None:
    await changelogs.fold(5_000)
    other = changelogs.processor("other", "rocksdb")
    state = await other.restore(changelogs.source, 0, (1, 0))
    everything = state.restored
    other.release(state)

    store = await changelogs.fold(500)
    state = await other.restore(changelogs.source, 0, (1, 1))
    assert 0 < state.restored < everything / 5
    assert content(store) == content(state.store)
    other.release(state)

    state = await other.restore(changelogs.source, 0, (1, 2))
    assert 0 == state.restored, "nothing has happened since"
    assert content(store) == content(state.store)
    other.release(state)


async def test_nothing_is_restored_from_nothing(changelogs: Changelogs) -> None:
    state = await changelogs.processor("other").restore(changelogs.source, 0, (1, 0))
    assert (0, 0) == (state.restored, state.store.count())


async def test_a_partition_goes_on_from_what_was_restored_as_if_nothing_had_happened(changelogs: Changelogs) -> None:
    """Duplicates of what was folded before are known for what they are, and so on."""
    await changelogs.fold(6_000)
    through = changelogs.processor("through")
    changelogs.track, changelogs.state = through, await through.restore(changelogs.source, 0, changelogs.writer.epoch)
    interrupted = await changelogs.fold(6_000)

    expected = await _folded_at_once(changelogs)
    assert expected["rows"] == content(interrupted)["rows"]
    assert expected["contacts"] == content(interrupted)["contacts"]
    assert expected["kpis"] == content(interrupted)["kpis"]


async def _folded_at_once(changelogs: Changelogs) -> dict[str, Any]:
    """Return what comes of all events with nothing in between."""
    settings = load(
        kafka_bootstrap=changelogs.settings.kafka_bootstrap,
        topic_prefix=f"{changelogs.settings.topic_prefix}-whole",
        partitions=1,
        data_dir=str(changelogs.settings.data_dir / "whole"),
    )
    whole = Changelogs(settings)
    whole.events = changelogs.events
    await whole.start()
    try:
        return content(await whole.fold(EVENTS))
    finally:
        await whole.writer.close()


async def test_restoring_is_quick(changelogs: Changelogs, record_property: Callable[[str, object], None]) -> None:
    """Compared with what folding takes here; in rows a second benchmarks/restore.py measures it."""
    folding = time.process_time()
    await changelogs.fold(EVENTS)
    folding = time.process_time() - folding
    cpu, records = inf, 0
    # The quickest of some: what else the machine does makes a process slower, never quicker.
    for _ in range(RESTORES):
        store = store_opener(load(), "cluster")(0)
        began = time.process_time()
        records = await restore(changelogs.settings.kafka_options(), store, codec(changelogs.settings), 0)
        cpu = min(cpu, time.process_time() - began)
    record_property("records_per_cpu_second", round(records / cpu))
    assert cpu < MOST_OF_FOLDING * folding
