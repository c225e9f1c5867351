"""What a view is: a product's statuses, numbers and logs, computed from the rows that everybody shares.

A view reads a row's class (facts, status) and nothing else for its numbers, so they are sums over a delivery's
histogram (`aftersend.rules.kpi.indicators`): no view costs the folding of events anything, and any view of any past
delivery can be computed from what is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec

from aftersend.rules.kpi import indicators
from aftersend.rules.recipient.facts import Fact
from aftersend.rules.recipient.statuses import STATUS_NUMBER
from aftersend.schemas.recipient import Row

#: Any of these says that the message had left for the MTA or provider, whether its `sent` was reported or not; a
#: refusal too, since nobody refuses what was not handed to him.
HANDED_OVER: Final = (
    Fact.SENT
    | Fact.DEFERRED
    | Fact.SOFT_BOUNCED
    | Fact.DELIVERED
    | Fact.HARD_BOUNCED
    | Fact.REJECTED
    | Fact.INVALID_ADDRESS
    | Fact.FAILED
    | Fact.UNKNOWN
    | Fact.EXPIRED
    | Fact.AUTORESPONDED
)


_UNIQUE_OPENS: Final = next(indicator for indicator in indicators.INDICATORS if indicator.name == "unique_opens")


def is_opened(facts: int, _status: int = 0) -> bool:
    """Say whether a recipient counts as having opened: a human, by the rule of the KPI `unique_opens`."""
    return _UNIQUE_OPENS.counts(facts)


def number_of(name: str, *, final: bool = False) -> int:
    """Return the number of a status by the name that rows show and whether it is final."""
    return STATUS_NUMBER[name, final]


class ShownStatus(NamedTuple):
    """What a view shows as a row's status."""

    name: str
    #: Nothing will replace it any more.
    final: bool = False


class ViewCount(NamedTuple):
    """A number of recipients: those whose row is of certain classes."""

    name: str
    #: What the product calls it.
    title: str
    #: Of (facts, status): whether such a row counts.
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


class RateValue(msgspec.Struct):
    """A rate's value and what it was computed from (`docs/domain.md §4.2`)."""

    #: None: there is nothing to divide by.
    value: float | None
    numerator: int
    numerator_name: str
    denominator: int
    denominator_name: str


class ViewReport(msgspec.Struct):
    """A view of one delivery."""

    view: str
    #: Recipients by shown status, every status of the view; the sum is the audience.
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
    #: Of (facts, status): whether such a row is in the list.
    holds: Callable[[int, int], bool]
    columns: tuple[LogColumn, ...]

    def line(self, recipient: str, row: Row) -> dict[str, Any] | None:
        """Return a recipient's line by the columns' names; None if the recipient is not in the list."""
        if not self.holds(row.facts, row.status):
            return None
        return {column.name: column.value(recipient, row) for column in self.columns}


class _BucketCounts(NamedTuple):
    """What a row of one class counts as."""

    status: str
    counts: tuple[str, ...]


@dataclass(frozen=True)
class View:
    """A product's way of looking at a delivery."""

    name: str
    title: str
    #: Every name that `status_of` may give, in the order in which they are shown.
    statuses: tuple[str, ...]
    #: Of (facts, status).
    status_of: Callable[[int, int], ShownStatus]
    counts: tuple[ViewCount, ...]
    rates: tuple[ViewRate, ...]
    logs: tuple[ViewLog, ...]
    #: Names of the totals that the product knows.
    totals: tuple[str, ...] = ("total_opens", "total_machine_opens", "total_clicks")
    _classes: dict[int, _BucketCounts] = field(default_factory=dict, repr=False, compare=False)

    def kpis(self, cells: Mapping[int, int], events: Mapping[int, int]) -> ViewReport:
        """Return the view of a delivery.

        Args:
            cells: `KpiPartial.cells`, of one partition or merged.
            events: `KpiPartial.events`, of the same.
        """
        statuses = dict.fromkeys(self.statuses, 0)
        counts = dict.fromkeys((count.name for count in self.counts), 0)
        for cell, rows in cells.items():
            of = self._class_of(cell)
            statuses[of.status] += rows
            for name in of.counts:
                counts[name] += rows
        told = indicators.kpis({}, events)
        totals = {name: told[name] for name in self.totals}
        return ViewReport(
            self.name, statuses, counts, totals, {rate.name: rate_value(rate, counts) for rate in self.rates}
        )

    def movement(self, before: int | None, after: int | None) -> dict[str, int]:
        """Return what a row that changes its class does to the counts: 1 or -1 by name, what stays is left out.

        Args:
            before: the class (`aftersend.schemas.packing.pack_bucket`) that the row was of; None: there was no row.
            after: the class that it is of now; None: it is gone, or has turned out to be a test.
        """
        old = set() if before is None else set(self._class_of(before).counts)
        new = set() if after is None else set(self._class_of(after).counts)
        return {count.name: 1 if count.name in new else -1 for count in self.counts if count.name in old ^ new}

    def _class_of(self, cell: int) -> _BucketCounts:
        known = self._classes.get(cell)
        if known is None:
            facts, status = cell >> 8, cell & 255
            names = tuple(count.name for count in self.counts if count.counts(facts, status))
            known = self._classes[cell] = _BucketCounts(self.status_of(facts, status).name, names)
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
    """Hold for every row."""
    return True
