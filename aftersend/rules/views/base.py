"""The definition of a view: a product's statuses, counts and logs, computed from the same rows.

The counts of a view depend on a row's bucket (status, facts) only, so they are sums over a delivery's histogram
(`aftersend.rules.kpi.indicators`): a view adds no work for an event, and covers past deliveries too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec

from aftersend.rules.kpi import indicators
from aftersend.rules.kpi.indicators import RateValue
from aftersend.rules.recipient.statuses import STATUS_NUMBER
from aftersend.schemas.packing import unpack_bucket
from aftersend.schemas.recipient import Row

_UNIQUE_OPENS: Final = next(indicator for indicator in indicators.INDICATORS if indicator.name == "unique_opens")


def is_opened(facts: int, _status: int = 0) -> bool:
    """Return whether a recipient counts as having opened, by the rule of the KPI `unique_opens`: humans only."""
    return _UNIQUE_OPENS.counts(facts)


def number_of(name: str, *, final: bool = False) -> int:
    """Return the number of a status by its public name and whether it is final."""
    return STATUS_NUMBER[name, final]


class ShownStatus(NamedTuple):
    """A row's status in a view."""

    name: str
    #: No event will replace it.
    final: bool = False


class ViewCount(NamedTuple):
    """A number of recipients: those whose row is in certain buckets."""

    name: str
    #: The product's name of it.
    title: str
    #: Of (facts, status): whether a row counts.
    counts: Callable[[int, int], bool]
    meaning: str


class ViewRate(NamedTuple):
    """A ratio of two counts."""

    name: str
    title: str
    #: Names of counts.
    numerator: str
    denominator: str
    #: Another count that is added to the denominator.
    plus: str = ""


class ViewReport(msgspec.Struct):
    """A view of one delivery."""

    view: str
    #: Recipients by status, every status of the view; the sum is the audience.
    statuses: dict[str, int]
    #: Recipients, by the names of the view's counts.
    counts: dict[str, int]
    #: Events, by the names of `aftersend.rules.kpi.indicators.TOTALS`.
    totals: dict[str, int]
    rates: dict[str, RateValue]


class LogColumn(NamedTuple):
    """One column of a log."""

    name: str
    title: str
    #: Of (recipient, row): text, number, time (seconds since 1970), truth value or None.
    value: Callable[[str, Row], Any]


class ViewLog(NamedTuple):
    """A list of a delivery's recipients."""

    name: str
    title: str
    #: Of (facts, status): whether a row is in the list.
    holds: Callable[[int, int], bool]
    columns: tuple[LogColumn, ...]

    def line(self, recipient: str, row: Row) -> dict[str, Any] | None:
        """Return a recipient's line by the columns' names; None if the recipient is not in the list."""
        if not self.holds(row.facts, row.status):
            return None
        return {column.name: column.value(recipient, row) for column in self.columns}


class _BucketCounts(NamedTuple):
    """The status and the counts of a row in one bucket."""

    status: str
    counts: tuple[str, ...]


@dataclass(frozen=True)
class View:
    """A product's view of a delivery."""

    name: str
    title: str
    #: Every name that `status_of` may return, in display order.
    statuses: tuple[str, ...]
    #: Of (facts, status).
    status_of: Callable[[int, int], ShownStatus]
    counts: tuple[ViewCount, ...]
    rates: tuple[ViewRate, ...]
    logs: tuple[ViewLog, ...]
    #: Names of the totals that the product has.
    totals: tuple[str, ...] = ("total_opens", "total_machine_opens", "total_clicks")
    _by_bucket: dict[int, _BucketCounts] = field(default_factory=dict, repr=False, compare=False)

    def kpis(self, buckets: Mapping[int, int], events: Mapping[int, int]) -> ViewReport:
        """Return the view of a delivery.

        Args:
            buckets: `KpiPartial.buckets`, of one partition or merged.
            events: `KpiPartial.events`, of the same.
        """
        statuses = dict.fromkeys(self.statuses, 0)
        counts = dict.fromkeys((count.name for count in self.counts), 0)
        for bucket, rows in buckets.items():
            counted = self._counts_of(bucket)
            statuses[counted.status] += rows
            for name in counted.counts:
                counts[name] += rows
        kpis = indicators.kpis({}, events)
        totals = {name: kpis[name] for name in self.totals}
        return ViewReport(
            self.name, statuses, counts, totals, {rate.name: rate_value(rate, counts) for rate in self.rates}
        )

    def movement(self, before: int | None, after: int | None) -> dict[str, int]:
        """Return how the counts change when a row changes its bucket: 1 or -1 by name, unchanged counts left out.

        Args:
            before: bucket (`aftersend.schemas.packing.pack_bucket`) before; None: there was no row.
            after: bucket after; None: the row is deleted, or has turned out to be of a test message.
        """
        old = set() if before is None else set(self._counts_of(before).counts)
        new = set() if after is None else set(self._counts_of(after).counts)
        return {count.name: 1 if count.name in new else -1 for count in self.counts if count.name in old ^ new}

    def _counts_of(self, bucket: int) -> _BucketCounts:
        known = self._by_bucket.get(bucket)
        if known is None:
            status, facts = unpack_bucket(bucket)
            names = tuple(count.name for count in self.counts if count.counts(facts, status))
            known = self._by_bucket[bucket] = _BucketCounts(self.status_of(facts, status).name, names)
        return known


def rate_value(rate: ViewRate, counts: Mapping[str, int]) -> RateValue:
    """Return a rate with its numerator and denominator."""
    above, below, name = counts[rate.numerator], counts[rate.denominator], rate.denominator
    if rate.plus:
        below, name = below + counts[rate.plus], f"{name} + {rate.plus}"
    return RateValue(above / below if below else None, above, rate.numerator, below, name)


def has(facts: int) -> Callable[[int, int], bool]:
    """Return the condition that a row has any of some facts."""

    def condition(of: int, _status: int) -> bool:
        return bool(of & facts)

    return condition


def every_row(_facts: int, _status: int) -> bool:
    """Return True: every row counts."""
    return True
