"""What a batch is folded with, and what folding it gives."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from aftersend.rules.contact.validity import DEFAULT_POLICY, VALIDITY_POLICIES
from aftersend.rules.kpi.indicators import KpiTotals
from aftersend.rules.recipient.timing import Timing
from aftersend.tables.stores.base import Changes


class FoldOptions(msgspec.Struct, frozen=True):
    """An installation's options of folding."""

    timing: Timing
    #: Source numbers by name.
    numbers: Mapping[str, int]
    #: Rows that one tick scans in each partition; the next tick continues.
    sweep_rows: int = 50_000
    #: Hard bounces in a row after which an address is invalid (`aftersend.rules.contact.validity`).
    invalid_after: int = VALIDITY_POLICIES[DEFAULT_POLICY]
    #: Number of partitions of the events topic: it decides which of them publishes a delivery.
    partitions: int = 1


class BatchResult(msgspec.Struct):
    """The result of folding a batch. Nothing is visible before its transaction has been committed."""

    changes: Changes
    #: Totals of `changes.partials`.
    totals: dict[str, KpiTotals]
    #: Number of events by `aftersend.schemas.packing.pack_event_counter`.
    events: dict[int, int]
    #: How many rows of all deliveries together each KPI bucket has gained or lost.
    buckets: dict[int, int]
    #: By delivery with rows that may expire: when the first of them does, seconds since 1970.
    first_expiries: dict[str, float]
    records: int
    #: Number of unreadable records by the name of the error's class.
    errors: dict[str, int]
    #: Number of ticks that were too far ahead of the partition's time (`docs/domain.md §6.1`).
    refused_ticks: int = 0

    @property
    def dead(self) -> int:
        """Number of unreadable records."""
        return sum(self.errors.values())
