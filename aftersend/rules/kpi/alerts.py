"""Alerts on a campaign that goes wrong (`docs/domain.md §5.4`): thresholds as data, crossings as a pure function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec


class Threshold(NamedTuple):
    """A share that should not be exceeded."""

    name: str
    #: Names of counts of the `escala` view; both are KPIs of `aftersend.rules.kpi.indicators` too.
    numerator: str
    denominator: str
    #: The alert is raised when the share is above it; 0.05 is 5 %.
    limit: float
    #: No alert while the denominator is below it, so that the first bounce of ten recipients alarms nobody.
    minimum: int


#: Of a thousand messages, a single complaint is 0.1 % exactly: not above the limit.
THRESHOLDS: Final = (
    Threshold("hard_bounces", "hard_bounced", "sent", 0.05, 100),
    Threshold("unsubscribes", "unsubscribed", "delivered", 0.05, 100),
    Threshold("complaints", "complained", "delivered", 0.001, 1000),
)


class Thresholds(NamedTuple):
    """What is alarmed of."""

    #: For tenants that have none of their own, and for deliveries of which no tenant is known.
    usual: tuple[Threshold, ...]
    by_tenant: Mapping[str, tuple[Threshold, ...]]

    def of(self, tenant: str) -> tuple[Threshold, ...]:
        """Return a tenant's thresholds."""
        return self.by_tenant.get(tenant, self.usual)


class Alert(msgspec.Struct, frozen=True):
    """A share that has gone above its limit, and what it was computed from."""

    name: str
    share: float
    limit: float
    numerator: int
    numerator_name: str
    denominator: int
    denominator_name: str


class AlertChanges(NamedTuple):
    """What a change of the counts comes to."""

    #: Crossings: each is raised once.
    raised: tuple[Alert, ...]
    #: Names of thresholds whose share is back at its limit or below; they are raised again when crossed again.
    ended: tuple[str, ...]
    #: Names of all thresholds that are exceeded now: the state for the next call.
    active: frozenset[str]


def compare_with_thresholds(
    active: frozenset[str], counts: Mapping[str, int], thresholds: Iterable[Threshold] = THRESHOLDS
) -> AlertChanges:
    """Compare a campaign's counts with the thresholds.

    Args:
        active: names of the thresholds that were exceeded before (`AlertChanges.active`); none of a new campaign's.
        counts: the campaign's, by name.
        thresholds: the tenant's; one that is no longer among them is forgotten.
    """
    raised, ended, now = [], [], set()
    for threshold in thresholds:
        above, below = counts.get(threshold.numerator, 0), counts.get(threshold.denominator, 0)
        if below >= max(threshold.minimum, 1) and above / below > threshold.limit:
            now.add(threshold.name)
            if threshold.name not in active:
                raised.append(
                    Alert(
                        threshold.name,
                        above / below,
                        threshold.limit,
                        above,
                        threshold.numerator,
                        below,
                        threshold.denominator,
                    )
                )
        elif threshold.name in active:
            ended.append(threshold.name)
    return AlertChanges(tuple(raised), tuple(ended), frozenset(now))
