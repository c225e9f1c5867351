"""Metrics of alerts on deliveries, exported by the leading worker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from aftersend.printable import printable
from aftersend.publish.prometheus import catalog
from aftersend.publish.prometheus.catalog import OTHER
from aftersend.publish.prometheus.series import CounterSeries, Labels, gauge
from aftersend.schemas.alert import DeliveryAlert

#: Longest label value, characters.
_LONGEST: Final = 200
_STATES: Final = ("raised", "ended")


class AlertMetrics(Collector):
    """Active alerts, and counts of raised and ended ones.

    Args:
        limit: number of deliveries with series of their own.
        names: of the thresholds.
    """

    def __init__(self, limit: int, names: Iterable[str]) -> None:
        self._limit = limit
        self._active: Sequence[DeliveryAlert] = ()
        self._counts = CounterSeries(catalog.ALERTS, [(name, state) for name in names for state in _STATES])

    def update(self, crossings: Sequence[DeliveryAlert], active: Sequence[DeliveryAlert]) -> None:
        """Count crossings and replace the active alerts; an `aftersend.agents.alerts.OnAlerts`.

        Args:
            crossings: alerts that were raised or ended.
            active: alerts that are active now, the last raised first; empty if another worker leads.
        """
        for alert in crossings:
            self._counts.add((alert.alert, alert.state))
        self._active = active

    def collect(self) -> Iterator[Family]:
        """Yield the series as they are now."""
        own = set(list(dict.fromkeys(alert.delivery_id for alert in self._active))[: self._limit])
        values: dict[Labels, float] = {}
        for alert in self._active:
            shown = printable(alert.delivery_id[:_LONGEST]) if alert.delivery_id in own else OTHER
            values[shown, alert.alert] = values.get((shown, alert.alert), 0.0) + 1.0
        yield gauge(catalog.DELIVERY_ALERT, values)
        yield self._counts.family()
