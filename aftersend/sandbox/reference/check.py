"""Checking an installation that has folded all of its input against the reference."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from redis.exceptions import RedisError

from aftersend.config.installation import raw_sources, source_options
from aftersend.config.settings import Settings
from aftersend.engine import admin, changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.sandbox.reference.compare import (
    Differences,
    added_up,
    compare_contacts,
    compare_kpis,
    compare_redis,
    compare_rows,
    kpis_of,
)
from aftersend.sandbox.reference.fold import Reference
from aftersend.sandbox.reference.live_kpis import read_redis
from aftersend.sandbox.reference.options import options_of
from aftersend.sandbox.reference.raw import RawCheck
from aftersend.schemas.event import Feedback, FoldEvent
from aftersend.schemas.topics import Topics
from aftersend.sources.registry import REGISTRY

_HOUR: Final = 3600.0
_DAY: Final = 24 * _HOUR
#: Redis is written some time after the commit; differences that remain after this time count.
_REDIS_TIMEOUT_SECONDS: Final = 15.0

_decode_event: Final = msgspec.json.Decoder(FoldEvent).decode
_decode_whole_event: Final = msgspec.json.Decoder(Feedback).decode
_decode_state: Final = msgspec.json.Decoder().decode


@dataclass(slots=True)
class CheckReport:
    """The result of a check."""

    equal: bool
    #: Canonical events folded, and raw records read.
    events: int
    raw_records: int
    unreadable: int
    rows: int
    contacts: int
    deliveries: int
    #: By delivery: the KPIs as they should be, and rows by status as `status_<name>`.
    kpis: dict[str, Counter[str]]
    #: (source, kind, decision) -> events.
    decisions: Counter[tuple[str, str, str]]
    differences: list[str]
    #: Delivery and recipient of the row with the most events.
    busiest: tuple[str, str] = ("", "")
    seconds: float = 0.0


@dataclass(slots=True)
class _Tables:
    """The last values on one partition of the engine's topics."""

    rows: dict[str, bytes] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    contacts: dict[str, bytes] = field(default_factory=dict)
    kpis: dict[str, bytes] = field(default_factory=dict)
    tick: float = 0.0


async def check(settings: Settings, *, redis: bool = True, raw: bool = True) -> CheckReport:
    """Compare an installation's outputs with what they should be for its input.

    The installation may be running, but its input must have ended and been folded (`progress.wait_until_folded`).

    Args:
        settings: of the installation.
        redis: whether to compare Redis too.
        raw: whether to compare the raw topics and dead letters with the events too.
    """
    started = time.monotonic()
    run = await _run(settings, raw=raw)
    if redis and not await run.compare_redis():
        # A tick may have expired rows since the tables were read.
        run = await _run(settings, raw=raw)
        await run.compare_redis()
    report = run.report()
    report.seconds = time.monotonic() - started
    return report


async def _run(settings: Settings, *, raw: bool) -> _InstallationCheck:
    """Read and compare everything in Kafka."""
    run = _InstallationCheck(settings, await admin.inspect(settings.kafka_options()))
    with _uncollected():
        await run.read_events()
        await run.read_tables()
        if raw:
            await run.read_raw()
        run.compare()
    return run


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Disable the garbage collector: it would traverse every row again and again, half of the time of a check."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _InstallationCheck:
    """One check."""

    def __init__(self, settings: Settings, cluster: admin.Cluster) -> None:
        self.settings = settings
        self.kafka = settings.kafka_options()
        self.topics: Topics = settings.topics
        self.counts = cluster.partitions
        self.partitions = cluster.partitions[self.topics.events]
        options = options_of(settings)
        self.references = [Reference(options, partition) for partition in range(self.partitions)]
        self.tables = [_Tables() for _ in range(self.partitions)]
        self.found = Differences()
        self.raw_check = RawCheck(
            options.raw_topics,
            self.partitions,
            self.found,
            settings.max_events_per_record,
            settings.max_event_bytes_per_record,
        )
        self.kpis: dict[str, Counter[str]] = {}

    async def read(self, topic: str, apply: Callable[[int, list[FetchedRecord]], None]) -> None:
        """Read all committed records of a topic."""
        starts: Mapping[tuple[str, int], int | None] = {(topic, p): None for p in range(self.counts.get(topic, 0))}
        if starts:
            await changelog.read(self.kafka, starts, lambda _, partition, records: apply(partition, records))

    async def read_events(self) -> None:
        """Fold the events topic."""

        def fold(partition: int, records: list[FetchedRecord]) -> None:
            take, compare = self.references[partition].fold, self.raw_check.event
            for record in records:
                try:
                    event = _decode_event(record.value or b"")
                    if event.type == "declared":  # needs all fields
                        event = _decode_whole_event(record.value or b"")
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                    self.raw_check.unread_event(self.topics.events, partition, record)
                    continue
                if self.raw_check.is_set_aside(self.topics.events, partition, record):
                    self.raw_check.unread_event(self.topics.events, partition, record)
                    continue
                take(record.offset, record.timestamp, event)
                compare(partition, record, event)

        await self.read(self.topics.dead_letters, lambda _, records: self._dead_letters(records))
        await self.read(self.topics.events, fold)

    def _dead_letters(self, records: list[FetchedRecord]) -> None:
        for record in records:
            self.raw_check.dead_letter(record)

    async def read_tables(self) -> None:
        """Read the engine's outputs."""
        await self.read(self.topics.status, self._rows)
        await self.read(self.topics.contacts, self._contacts)
        await self.read(self.topics.kpis, self._kpis)
        for reference, table in zip(self.references, self.tables, strict=True):
            # Ticks may have been written since the events were read.
            reference.pass_time(table.tick)

    def _rows(self, partition: int, records: list[FetchedRecord]) -> None:
        table = self.tables[partition]
        for record in records:
            key = (record.key or b"").decode()
            if record.value is None:
                table.rows.pop(key, None)
                table.versions.pop(key, None)
                continue
            table.rows[key] = record.value
            version = _decode_state(record.value).get("version", 0)
            if version < table.versions.get(key, 0):
                self.found.add(f"partition {partition}: the row {key!r} went back to version {version}")
            table.versions[key] = version

    def _contacts(self, partition: int, records: list[FetchedRecord]) -> None:
        contacts = self.tables[partition].contacts
        for record in records:
            key = (record.key or b"").decode()
            if record.value is None:
                contacts.pop(key, None)
            else:
                contacts[key] = record.value

    def _kpis(self, partition: int, records: list[FetchedRecord]) -> None:
        table = self.tables[partition]
        for record in records:
            key = (record.key or b"").decode()
            if record.value is None:
                continue
            if key == "@clock":
                table.tick = max(table.tick, _decode_state(record.value)["tick"])
                continue
            if "\t" not in key:  # terms of a delivery
                continue
            delivery_id, _, number = key.rpartition("\t")
            if number != str(partition):
                self.found.add(f"partition {partition}: KPIs with the key {key!r}")
            table.kpis[delivery_id] = record.value

    async def read_raw(self) -> None:
        """Compare the raw records with the events made of them."""
        options = source_options(self.settings)
        for name in raw_sources():
            topic = self.topics.raw(name)
            parse = REGISTRY[name].parser(options)

            def parse_all(partition: int, records: list[FetchedRecord], topic: str = topic, parse: Any = parse) -> None:
                for record in records:
                    self.raw_check.raw(topic, partition, record, parse)

            await self.read(topic, parse_all)
        offsets: list[int] = []
        await self.read(self.topics.clock, lambda _, records: offsets.extend(record.offset for record in records))
        self.raw_check.tick_source(offsets)
        self.raw_check.finish()

    def compare(self) -> None:
        """Compare all tables."""
        parts = []
        for reference, table in zip(self.references, self.tables, strict=True):
            overdue = compare_rows(reference, table.rows, self.found)
            compare_contacts(reference, table.contacts, self.found)
            compare_kpis(reference, overdue, table.kpis, self.found)
            parts.append(kpis_of(reference, overdue))
        self.kpis = added_up(parts)

    async def compare_redis(self) -> bool:
        """Compare the live KPIs, waiting for the publisher to catch up; return whether they are equal."""
        settings = self.settings
        oldest = time.time() - settings.redis_expiry_days * _DAY
        young = {
            delivery_id: counted
            for delivery_id, counted in self.kpis.items()
            if max(r.deliveries[delivery_id].updated_at for r in self.references if delivery_id in r.deliveries)
            > oldest
        }
        deadline = time.monotonic() + _REDIS_TIMEOUT_SECONDS
        while True:
            found = Differences()
            try:
                compare_redis(young, await read_redis(settings), found)
            except (RedisError, OSError) as error:
                found.add(f"Redis can't be read: {error!r}")
            if not found.total or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.3)
        for line in found.lines():
            self.found.add(line)
        return not found.total

    def report(self) -> CheckReport:
        """Return what was found."""
        decisions: Counter[tuple[str, str, str]] = Counter()
        for reference in self.references:
            for delivery in reference.deliveries.values():
                decisions.update(delivery.decisions)
        return CheckReport(
            equal=not self.found.total,
            events=sum(r.events for r in self.references),
            raw_records=self.raw_check.raw_records,
            unreadable=self.raw_check.unreadable,
            rows=sum(len(d.rows) for r in self.references for d in r.deliveries.values()),
            contacts=sum(len(r.contacts.by_address) for r in self.references),
            deliveries=len(self.kpis),
            kpis=self.kpis,
            decisions=decisions,
            differences=self.found.lines(),
            busiest=max(self._busy_rows(), default=(0, "", ""))[1:],
        )

    def _busy_rows(self) -> Iterator[tuple[int, str, str]]:
        for reference in self.references:
            for delivery_id, delivery in reference.deliveries.items():
                for recipient, row in delivery.rows.items():
                    yield row.version, delivery_id, recipient
