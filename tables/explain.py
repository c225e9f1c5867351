"""Reading one row from the topics: the row itself, its events, and their raw records.

Reads committed records from Kafka, so it needs no worker.
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
from aftersend.rules.recipient.status_time import status_at
from aftersend.rules.recipient.timing import PartitionClock, Timing
from aftersend.schemas.delivery import DeliveryTerms
from aftersend.schemas.event import Feedback
from aftersend.schemas.raw import RecordPosition
from aftersend.schemas.recipient import Row
from aftersend.tables.codec.keys import internal_header, kpi_key, row_key, terms_key
from aftersend.tables.codec.public import Codec, decode_terms
from aftersend.tables.codec.stored import decode_partial, decode_row, row_from_headers

_decode_event: Final = msgspec.json.Decoder(Feedback).decode
#: Reading starts so many seconds before the delivery's start, to find the last tick before it.
_LEAD: Final = 60.0
_FETCH_MS: Final = 5_000
_MAX_RAW_BYTES: Final = 64 * 1024 * 1024


class StoredRow(msgspec.Struct):
    """What is stored of a row."""

    row: Row | None = None
    #: When its delivery started in this partition, seconds since 1970; None: the delivery has no events.
    started_at: float | None = None
    #: The delivery's rows were forgotten after their retention.
    archived: bool = False
    #: Terms of its delivery; None: nothing was declared.
    terms: DeliveryTerms | None = None


class EventLog(msgspec.Struct):
    """A row's events on the events topic."""

    events: list[LoggedEvent] = []
    #: The topic reaches back to the delivery's start.
    complete: bool = True


class RowLocation(msgspec.Struct):
    """One row, and how to read it.

    Args:
        options: of the connection, as aiokafka takes them.
        codec: has the names of the installation.
        timing: of the installation.
        numbers: source numbers by name.
        partition: of the recipient.
    """

    options: Mapping[str, Any]
    codec: Codec
    timing: Timing
    numbers: Mapping[str, int]
    partition: int
    delivery_id: str
    recipient: str


async def read_row(location: RowLocation) -> StoredRow:
    """Return a row from the changelogs; reads one partition of two of them from the beginning.

    Raises:
        KafkaError: if Kafka can't be read.
    """
    topics, partition = location.codec.topics, location.partition
    status_key = row_key(location.delivery_id, location.recipient)
    kpis_key = kpi_key(location.delivery_id, partition)
    declared_key = terms_key(location.delivery_id)
    last: dict[bytes, FetchedRecord] = {}

    def apply(_topic: str, _: int, records: list[FetchedRecord]) -> None:
        for record in records:
            if record.key in {status_key, kpis_key, declared_key}:
                last[record.key or b""] = record

    await changelog.read(location.options, {(topics.kpis, partition): None, (topics.status, partition): None}, apply)
    known = StoredRow()
    if (stored := last.get(status_key)) is not None and stored.value is not None:
        known.row = decode_row(row_from_headers(stored.headers))
    if (kpis := last.get(kpis_key)) is not None and kpis.value is not None:
        partial = decode_partial(internal_header(kpis.headers))
        known.started_at, known.archived = partial.started_at, partial.archived
    if (declared := last.get(declared_key)) is not None and declared.value is not None:
        known.terms = decode_terms(declared.value)
    return known


async def read_log(location: RowLocation, started_at: float | None) -> EventLog:
    """Return a row's events, from the delivery's start to the end of the topic.

    Args:
        location: of the row.
        started_at: when its delivery started in this partition, seconds since 1970; None: from the beginning.

    Raises:
        KafkaError: if Kafka can't be read.
    """
    topic, partition = location.codec.topics.events, location.partition
    begin, first = await _offset_at(location, None if started_at is None else started_at - _LEAD)
    log = EventLog(complete=first == 0 or (begin is not None and begin > first))
    recipient, delivery_id = location.recipient.encode(), location.delivery_id
    clock = PartitionClock(0.0, location.timing.clock_step)

    def apply(_topic: str, _: int, records: list[FetchedRecord]) -> None:
        for record in records:
            if (record.key or b"") not in {recipient, b""} or record.value is None:
                continue
            try:
                event = _decode_event(record.value)
            except msgspec.MsgspecError:  # went to the dead letters, and changed no row
                continue
            if event.type == "tick":
                clock.tick(record.timestamp / 1000)
            elif event.delivery_id == delivery_id and (
                event.recipient == location.recipient or (event.type == "declared" and not event.recipient)
            ):
                log.events.append(LoggedEvent(event, record.offset, record.timestamp / 1000, clock.now))

    if begin is not None:
        await changelog.read(location.options, {(topic, partition): begin}, apply)
    return log


async def _offset_at(location: RowLocation, timestamp: float | None) -> tuple[int | None, int]:
    """Return the offset of the first event at or after a time (None: there is none), and the topic's first offset."""
    tp = TopicPartition(location.codec.topics.events, location.partition)
    consumer = AIOKafkaConsumer(**location.options, enable_auto_commit=False)
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
    location: RowLocation, known: StoredRow, time: float | None = None
) -> tuple[RowExplanation, RowState | None]:
    """Return the explanation and the state of a row, from the stored row and its events; None: there is no row.

    Args:
        location: of the row.
        known: the row as it is stored.
        time: of the explanation, seconds since 1970; None: now.

    Raises:
        KafkaError: if Kafka can't be read.
    """
    log = await read_log(location, known.started_at)
    declared = {one.event.event_id for one in log.events if one.event.type == "declared"}
    # A declaration before the delivery's start was not read; its terms hold if no later declaration was.
    before = known.terms if known.terms is not None and known.terms.event_id not in declared else None

    def replay() -> Replay:
        return Replay(
            location.delivery_id, location.partition, location.numbers, location.timing, known.started_at, before
        )

    found, row = explain(known.row, log.events, replay(), complete=log.complete), known.row
    if time is not None:
        return as_of(found, log.events, replay(), time)
    if row is None:
        return found, None
    return found, RowState(status=row.status, facts=row.facts, version=row.version, status_at=status_at(row))


async def read_raw(options: Mapping[str, Any], positions: Iterable[RecordPosition]) -> dict[RecordPosition, bytes]:
    """Return the values of single records, without those that retention has removed.

    Raises:
        KafkaError: if Kafka can't be read.
    """
    consumer = AIOKafkaConsumer(
        **options, enable_auto_commit=False, auto_offset_reset="earliest", max_partition_fetch_bytes=_MAX_RAW_BYTES
    )
    await consumer.start()
    found: dict[RecordPosition, bytes] = {}
    try:
        by_partition: dict[TopicPartition, list[int]] = {}
        for topic, partition, offset in sorted(set(positions)):
            by_partition.setdefault(TopicPartition(topic, partition), []).append(offset)
        existing = await consumer.topics()
        for tp, offsets in by_partition.items():
            if tp.topic not in existing:
                continue
            consumer.assign([tp])
            for offset in offsets:
                consumer.seek(tp, offset)
                fetched = await consumer.getmany(tp, timeout_ms=_FETCH_MS, max_records=1)
                record = next(iter(fetched.get(tp, ())), None)
                if record is not None and record.offset == offset:
                    found[RecordPosition(tp.topic, tp.partition, offset)] = record.value or b""
    finally:
        await consumer.stop()
    return found
