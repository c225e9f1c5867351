"""KPIs of the deliveries that were active last, as gauges; all others together as `__other__`.

Each worker shows what its own partitions add. So `sum by (delivery)` over all workers is the delivery's number, but for
what a worker that has heard less of it shows under `__other__`; the sum over all deliveries is exact in any case, since
`__other__` is all that the tables hold less what is shown.

Nothing is computed before Prometheus asks. A batch adds how it moved the totals, and puts its deliveries in front.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from heapq import nlargest
from typing import Final

from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from aftersend.publish.prometheus import catalog
from aftersend.publish.prometheus.catalog import NONE, OTHER
from aftersend.publish.prometheus.series import Labels, gauge
from aftersend.rules.kpi.indicators import kpis, statuses
from aftersend.rules.recipient.decisions import DECISION_NAMES
from aftersend.tables.stores.base import PartitionStore

_LONGEST: Final = 200


class _Histogram:
    """Cells and events (`aftersend.schemas.kpi.KpiPartial`), added up."""

    __slots__ = ("cells", "events")

    def __init__(self) -> None:
        self.cells: dict[int, int] = {}
        self.events: dict[int, int] = {}

    def add(self, cells: Mapping[int, int], events: Mapping[int, int], sign: int = 1) -> None:
        for mine, theirs in ((self.cells, cells), (self.events, events)):
            for key, number in theirs.items():
                mine[key] = mine.get(key, 0) + sign * number


class _Partition:
    """A partition of this worker."""

    def __init__(self, store: PartitionStore) -> None:
        self.store = store
        #: Of all deliveries; None: not counted yet, since nobody has asked.
        self.total: _Histogram | None = None


class DeliveryMetrics(Collector):
    """Shows the deliveries.

    Args:
        limit: how many have series of their own.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._partitions: dict[int, _Partition] = {}
        #: The deliveries that are shown, the one active last at the end.
        self._active: OrderedDict[str, None] = OrderedDict()

    def opened(self, partition: int, store: PartitionStore) -> None:
        """Show a partition from now on."""
        self._partitions[partition] = _Partition(store)

    def closed(self, partition: int) -> None:
        """Show a partition no longer."""
        self._partitions.pop(partition, None)

    def folded(
        self, partition: int, changed: Iterable[str], cells: Mapping[int, int], events: Mapping[int, int]
    ) -> None:
        """Take note of a committed batch, which the store shows already.

        Args:
            partition: whose.
            changed: the deliveries whose KPIs it has changed.
            cells: how the rows of all of them together moved.
            events: their events.
        """
        one = self._partitions.get(partition)
        if one is None:
            return
        if one.total is not None:
            one.total.add(cells, events)
        active = self._active
        for delivery_id in changed:
            active[delivery_id] = None
            active.move_to_end(delivery_id)
        while len(active) > self._limit:
            active.popitem(last=False)

    def _count(self, partition: _Partition) -> _Histogram:
        """Add up all deliveries of a partition, which happens once; find those that were active last."""
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
        """Yield the gauges, as of the last commit."""
        rest = _Histogram()
        for partition in self._partitions.values():
            if partition.total is None:
                partition.total = self._count(partition)
            rest.add(partition.total.cells, partition.total.events)
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
    """Return the label that a delivery has: its id, shortened where nobody could read it anyway."""
    return delivery_id[:_LONGEST] or NONE


def _families(shown: Mapping[str, _Histogram]) -> Iterator[Family]:
    numbers = {name: kpis(h.cells, h.events) for name, h in shown.items()}
    by_status: dict[Labels, float] = {}
    by_decision: dict[Labels, float] = {}
    for name, histogram in shown.items():
        by_status |= {(name, status): float(rows) for status, rows in statuses(histogram.cells).items()}
        by_decision |= {(name, decision): float(numbers[name][decision]) for decision in DECISION_NAMES}
    yield gauge(catalog.DELIVERY_STATUS, by_status)
    yield gauge(catalog.DELIVERY_EVENTS, by_decision)
    for kpi, metric in catalog.DELIVERY_KPIS.items():
        yield gauge(metric, {(name,): float(of_one[kpi]) for name, of_one in numbers.items()})
