"""Restoring a partition's state from its changelogs, from the beginning or from the offsets of a local store."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import structlog

from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.tables.codec.keys import CLOCK_KEY, SEPARATOR, TERMS_KEY_PREFIX, internal_header, is_kpi_key
from aftersend.tables.codec.public import Codec, decode_clock, decode_contact, decode_terms, split_row_key
from aftersend.tables.codec.stored import decode_partial, pack_contact, row_from_headers
from aftersend.tables.stores.base import Changes, PartitionStore

log = structlog.get_logger(__name__)


class RestoreError(Exception):
    """A changelog holds an unreadable record; the message has its position."""


async def restore(options: Mapping[str, Any], store: PartitionStore, codec: Codec, partition: int) -> int:
    """Bring a store up to the end of its changelogs; return the number of records read.

    Args:
        options: of the connection, as aiokafka takes them.
        store: of the partition; reading starts at its offsets.
        codec: has the names of the topics.
        partition: number of the partition.

    Raises:
        RestoreError: if a record can't be read: folding must not continue from an incomplete state.
    """
    topics = codec.topics
    keys = [(topic, partition) for topic in (topics.status, topics.contacts, topics.kpis)]
    offsets = await _usable_offsets(options, store, keys)
    starts = {(topic, partition): offsets.get(topic) for topic, partition in keys}
    records = 0
    started = time.process_time()

    def apply(topic: str, _: int, batch: list[FetchedRecord]) -> None:
        nonlocal records
        records += len(batch)
        store.apply(_changes(batch, topic, partition, codec), {topic: batch[-1].offset + 1})

    ends = await changelog.read(options, starts, apply)
    store.apply(Changes(), {topic: end for (topic, _), end in ends.items()})
    if records:
        log.info(
            "restored",
            partition=partition,
            records=records,
            rows=store.count(),
            cpu_seconds=round(time.process_time() - started, 2),
        )
    return records


async def _usable_offsets(
    options: Mapping[str, Any], store: PartitionStore, keys: list[tuple[str, int]]
) -> dict[str, int]:
    """Return a store's offsets; a store whose offsets the changelogs no longer hold is cleared."""
    offsets = store.offsets()
    if not offsets:
        return {}
    for (topic, _), (first, end) in (await changelog.bounds(options, keys)).items():
        if topic in offsets and not first <= offsets[topic] <= end:
            store.clear(f"{topic} holds offsets {first} to {end}, the store is at {offsets[topic]}")
            return {}
    return offsets


def _changes(batch: list[FetchedRecord], topic: str, partition: int, codec: Codec) -> Changes:
    changes = Changes()
    # Only the last record of a key counts; earlier ones that are not compacted yet are often in the same batch.
    last = list({record.key: record for record in batch}.values())
    try:
        if topic == codec.topics.status:
            _rows(last, changes)
        elif topic == codec.topics.contacts:
            _contacts(last, changes)
        else:
            _kpis(last, changes)
    except Exception as error:
        raise RestoreError(
            f"{topic}, partition {partition}, offsets {batch[0].offset} to {batch[-1].offset}: a record is not "
            f"readable by this version: {type(error).__name__}: {error}"
        ) from error
    return changes


def _rows(batch: list[FetchedRecord], changes: Changes) -> None:
    rows = changes.rows
    for record in batch:
        key, value = record.key or b"", record.value
        if value is None:
            _add_tombstone(key.decode(), rows)
            continue
        delivery_id, recipient = split_row_key(key, value)
        of_delivery = rows.get(delivery_id)
        if of_delivery is None:
            of_delivery = rows[delivery_id] = {}
        of_delivery[recipient] = row_from_headers(record.headers)


def _add_tombstone(key: str, rows: dict[str, dict[str, bytes | None]]) -> None:
    """Forget the row of a key, in every reading of a key with several separators: without a value it is ambiguous."""
    parts = key.split(SEPARATOR)
    for at in range(1, len(parts)):
        rows.setdefault(SEPARATOR.join(parts[:at]), {})[SEPARATOR.join(parts[at:])] = None


def _contacts(batch: list[FetchedRecord], changes: Changes) -> None:
    for record in batch:
        value = record.value
        packed = None if value is None else pack_contact(decode_contact(value))
        changes.contacts[(record.key or b"").decode()] = packed


def _kpis(batch: list[FetchedRecord], changes: Changes) -> None:
    for record in batch:
        key = record.key or b""
        if key.startswith(TERMS_KEY_PREFIX) and not is_kpi_key(key):
            terms = None if record.value is None else decode_terms(record.value)
            changes.terms[key.removeprefix(TERMS_KEY_PREFIX).decode()] = terms
        elif record.value is None:
            continue
        elif key == CLOCK_KEY:
            changes.tick = max(changes.tick, decode_clock(record.value))
        else:
            changes.partials[key.decode().rpartition(SEPARATOR)[0]] = decode_partial(internal_header(record.headers))
