"""Series of metrics in plain dicts, converted to Prometheus' format at each scrape.

The counters of prometheus_client take a lock and a look-up for each increment, and its histograms have no weights; for
counting whole batches neither fits.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from aftersend.printable import printable
from aftersend.publish.prometheus.catalog import OTHER, Metric

#: Values of a series' labels.
Labels = tuple[str, ...]
#: Longest label value, characters.
_LONGEST = 200


class CounterSeries:
    """Series of a counter.

    Args:
        metric: the counter.
        always: labels of series that exist from the start, so that `rate()` includes the first increment.
    """

    def __init__(self, metric: Metric, always: Iterable[Labels] = ()) -> None:
        self._metric = metric
        self.values: dict[Labels, float] = dict.fromkeys(always, 0.0)

    def add(self, labels: Labels, number: float = 1.0) -> None:
        """Increment a series."""
        self.values[labels] = self.values.get(labels, 0.0) + number

    def family(self) -> CounterMetricFamily:
        """Return the series as they are now."""
        family = CounterMetricFamily(self._metric.name, self._metric.help, labels=self._metric.labels)
        for labels, value in self.values.items():
            family.add_metric(labels, value)
        return family


class HistogramSeries:
    """Series of a histogram.

    Args:
        metric: the histogram.
        always: labels of series that exist from the start.
    """

    def __init__(self, metric: Metric, always: Iterable[Labels] = ()) -> None:
        self._metric = metric
        self._bounds = metric.buckets
        self._names = [*(f"{bound:g}" if bound % 1 else f"{bound:.1f}" for bound in metric.buckets), "+Inf"]
        #: Number in each bucket, and sum, by labels.
        self._series: dict[Labels, tuple[list[int], list[float]]] = {}
        for labels in always:
            self._of(labels)

    def _of(self, labels: Labels) -> tuple[list[int], list[float]]:
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = [0] * len(self._names), [0.0]
        return series

    def observe(self, labels: Labels, value: float) -> None:
        """Add a value."""
        counts, total = self._of(labels)
        counts[bisect_left(self._bounds, value)] += 1
        total[0] += value

    def observe_all(self, labels: Labels, values: Iterable[float], stride: int, total: int) -> None:
        """Add a sample of values.

        Args:
            labels: of the series.
            values: the sample.
            stride: number of values that each of the sample represents; the last one represents the rest.
            total: number of all values.
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
    """Limits the series of a metric: label values beyond the limit become `__other__`.

    Args:
        limit: number of series.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._shortened: dict[Labels, Labels] = {}

    def bounded(self, *labels: str) -> Labels:
        """Return the labels to count under: the given ones, or with `__other__` as the last."""
        shortened = self._shortened.get(labels)
        if shortened is None:
            if len(self._shortened) >= self._limit:
                return (*labels[:-1], OTHER)
            shortened = self._shortened[labels] = tuple(printable(label[:_LONGEST]) for label in labels)
        return shortened


def gauge(metric: Metric, values: Mapping[Labels, float]) -> GaugeMetricFamily:
    """Return a gauge's series; their labels are made printable."""
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric([printable(label) for label in labels], value)
    return family
