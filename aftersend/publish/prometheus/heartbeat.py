"""The heartbeat: how far the clock's ticks have come, and how long they took.

A tick is written to Kafka by the leader's clock every few seconds, read by normalise, fanned out to every partition of
the events topic, and folded by track, in a transaction like any other; after that the partition's mark in Redis is
raised. So whatever stands still in between shows, with mail or without.
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
    """The ticks that have come through to this worker's partitions.

    Args:
        now: the wall clock, seconds since 1970.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        #: By stage and partition: Kafka's timestamp of the last tick, seconds since 1970.
        self.last: dict[tuple[str, int], float] = {}
        self._latency = HistogramSeries(catalog.HEARTBEAT_LATENCY, ((COMMIT,), (REDIS,)))

    def observe(self, stage: str, partition: int, tick: float) -> None:
        """Note that a tick has come so far; one that says nothing new counts for nothing."""
        if tick > self.last.get((stage, partition), 0.0):
            self.last[stage, partition] = tick
            self._latency.observe((stage,), max(0.0, self._now() - tick))

    def start(self, stage: str, partition: int, tick: float) -> None:
        """Note where a partition stands that was taken over; 0.0: it has seen no tick yet."""
        if tick:
            self.last[stage, partition] = tick

    def remove(self, stage: str, partition: int) -> None:
        """Forget a partition: it is somebody else's."""
        self.last.pop((stage, partition), None)

    def collect(self) -> Iterator[Family]:
        """Yield the last ticks, and how long all took."""
        yield gauge(catalog.HEARTBEAT, {(stage, str(p)): tick for (stage, p), tick in self.last.items()})
        yield self._latency.family()
