"""Bit layouts: stored integers that hold several fields. Each layout is defined here and nowhere else.

The hot loops of `aftersend.tables` and `aftersend.rules.recipient.fold` repeat some of these expressions, because a
call would cost more than the arithmetic. `tests/unit/tables/test_packing_copies.py` tests that the copies are equal.

The layouts are stored in rows, changelogs and KPI records. They never change.
"""

from __future__ import annotations

from typing import Final, NamedTuple

#: The largest source number, partition and offset that a raw position holds. Larger ones are rejected on decoding
#: (`aftersend.schemas.event`).
MAX_SOURCE: Final = (1 << 6) - 1
MAX_PARTITION: Final = (1 << 14) - 1
MAX_OFFSET: Final = (1 << 44) - 1
#: The largest number of repeats that a history word holds.
MAX_REPEATS: Final = (1 << 6) - 1


class RawPosition(NamedTuple):
    """Where a raw record is stored."""

    #: Number of the source whose raw topic holds it; 0: the record of the events topic is all there is.
    source: int
    partition: int
    offset: int


class HistoryWord(NamedTuple):
    """What a history entry holds besides the event's id and its raw position."""

    #: Milliseconds since 1970.
    received_ms: int
    kind: int
    decision: int
    #: How often the event arrived again, up to `MAX_REPEATS`.
    repeats: int


class EventCounter(NamedTuple):
    """What events are counted by."""

    source: int
    kind: int
    decision: int


class Bucket(NamedTuple):
    """What rows are counted by: the KPI histogram's bucket."""

    status: int
    facts: int


def pack_raw_position(source: int, partition: int, offset: int) -> int:
    """Return a raw position as 64 bits: offset (44), source (6), partition (14)."""
    return offset << 20 | source << 14 | partition


def unpack_raw_position(packed: int) -> RawPosition:
    """Return the fields of a raw position."""
    return RawPosition(packed >> 14 & MAX_SOURCE, packed & MAX_PARTITION, packed >> 20)


def pack_history_word(received_at: float, kind: int, decision: int) -> int:
    """Return a history word as 64 bits: arrival in ms (48), kind (6), decision (4), repeats (6), which start at 0.

    Args:
        received_at: seconds since 1970.
        kind: of the event.
        decision: on the event.
    """
    return int(received_at * 1000 + 0.5) << 16 | kind << 10 | decision << 6


def with_decision(packed: int, decision: int) -> int:
    """Return a history word with another decision."""
    return packed & ~(15 << 6) | decision << 6


def unpack_history_word(packed: int) -> HistoryWord:
    """Return the fields of a history word."""
    return HistoryWord(packed >> 16, packed >> 10 & 63, packed >> 6 & 15, packed & MAX_REPEATS)


def pack_event_counter(source: int, kind: int, decision: int) -> int:
    """Return a key of `KpiPartial.events`: source, kind (8 bits), decision (4 bits)."""
    return source << 12 | kind << 4 | decision


def unpack_event_counter(packed: int) -> EventCounter:
    """Return the fields of a key of `KpiPartial.events`."""
    return EventCounter(packed >> 12, packed >> 4 & 255, packed & 15)


def pack_bucket(status: int, facts: int) -> int:
    """Return a key of `KpiPartial.buckets`: facts, status (8 bits)."""
    return facts << 8 | status


def unpack_bucket(packed: int) -> Bucket:
    """Return the fields of a key of `KpiPartial.buckets`."""
    return Bucket(packed & 255, packed >> 8)
