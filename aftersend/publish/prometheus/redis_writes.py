"""Metrics of writes to Redis."""

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
    """State of a publisher, read at each scrape."""

    connected: bool
    #: Parts of deliveries written so far.
    writes: int
    #: Those of them that were fenced.
    refused: int

    @property
    def backlog(self) -> int:
        """Number of parts to be written."""


class RedisMetrics(Collector):
    """Metrics of a publisher.

    Args:
        publisher: the publisher.
        heartbeat: gets the ticks that Redis has confirmed.
    """

    def __init__(self, publisher: PublisherStatus, heartbeat: Heartbeat) -> None:
        self._publisher = publisher
        self._heartbeat = heartbeat
        self._flushes = CounterSeries(catalog.REDIS_FLUSHES, (_OK, _FAILED))
        self._seconds = HistogramSeries(catalog.REDIS_FLUSH, ((),))

    def flushed(self, seconds: float) -> None:
        """Count a successful flush and its duration, in seconds."""
        self._flushes.add(_OK)
        self._seconds.observe((), seconds)

    def failed(self) -> None:
        """Count a failed flush."""
        self._flushes.add(_FAILED)

    def confirmed(self, partition: int, tick: float) -> None:
        """Record that Redis has a partition's KPIs as of a tick."""
        self._heartbeat.observe(REDIS, partition, tick)

    def released(self, partition: int) -> None:
        """Remove a partition."""
        self._heartbeat.remove(REDIS, partition)

    def collect(self) -> Iterator[Family]:
        """Yield the series as they are now."""
        publisher = self._publisher
        yield gauge(catalog.REDIS_UP, {(): float(publisher.connected)})
        yield self._flushes.family()
        yield self._seconds.family()
        yield _total(catalog.REDIS_WRITES, publisher.writes)
        yield _total(catalog.REDIS_FENCED, publisher.refused)
        yield gauge(catalog.REDIS_BACKLOG, {(): float(publisher.backlog)})


def _total(metric: Metric, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(metric.name, metric.help, value=value)
