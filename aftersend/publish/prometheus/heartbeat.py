"""Heartbeat of the pipeline: the last tick that has passed each stage, and its latency.

The leading worker's clock writes a tick to Kafka every few seconds. Normalise fans it out to every partition of the
events topic, track folds it in a transaction like any other event, and the next flush to Redis confirms it. So a stage
that stands still shows, with traffic or without.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from aftersend.publish.prometheus import catalog
from aftersend.publish.prometheus.series import HistogramSeries, gauge

COMMIT: Final = "commit"
REDIS: Final = "redis"


class Heartbeat(Collector):
    """Ticks that have passed the stages of this worker's partitions.

    Args:
        now: the wall clock, seconds since 1970.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        #: Kafka timestamp of the last tick by stage and partition, seconds since 1970.
        self.last: dict[tuple[str, int], float] = {}
        self._latency = HistogramSeries(catalog.HEARTBEAT_LATENCY, ((COMMIT,), (REDIS,)))

    def observe(self, stage: str, partition: int, tick: float) -> None:
        """Record that a tick has passed a stage; ticks that are not newer than the last are ignored."""
        if tick > self.last.get((stage, partition), 0.0):
            self.last[stage, partition] = tick
            self._latency.observe((stage,), max(0.0, self._now() - tick))

    def start(self, stage: str, partition: int, tick: float) -> None:
        """Add a partition with its last tick, which does not count as latency; 0.0: it has none."""
        if tick:
            self.last[stage, partition] = tick

    def remove(self, stage: str, partition: int) -> None:
        """Remove a partition."""
        self.last.pop((stage, partition), None)

    def collect(self) -> Iterator[Family]:
        """Yield the last ticks and the latencies."""
        yield gauge(catalog.HEARTBEAT, {(stage, str(p)): tick for (stage, p), tick in self.last.items()})
        yield self._latency.family()
