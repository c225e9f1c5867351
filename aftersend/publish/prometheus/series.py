"""Series of a metric, gathered in plain dicts while work goes on and made into text only when Prometheus asks.

prometheus_client's own counters take a lock and a look-up for each increment, and its histograms know no weights; what
counts whole batches needs neither.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from aftersend.publish.prometheus.catalog import OTHER, Metric

Labels = tuple[str, ...]
_LONGEST = 200


class CounterSeries:
    """The series of a counter.

    Args:
        metric: what is counted.
        always: labels of series that are there from the start, so that the first event counts in `rate()`.
    """

    def __init__(self, metric: Metric, always: Iterable[Labels] = ()) -> None:
        self._metric = metric
        self.values: dict[Labels, float] = dict.fromkeys(always, 0.0)

    def add(self, labels: Labels, number: float = 1.0) -> None:
        """Count."""
        self.values[labels] = self.values.get(labels, 0.0) + number

    def family(self) -> CounterMetricFamily:
        """Return the series as they are now."""
        family = CounterMetricFamily(self._metric.name, self._metric.help, labels=self._metric.labels)
        for labels, value in self.values.items():
            family.add_metric(labels, value)
        return family


class HistogramSeries:
    """The series of a histogram.

    Args:
        metric: what is measured.
        always: labels of series that are there from the start.
    """

    def __init__(self, metric: Metric, always: Iterable[Labels] = ()) -> None:
        self._metric = metric
        self._bounds = metric.buckets
        self._names = [*(f"{bound:g}" if bound % 1 else f"{bound:.1f}" for bound in metric.buckets), "+Inf"]
        #: By labels: how many in each bucket, and the sum.
        self._series: dict[Labels, tuple[list[int], list[float]]] = {}
        for labels in always:
            self._of(labels)

    def _of(self, labels: Labels) -> tuple[list[int], list[float]]:
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = [0] * len(self._names), [0.0]
        return series

    def observe(self, labels: Labels, value: float) -> None:
        """Take a measurement."""
        counts, total = self._of(labels)
        counts[bisect_left(self._bounds, value)] += 1
        total[0] += value

    def observe_all(self, labels: Labels, values: Iterable[float], stride: int, total: int) -> None:
        """Take measurements that each stand for some that are not there.

        Args:
            labels: of the series.
            values: the measurements.
            stride: so many each of them stands for, the last one for what is left.
            total: how many there would be.
        """
        counts, summed = self._of(labels)
        bounds, left = self._bounds, total
        for value in values:
            weight = min(stride, left)
            left -= weight
            counts[bisect_left(bounds, value)] += weight
            summed[0] += value * weight

    def family(self) -> HistogramMetricFamily:
        """Return the series as they are now."""
        family = HistogramMetricFamily(self._metric.name, self._metric.help, labels=self._metric.labels)
        for labels, (counts, total) in self._series.items():
            buckets, so_far = [], 0
            for name, count in zip(self._names, counts, strict=True):
                so_far += count
                buckets.append((name, so_far))
            family.add_metric(labels, buckets, total[0])
        return family


class BoundedLabels:
    """Lets so many values of a label have series of their own; the rest is `__other__`.

    Args:
        limit: how many.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: dict[Labels, Labels] = {}

    def bounded(self, *labels: str) -> Labels:
        """Return the labels that something counts under: its own, or the last of them `__other__`."""
        known = self._known.get(labels)
        if known is None:
            if len(self._known) >= self._limit:
                return (*labels[:-1], OTHER)
            known = self._known[labels] = tuple(label[:_LONGEST] for label in labels)
        return known


def gauge(metric: Metric, values: Mapping[Labels, float]) -> GaugeMetricFamily:
    """Return a gauge's series."""
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
