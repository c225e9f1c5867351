"""Gauges with the KPIs of the deliveries that were last active; all others together are `__other__`.

Each worker exports the parts of its own partitions. `sum by (delivery)` over all workers is the delivery's number, less
the parts that some worker exports under `__other__`, since its last active deliveries are others. The sum over all
deliveries is always exact: `__other__` is the total of the tables less what is exported by id.

KPIs are computed at each scrape. A batch only adds its changes to the totals, and marks its deliveries as active.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from heapq import nlargest
from typing import Final

from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from aftersend.printable import printable
from aftersend.publish.prometheus import catalog
from aftersend.publish.prometheus.catalog import NONE, OTHER
from aftersend.publish.prometheus.series import Labels, gauge
from aftersend.rules.kpi.indicators import kpis, statuses
from aftersend.rules.recipient.decisions import DECISION_NAMES
from aftersend.tables.stores.base import PartitionStore

#: Longest label value, characters.
_LONGEST: Final = 200


class _Histogram:
    """Sums of buckets and events (`aftersend.schemas.kpi.KpiPartial`)."""

    __slots__ = ("buckets", "events")

    def __init__(self) -> None:
        self.buckets: dict[int, int] = {}
        self.events: dict[int, int] = {}

    def add(self, buckets: Mapping[int, int], events: Mapping[int, int], sign: int = 1) -> None:
        for mine, theirs in ((self.buckets, buckets), (self.events, events)):
            for key, number in theirs.items():
                mine[key] = mine.get(key, 0) + sign * number


class _Partition:
    """A partition of this worker."""

    def __init__(self, store: PartitionStore) -> None:
        self.store = store
        #: Sum of all deliveries; None: not computed before the first scrape.
        self.total: _Histogram | None = None


class DeliveryMetrics(Collector):
    """KPIs of deliveries.

    Args:
        limit: number of deliveries with series of their own.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._partitions: dict[int, _Partition] = {}
        #: Deliveries with series of their own, the last active at the end.
        self._active: OrderedDict[str, None] = OrderedDict()

    def opened(self, partition: int, store: PartitionStore) -> None:
        """Add a partition."""
        self._partitions[partition] = _Partition(store)

    def closed(self, partition: int) -> None:
        """Remove a partition."""
        self._partitions.pop(partition, None)

    def folded(
        self, partition: int, changed: Iterable[str], buckets: Mapping[int, int], events: Mapping[int, int]
    ) -> None:
        """Add a committed batch, which the store already holds.

        Args:
            partition: of the batch.
            changed: deliveries whose KPIs it has changed.
            buckets: rows of all of them together that each bucket has gained or lost.
            events: their events by counter.
        """
        one = self._partitions.get(partition)
        if one is None:
            return
        if one.total is not None:
            one.total.add(buckets, events)
        active = self._active
        for delivery_id in changed:
            active[delivery_id] = None
            active.move_to_end(delivery_id)
        while len(active) > self._limit:
            active.popitem(last=False)

    def _count(self, partition: _Partition) -> _Histogram:
        """Return the sum of a partition's deliveries, at its first scrape; mark those last active."""
        total = _Histogram()
        latest: dict[str, float] = {}
        for delivery_id, partial in partition.store.partials():
            total.add(partial.buckets, partial.events)
            latest[delivery_id] = partial.updated_at
        for delivery_id in nlargest(self._limit, latest, key=latest.__getitem__):
            if len(self._active) < self._limit and delivery_id not in self._active:
                self._active[delivery_id] = None
                self._active.move_to_end(delivery_id, last=False)
        return total

    def collect(self) -> Iterator[Family]:
        """Yield the gauges as of the last commit."""
        rest = _Histogram()
        for partition in self._partitions.values():
            if partition.total is None:
                partition.total = self._count(partition)
            rest.add(partition.total.buckets, partition.total.events)
        shown: dict[str, _Histogram] = {}
        for delivery_id in self._active:
            parts = [p for one in self._partitions.values() if (p := one.store.partial(delivery_id)) is not None]
            name = label_of(delivery_id)
            if not parts or name == OTHER:
                continue
            histogram = shown.setdefault(name, _Histogram())
            for part in parts:
                histogram.add(part.buckets, part.events)
                rest.add(part.buckets, part.events, -1)
        yield gauge(catalog.DELIVERIES, {(): float(len(shown))})
        shown[OTHER] = rest
        yield from _families(shown)


def label_of(delivery_id: str) -> str:
    """Return the label of a delivery: its id, printable and cut to a bounded length."""
    return printable(delivery_id[:_LONGEST]) or NONE


def _families(shown: Mapping[str, _Histogram]) -> Iterator[Family]:
    numbers = {name: kpis(h.buckets, h.events) for name, h in shown.items()}
    by_status: dict[Labels, float] = {}
    by_decision: dict[Labels, float] = {}
    for name, histogram in shown.items():
        by_status |= {(name, status): float(rows) for status, rows in statuses(histogram.buckets).items()}
        by_decision |= {(name, decision): float(numbers[name][decision]) for decision in DECISION_NAMES}
    yield gauge(catalog.DELIVERY_STATUS, by_status)
    yield gauge(catalog.DELIVERY_EVENTS, by_decision)
    for kpi, metric in catalog.DELIVERY_KPIS.items():
        yield gauge(metric, {(name,): float(of_one[kpi]) for name, of_one in numbers.items()})
