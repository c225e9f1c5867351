"""Paused topics and tenants: those with an open circuit breaker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Final

from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from aftersend.engine.breaker import TopicBreakers
from aftersend.publish.prometheus import catalog
from aftersend.publish.prometheus.series import gauge

#: Maximum number of series of a worker: a defective parser may pause every tenant.
_MAX_SHOWN: Final = 100


class BreakerMetrics(Collector):
    """One series for each open breaker.

    Args:
        breakers: of the worker's agents.
    """

    def __init__(self, breakers: Sequence[TopicBreakers]) -> None:
        self._breakers = breakers

    def collect(self) -> Iterator[Family]:
        """Yield the gauge."""
        opened = chain.from_iterable(breakers.open_breakers() for breakers in self._breakers)
        yield gauge(catalog.PAUSED, {(one.topic, one.tenant): 1.0 for one in islice(opened, _MAX_SHOWN)})
