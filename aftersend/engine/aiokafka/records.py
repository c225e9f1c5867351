"""Patch of aiokafka's fetcher: records as its C parser returns them, taken a batch at a time.

aiokafka turns every record into a `ConsumerRecord`, which costs as much as folding it. The parsed record has `offset`,
`timestamp`, `key`, `value` and `headers` already. A consumer asks for these records by passing `FetchOptions` as its
value deserializer; every other consumer in the process is as before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


class FetchOptions:
    """Makes a consumer return parsed records, not `ConsumerRecord`s: passed as its value deserializer.

    Args:
        limits: bytes to fetch at once, by topic (`aftersend.engine.aiokafka.fetch_limits`).
        on_position_lost: called with a partition before the consumer goes on from the beginning of its log, because it
            has no position, such as after records were deleted.
    """

    def __init__(
        self, limits: Mapping[str, int] | None = None, on_position_lost: Callable[[Any], None] | None = None
    ) -> None:
        self.limits = limits or {}
        self.on_position_lost = on_position_lost

    def __call__(self, data: bytes) -> bytes:
        """Return a value unchanged; aiokafka demands a callable, which the patched fetcher never calls."""
        return data


_ConsumerRecords: Final = _fetcher.PartitionRecords


class _PartitionRecords(_ConsumerRecords):  # type: ignore[misc, valid-type]
    """The records that one fetch returned for a partition."""

    #: Records that are parsed but not taken yet.
    _remaining: tuple[Any, ...] = ()
    #: Offset after the last parsed record.
    _parsed_end = 0
    next_fetch_offset: int

    def _consumer_record(self, tp: Any, record: Any) -> Any:
        if self.unconverted:
            return record
        return super()._consumer_record(tp, record)

    @property
    def unconverted(self) -> bool:
        """Whether the consumer asked for records by `FetchOptions`, so that they are taken a batch at a time."""
        return isinstance(self._value_deserializer, FetchOptions)

    def take(self, limit: int | None) -> tuple[list[Any], bool]:
        """Return the next records, up to a limit, and whether there may be more.

        Does what aiokafka's `_unpack_records` does, a batch at a time instead of a record at a time.
        """
        # aiokafka's generator and this object refer to each other: whole fetches would stay until a garbage collection.
        self._records_iterator = None
        taken, self._remaining = list(self._remaining), ()
        position = self._parsed_end if taken else self.next_fetch_offset
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
                # A fetch starts with the batch that contains the wanted offset, not with the record.
                fetched = [record for record in fetched if record.offset >= position]
            taken += fetched
            position = batch.next_offset
        if limit is not None and len(taken) > limit:
            taken, self._remaining = taken[:limit], tuple(taken[limit:])
            self._parsed_end = position
            position = self._remaining[0].offset
        self.next_fetch_offset = position
        return taken, bool(self._remaining) or records.has_next()

    def _wanted(self, batch: Any) -> bool:
        """Return whether a batch is visible: no transaction marker, and not of an aborted transaction."""
        if self._isolation_level == READ_COMMITTED and batch.producer_id is not None:
            self._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch and self._contains_abort_marker(batch):
                self._aborted_producers.discard(batch.producer_id)
            if batch.is_transactional and batch.producer_id in self._aborted_producers:
                return False
        return not batch.is_control_batch


class _FetchResult(_fetcher.FetchResult):  # type: ignore[misc]
    """The result of one fetch for a partition."""

    _partition_records: Any

    def getall(self, max_records: int | None = None) -> list[Any]:
        """Return records up to a limit, like aiokafka's own method but without a generator step for each record."""
        records = self._partition_records
        if records is None or not records.unconverted:
            return super().getall(max_records)  # type: ignore[no-any-return]
        if not self.check_assignment(self._topic_partition):
            return []
        taken, more = records.take(max_records)
        self._update_position()
        if not more:
            self._partition_records = None
        return taken  # type: ignore[no-any-return]


def patch() -> None:
    """Apply the patch; `aftersend.engine.aiokafka.patches` calls this."""
    _fetcher.PartitionRecords = _PartitionRecords
    _fetcher.FetchResult = _FetchResult
