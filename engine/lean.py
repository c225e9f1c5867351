"""Fetched records as they leave the parser, without a Python object built for each.

aiokafka turns every record into a `ConsumerRecord`, which costs as much as folding it. The record that it is built
from already has `offset`, `timestamp`, `key`, `value` and `headers`. A consumer asks for these by passing `LEAN` as
its value deserializer; every other consumer in the process works as before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Protocol

from aiokafka.consumer import fetcher as _fetcher


class LeanRecord(Protocol):
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


def LEAN(data: bytes) -> bytes:  # noqa: N802 - a sentinel that happens to be callable
    """Mark a consumer whose records are left as they are."""
    return data


_ConsumerRecords: Final = _fetcher.PartitionRecords


class _PartitionRecords(_ConsumerRecords):  # type: ignore[misc, valid-type] - aiokafka has no types here
    """Records of one fetched partition; lean where the consumer asked for it."""

    def _consumer_record(self, tp: Any, record: Any) -> Any:  # noqa: ANN401 - aiokafka's own objects pass through
        if self._value_deserializer is LEAN:
            return record
        return super()._consumer_record(tp, record)


def install() -> None:
    """Make `LEAN` work in this process; to be called once before a consumer is made."""
    _fetcher.PartitionRecords = _PartitionRecords


def iterate(records: list[Any]) -> Iterator[LeanRecord]:
    """Iterate over records with their type."""
    return iter(records)
