"""What the topics hold of one row: the row itself, its events, and their raw records.

Reads Kafka directly, committed records only, so it needs no worker.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.rules.explain.explain import as_of, explain
from aftersend.rules.explain.explanation import LoggedEvent, RowExplanation, RowState
from aftersend.rules.explain.replay import Replay
from aftersend.rules.recipient.timing import Timing
from aftersend.schemas.delivery import DeliveryTerms
from aftersend.schemas.event import Feedback
from aftersend.schemas.recipient import Row
from aftersend.tables.codec.keys import SEPARATOR, internal_header, row_key, terms_key
from aftersend.tables.codec.public import Codec, decode_terms
from aftersend.tables.codec.stored import decode_partial, decode_row, row_from_headers

_decode_event: Final = msgspec.json.Decoder(Feedback).decode
#: Ticks are looked for from so many seconds before the delivery's start on: the one that was in force then.
_LEAD: Final = 60.0
_FETCH_MS: Final = 5_000
_MAX_RAW_BYTES: Final = 64 * 1024 * 1024

#: Topic, partition, offset.
Place = tuple[str, int, int]


class StoredRow(msgspec.Struct):
    """What is stored of a row."""

    row: Row | None = None
    #: When its delivery started in this partition, seconds since 1970; None: nothing was heard of it.
    started_at: float | None = None
    #: The delivery's rows were forgotten after their retention.
    archived: bool = False
    #: By what the partition folds the delivery, as its sender has declared; None: nothing was declared.
    terms: DeliveryTerms | None = None


class EventLog(msgspec.Struct):
    """What the events topic holds of a row."""

    told: list[LoggedEvent] = []
    #: The topic reaches back to the delivery's start.
    complete: bool = True


class RowLocation(msgspec.Struct):
    """One row, and how to read of it.

    Args:
        options: of the connection, as aiokafka takes them.
        codec: with the names of the installation.
        timing: of the installation.
        numbers: of the sources, by name.
        partition: in which the recipient lies.
    """

    options: Mapping[str, Any]
    codec: Codec
    timing: Timing
    numbers: Mapping[str, int]
    partition: int
    delivery_id: str
    recipient: str


async def read_row(where: RowLocation) -> StoredRow:
    """Return what the changelogs hold of a row; reads one partition of two of them from the beginning.

    Raises:
        KafkaError: if Kafka can't be read.
    """
    topics, partition = where.codec.topics, where.partition
    status_key = row_key(where.delivery_id, where.recipient)
    kpi_key = f"{where.delivery_id}{SEPARATOR}{partition}".encode()
    declared_key = terms_key(where.delivery_id)
    last: dict[bytes, FetchedRecord] = {}

    def apply(_topic: str, _: int, records: list[FetchedRecord]) -> None:
        for record in records:
            if record.key in {status_key, kpi_key, declared_key}:
                last[record.key or b""] = record

    await changelog.read(where.options, {(topics.kpis, partition): None, (topics.status, partition): None}, apply)
    known = StoredRow()
    if (stored := last.get(status_key)) is not None and stored.value is not None:
        known.row = decode_row(row_from_headers(stored.headers))
    if (kpis := last.get(kpi_key)) is not None and kpis.value is not None:
        partial = decode_partial(internal_header(kpis.headers))
        known.started_at, known.archived = partial.started_at, partial.archived
    if (declared := last.get(declared_key)) is not None and declared.value is not None:
        known.terms = decode_terms(declared.value)
    return known


async def read_log(where: RowLocation, started_at: float | None) -> EventLog:
    """Return a row's events, from the delivery's start to the end of the topic.

    Args:
        where: the row.
        started_at: when its delivery started in this partition, seconds since 1970; None: from the beginning.

    Raises:
        KafkaError: if Kafka can't be read.
    """
    topic, partition = where.codec.topics.events, where.partition
    begin, first = await _offset_at(where, None if started_at is None else started_at - _LEAD)
    log = EventLog(complete=first == 0 or (begin is not None and begin > first))
    recipient, delivery_id = where.recipient.encode(), where.delivery_id
    tick = 0.0

    def apply(_topic: str, _: int, records: list[FetchedRecord]) -> None:
        nonlocal tick
        for record in records:
            if (record.key or b"") not in {recipient, b""} or record.value is None:
                continue
            try:
                event = _decode_event(record.value)
            except msgspec.MsgspecError:  # is among the dead letters, and no row has heard of it
                continue
            if event.type == "tick":
                tick = max(tick, event.received_at or record.timestamp / 1000)
            elif event.delivery_id == delivery_id and (
                event.recipient == where.recipient or (event.type == "declared" and not event.recipient)
            ):
                log.told.append(LoggedEvent(event, record.offset, record.timestamp / 1000, tick))

    if begin is not None:
        await changelog.read(where.options, {(topic, partition): begin}, apply)
    return log


async def _offset_at(where: RowLocation, timestamp: float | None) -> tuple[int | None, int]:
    """Return the offset of the first event from a time on (None: there is none), and the topic's first offset."""
    tp = TopicPartition(where.codec.topics.events, where.partition)
    consumer = AIOKafkaConsumer(**where.options, enable_auto_commit=False)
    await consumer.start()
    try:
        first = (await consumer.beginning_offsets([tp]))[tp]
        if timestamp is None:
            return first, first
        found = (await consumer.offsets_for_times({tp: max(int(timestamp * 1000), 0)}))[tp]
    finally:
        await consumer.stop()
    return (found.offset if found is not None else None), first


async def explain_row(
    where: RowLocation, known: StoredRow, time: float | None = None
) -> tuple[RowExplanation, RowState | None]:
    """Return how a row came to be, from what is stored of it and from its events, and how it is; None: there is none.

    Args:
        where: the row.
        known: what is stored of it.
        time: as of when, seconds since 1970; None: as of now.

    Raises:
        KafkaError: if Kafka can't be read.
    """
    log = await read_log(where, known.started_at)
    declared = {one.event.event_id for one in log.told if one.event.type == "declared"}
    # What was declared before the delivery's start is not among what was read, but still in force where nothing came.
    before = known.terms if known.terms is not None and known.terms.event_id not in declared else None

    def replay() -> Replay:
        return Replay(where.delivery_id, where.partition, where.numbers, where.timing, known.started_at, before)

    found, row = explain(known.row, log.told, replay(), complete=log.complete), known.row
    if time is not None:
        return as_of(found, log.told, replay(), time)
    if row is None:
        return found, None
    return found, RowState(status=row.status, facts=row.facts, version=row.version, updated_at=row.updated_at)


async def read_raw(options: Mapping[str, Any], places: Iterable[Place]) -> dict[Place, bytes]:
    """Return the values of single records; those that retention has removed are left out.

    Raises:
        KafkaError: if Kafka can't be read.
    """
    consumer = AIOKafkaConsumer(
        **options, enable_auto_commit=False, auto_offset_reset="earliest", max_partition_fetch_bytes=_MAX_RAW_BYTES
    )
    await consumer.start()
    found: dict[Place, bytes] = {}
    try:
        by_partition: dict[TopicPartition, list[int]] = {}
        for topic, partition, offset in sorted(set(places)):
            by_partition.setdefault(TopicPartition(topic, partition), []).append(offset)
        there = await consumer.topics()
        for tp, offsets in by_partition.items():
            if tp.topic not in there:
                continue
            consumer.assign([tp])
            for offset in offsets:
                consumer.seek(tp, offset)
                fetched = await consumer.getmany(tp, timeout_ms=_FETCH_MS, max_records=1)
                record = next(iter(fetched.get(tp, ())), None)
                if record is not None and record.offset == offset:
                    found[tp.topic, tp.partition, offset] = record.value or b""
    finally:
        await consumer.stop()
    return found
