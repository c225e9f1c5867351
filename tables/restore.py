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
from aftersend.tables.damage import DamagedRecord, refuse
from aftersend.tables.stores.base import Changes, PartitionStore

log = structlog.get_logger(__name__)


class _DamageScan:
    """The damaged records of a partition, until later records of their keys supersede them.

    Nothing is applied to a store while there are any, so that it never gets past one.
    """

    def __init__(self, partition: int, codec: Codec, superseded: frozenset[tuple[str, int]]) -> None:
        self._partition = partition
        self._codec = codec
        #: By topic and offset; their keys have later records.
        self.superseded = superseded
        self._open: dict[tuple[str, bytes | None], DamagedRecord] = {}
        #: There is or was a damaged record.
        self.found = False

    def scan(self, topic: str, batch: list[FetchedRecord]) -> None:
        """Take the records of a batch that can't be applied, or of one after it."""
        self.found = True
        for record in batch:
            key = topic, record.key
            earlier = self._open.pop(key, None)
            if earlier is not None:
                self.superseded |= {(topic, earlier.offset)}
            if (topic, record.offset) not in self.superseded and (error := unreadable(record, topic, self._codec)):
                self._open[key] = DamagedRecord(topic, self._partition, record.offset, record.key, error)

    def verify(self) -> None:
        """Raise RestoreError if a damaged record is the last one of its key."""
        refuse(list(self._open.values()))


async def restore(options: Mapping[str, Any], store: PartitionStore, codec: Codec, partition: int) -> int:
    """Bring a store up to the end of its changelogs; return the number of records read.

    Args:
        options: of the connection, as aiokafka takes them.
        store: of the partition; reading starts at its offsets.
        codec: has the names of the topics.
        partition: number of the partition.

    Raises:
        RestoreError: if the last record of a key can't be read: folding must not continue from an incomplete state.
    """
    topics = codec.topics
    keys = [(topic, partition) for topic in (topics.status, topics.contacts, topics.kpis)]
    offsets = await _usable_offsets(options, store, keys)
    records = 0
    started = time.process_time()
    damage = _DamageScan(partition, codec, frozenset())

    def apply(topic: str, _: int, batch: list[FetchedRecord]) -> None:
        nonlocal records
        records += len(batch)
        readable = batch
        if damage.superseded:
            readable = [record for record in batch if (topic, record.offset) not in damage.superseded]
        if not damage.found:
            try:
                changes = _changes(readable, topic, codec)
            except Exception:  # noqa: BLE001 - whatever it is, the record that causes it is found by the scan
                damage.scan(topic, batch)
            else:
                store.apply(changes, {topic: batch[-1].offset + 1})
        else:
            damage.scan(topic, batch)

    while True:
        starts = {(topic, partition): offsets.get(topic) for topic, partition in keys}
        ends = await changelog.read(options, starts, apply)
        if not damage.found:
            break
        damage.verify()
        # All of them have been superseded: read again from where the store is, without them.
        damage, offsets = _DamageScan(partition, codec, damage.superseded), store.offsets()
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


def unreadable(record: FetchedRecord, topic: str, codec: Codec) -> str:
    """Return why a record of a changelog can't be read, "" if it can."""
    try:
        _changes([record], topic, codec)
    except Exception as error:  # noqa: BLE001 - whatever it is, the record can't be read
        return f"{type(error).__name__}: {error}"
    return ""


def _changes(batch: list[FetchedRecord], topic: str, codec: Codec) -> Changes:
    """Return what records change; raises if one of them can't be read."""
    changes = Changes()
    # Only the last record of a key counts; earlier ones that are not compacted yet are often in the same batch.
    last = list({record.key: record for record in batch}.values())
    if topic == codec.topics.status:
        _rows(last, changes)
    elif topic == codec.topics.contacts:
        _contacts(last, changes)
    else:
        _kpis(last, changes)
    return changes


def _rows(batch: list[FetchedRecord], changes: Changes) -> None:
    rows = changes.rows
    for record in batch:
        key, value = record.key or b"", record.value
        if value is None:
            # A key that is no text was never a row's.
            _add_tombstone(key.decode(errors="replace"), rows)
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
        key, value = record.key or b"", record.value
        if value is None:
            changes.contacts[key.decode(errors="replace")] = None
        else:
            changes.contacts[key.decode()] = pack_contact(decode_contact(value))


def _kpis(batch: list[FetchedRecord], changes: Changes) -> None:
    for record in batch:
        key = record.key or b""
        if key.startswith(TERMS_KEY_PREFIX) and not is_kpi_key(key):
            terms = None if record.value is None else decode_terms(record.value)
            changes.terms[key.removeprefix(TERMS_KEY_PREFIX).decode(errors="replace")] = terms
        elif record.value is None:
            continue
        elif key == CLOCK_KEY:
            changes.tick = max(changes.tick, decode_clock(record.value))
        else:
            changes.partials[key.decode().rpartition(SEPARATOR)[0]] = decode_partial(internal_header(record.headers))
