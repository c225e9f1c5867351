"""What a gateway counts: cheap enough for every request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from aftersend.publish.prometheus import catalog
from aftersend.publish.prometheus.catalog import OTHER
from aftersend.publish.prometheus.series import CounterSeries, HistogramSeries, gauge

_ACCEPTED = 200


class GatewayMetrics(Collector):
    """A gateway's metrics.

    Args:
        sources: that have a webhook; any other name counts as `__other__`.
        in_flight: returns the bytes of bodies that are being received or wait for Kafka.
        ready: says whether webhooks are accepted.
    """

    def __init__(
        self,
        sources: Iterable[str],
        in_flight: Callable[[], int] = lambda: 0,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        self._sources = {name: (name,) for name in sources}
        self._in_flight = in_flight
        self._ready = ready
        named = self._sources.values()
        self._requests = CounterSeries(catalog.GATEWAY_REQUESTS, ((*source, str(_ACCEPTED)) for source in named))
        self._bytes = CounterSeries(catalog.GATEWAY_BYTES, named)
        self._ack = HistogramSeries(catalog.GATEWAY_ACK, named)
        self._codes: dict[tuple[str, int], tuple[str, str]] = {}

    def answered(self, source: str, code: int, body_bytes: int, ack_seconds: float | None = None) -> None:
        """Count a request that has been answered.

        Args:
            source: as the path names it, whatever that is.
            code: the HTTP status.
            body_bytes: as far as the body was read.
            ack_seconds: from the end of the body until Kafka's ack, None where the body did not get there.
        """
        labels = self._codes.get((source, code)) or self._labels(source, code)
        self._requests.add(labels)
        own = labels[:1]
        self._bytes.add(own, body_bytes)
        if ack_seconds is not None:
            self._ack.observe(own, ack_seconds)

    def _labels(self, source: str, code: int) -> tuple[str, str]:
        if source not in self._sources:
            return OTHER, str(code)
        labels = self._codes[source, code] = source, str(code)
        return labels

    def collect(self) -> Iterator[Family]:
        """Yield what was counted so far."""
        yield self._requests.family()
        yield self._bytes.family()
        yield self._ack.family()
        yield gauge(catalog.GATEWAY_IN_FLIGHT, {(): float(self._in_flight())})
        yield gauge(catalog.GATEWAY_READY, {(): float(self._ready())})
