"""Alerts on deliveries (`docs/domain.md §5.4`): thresholds as data, crossings as a pure function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec


class Threshold(NamedTuple):
    """The limit of a share."""

    name: str
    #: Names of counts of the `escala` view; both are KPIs of `aftersend.rules.kpi.indicators` too.
    numerator: str
    denominator: str
    #: The alert is raised when the share is above it; 0.05 is 5 %.
    limit: float
    #: No alert while the denominator is below it, so that one bounce of ten recipients raises none.
    minimum: int


#: One complaint in a thousand messages is exactly 0.1 %, which is not above the limit.
THRESHOLDS: Final = (
    Threshold("hard_bounces", "hard_bounced", "sent", 0.05, 100),
    Threshold("unsubscribes", "unsubscribed", "delivered", 0.05, 100),
    Threshold("complaints", "complained", "delivered", 0.001, 1000),
)


class Thresholds(NamedTuple):
    """The thresholds of all tenants."""

    #: For tenants without thresholds of their own, and for deliveries without a tenant.
    usual: tuple[Threshold, ...]
    by_tenant: Mapping[str, tuple[Threshold, ...]]

    def of(self, tenant: str) -> tuple[Threshold, ...]:
        """Return a tenant's thresholds."""
        return self.by_tenant.get(tenant, self.usual)


class Alert(msgspec.Struct, frozen=True):
    """A share that has exceeded its limit, and what it was computed from."""

    name: str
    share: float
    limit: float
    numerator: int
    numerator_name: str
    denominator: int
    denominator_name: str


class AlertChanges(NamedTuple):
    """The alerts that a change of the counts raises and ends."""

    #: Crossings: each is raised once.
    raised: tuple[Alert, ...]
    #: Names of thresholds whose share is back at its limit or below; crossing them again raises them again.
    ended: tuple[str, ...]
    #: Names of all exceeded thresholds: the state for the next call.
    active: frozenset[str]


def compare_with_thresholds(
    active: frozenset[str], counts: Mapping[str, int], thresholds: Iterable[Threshold] = THRESHOLDS
) -> AlertChanges:
    """Compare a delivery's counts with the thresholds.

    Args:
        active: names of the thresholds that were exceeded before (`AlertChanges.active`); none for a new delivery.
        counts: of the delivery, by name.
        thresholds: of the tenant; an active one that is no longer among them is dropped.
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
