"""What the writing to Redis counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from prometheus_client.core import CounterMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from aftersend.publish.prometheus import catalog
from aftersend.publish.prometheus.catalog import Metric
from aftersend.publish.prometheus.heartbeat import REDIS, Heartbeat
from aftersend.publish.prometheus.series import CounterSeries, HistogramSeries, gauge

_OK, _FAILED = ("ok",), ("failed",)


class PublisherStatus(Protocol):
    """What is asked of a publisher at each scrape."""

    connected: bool
    #: Deliveries' parts written so far, and those of them that were refused.
    writes: int
    refused: int

    @property
    def backlog(self) -> int:
        """How many deliveries' parts wait to be written."""


class RedisMetrics(Collector):
    """Metrics of a publisher.

    Args:
        publisher: whose.
        heartbeat: told what Redis has confirmed.
    """

    def __init__(self, publisher: PublisherStatus, heartbeat: Heartbeat) -> None:
        self._publisher = publisher
        self._heartbeat = heartbeat
        self._flushes = CounterSeries(catalog.REDIS_FLUSHES, (_OK, _FAILED))
        self._seconds = HistogramSeries(catalog.REDIS_FLUSH, ((),))

    def flushed(self, seconds: float) -> None:
        """Count a batch of writes that went well, and how long it took."""
        self._flushes.add(_OK)
        self._seconds.observe((), seconds)

    def failed(self) -> None:
        """Count one that did not."""
        self._flushes.add(_FAILED)

    def confirmed(self, partition: int, tick: float) -> None:
        """Note that Redis shows a partition as it was when a tick had been folded."""
        self._heartbeat.observe(REDIS, partition, tick)

    def released(self, partition: int) -> None:
        """Forget a partition: it is somebody else's."""
        self._heartbeat.remove(REDIS, partition)

    def collect(self) -> Iterator[Family]:
        """Yield what was counted so far."""
        publisher = self._publisher
        yield gauge(catalog.REDIS_UP, {(): float(publisher.connected)})
        yield self._flushes.family()
        yield self._seconds.family()
        yield _total(catalog.REDIS_WRITES, publisher.writes)
        yield _total(catalog.REDIS_FENCED, publisher.refused)
        yield gauge(catalog.REDIS_BACKLOG, {(): float(publisher.backlog)})


def _total(metric: Metric, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(metric.name, metric.help, value=value)
