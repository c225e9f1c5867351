"""Fetched records as they leave the parser, without a Python object built for each.

aiokafka turns every record into a `ConsumerRecord`, which costs as much as folding it. The record that it is built
from already has `offset`, `timestamp`, `key`, `value` and `headers`. A consumer asks for these by passing a `Lean` as
its value deserializer; every other consumer in the process works as before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

from aiokafka.consumer import fetcher as _fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import CorruptRecordException


class FetchedRecord(Protocol):
    """A fetched record."""

    @property
    def offset(self) -> int:
        """Offset in the partition."""

    @property
    def timestamp(self) -> int:
        """Kafka timestamp, milliseconds since 1970."""

    @property
    def key(self) -> bytes | None:
        """Key bytes."""

    @property
    def value(self) -> bytes | None:
        """Value bytes; None: a tombstone."""

    @property
    def headers(self) -> list[tuple[str, bytes | None]]:
        """Headers in order."""


class Lean:
    """Marks a consumer whose records are left as they are: it is passed as the value deserializer.

    Args:
        limits: bytes to fetch at once, by topic (`aftersend.engine.aiokafka.fetch_limits`).
    """

    def __init__(self, limits: Mapping[str, int] | None = None) -> None:
        self.limits = limits or {}

    def __call__(self, data: bytes) -> bytes:
        """Leave a value as it is; aiokafka asks for a function, and never calls it."""
        return data


_ConsumerRecords: Final = _fetcher.PartitionRecords


class _PartitionRecords(_ConsumerRecords):  # type: ignore[misc, valid-type]
    """Records of one fetched partition; lean where the consumer asked for it."""

    #: Records that were parsed with the last batch but not taken yet.
    _left: tuple[Any, ...] = ()
    #: Where the records that were parsed end.
    _parsed_to = 0
    next_fetch_offset: int

    def _consumer_record(self, tp: Any, record: Any) -> Any:
        if self.lean:
            return record
        return super()._consumer_record(tp, record)

    @property
    def lean(self) -> bool:
        """Whether records may be taken a batch at a time."""
        return isinstance(self._value_deserializer, Lean)

    def take(self, limit: int | None) -> tuple[list[Any], bool]:
        """Return the next records, up to a limit, and whether there may be more.

        Does what `_unpack_records` does, a batch at a time instead of a record at a time.
        """
        # aiokafka's generator refers to this object, and this object to it: whole fetches would wait for the collector.
        self._records_iterator = None
        taken, self._left = list(self._left), ()
        position = self._parsed_to if taken else self.next_fetch_offset
        records = self._records
        while (limit is None or len(taken) < limit) and records.has_next():
            batch = records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"Invalid CRC - {self._tp}")
            if not self._wanted(batch):
                position = batch.next_offset
                continue
            fetched = list(batch)
            if fetched and fetched[0].offset < position:
                # A fetch begins with the batch that holds the wanted offset, not with the record.
                fetched = [record for record in fetched if record.offset >= position]
            taken += fetched
            position = batch.next_offset
        if limit is not None and len(taken) > limit:
            taken, self._left = taken[:limit], tuple(taken[limit:])
            self._parsed_to = position
            position = self._left[0].offset
        self.next_fetch_offset = position
        return taken, bool(self._left) or records.has_next()

    def _wanted(self, batch: Any) -> bool:
        """Say whether a batch holds records that a reader may see: no markers, nothing of an aborted transaction."""
        if self._isolation_level == READ_COMMITTED and batch.producer_id is not None:
            self._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch and self._contains_abort_marker(batch):
                self._aborted_producers.discard(batch.producer_id)
            if batch.is_transactional and batch.producer_id in self._aborted_producers:
                return False
        return not batch.is_control_batch


class _FetchResult(_fetcher.FetchResult):  # type: ignore[misc]
    """What a fetch brought for a partition."""

    _partition_records: Any

    def getall(self, max_records: int | None = None) -> list[Any]:
        """Return records up to a limit, as aiokafka's own method does, without a generator's step for each."""
        records = self._partition_records
        if records is None or not records.lean:
            return super().getall(max_records)  # type: ignore[no-any-return]
        if not self.check_assignment(self._topic_partition):
            return []
        taken, more = records.take(max_records)
        self._update_position()
        if not more:
            self._partition_records = None
        return taken  # type: ignore[no-any-return]


def install() -> None:
    """Make `Lean` work in this process; to be called once before a consumer is made."""
    _fetcher.PartitionRecords = _PartitionRecords
    _fetcher.FetchResult = _FetchResult


def iterate(records: list[Any]) -> Iterator[FetchedRecord]:
    """Iterate over records with their type."""
    return iter(records)
