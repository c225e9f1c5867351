"""Metrics of a worker's state: its partitions, their lag and their last commit, read at each scrape."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from aftersend.engine.partitions.health import WorkerHealth
from aftersend.engine.partitions.phase import Phase
from aftersend.publish.prometheus import catalog
from aftersend.publish.prometheus.series import Labels, gauge

_PHASES: Final = tuple(phase.value for phase in Phase)


class HealthMetrics(Collector):
    """Metrics of a worker's state.

    Args:
        health: returns the state.
        leads: returns whether this worker's clock ticks.
        now: the wall clock, seconds since 1970.
    """

    def __init__(
        self, health: Callable[[], WorkerHealth], leads: Callable[[], bool], now: Callable[[], float] = time.time
    ) -> None:
        self._health = health
        self._leads = leads
        self._now = now

    def collect(self) -> Iterator[Family]:
        """Yield the gauges."""
        health = self._health()
        now = self._now()
        phases: dict[Labels, float] = {}
        records: dict[Labels, float] = {}
        seconds: dict[Labels, float] = {}
        commits: dict[Labels, float] = {}
        for one in health.partitions:
            for phase in _PHASES:
                phases.setdefault((one.topic, phase), 0.0)
            phases[one.topic, one.phase] += 1
            partition = one.topic, str(one.partition)
            records[partition] = one.lag
            seconds[partition] = one.lag_seconds
            commits[partition] = round(now - one.since_commit, 3)
        yield gauge(catalog.READY, {(): float(health.assigned)})
        yield gauge(catalog.LEADER, {(): float(self._leads())})
        yield gauge(catalog.PARTITIONS, phases)
        yield gauge(catalog.LAG_RECORDS, records)
        yield gauge(catalog.LAG_SECONDS, seconds)
        yield gauge(catalog.LAST_COMMIT, commits)
        restored = catalog.RESTORED_RECORDS
        yield CounterMetricFamily(restored.name, restored.help, value=health.restored)
