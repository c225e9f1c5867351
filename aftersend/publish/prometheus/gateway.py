"""Metrics of a gateway, counted at every request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus

from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from aftersend.publish.prometheus import catalog
from aftersend.publish.prometheus.catalog import OTHER
from aftersend.publish.prometheus.series import CounterSeries, HistogramSeries, gauge

_OK = HTTPStatus.OK.value


class GatewayMetrics(Collector):
    """Metrics of a gateway.

    Args:
        sources: names of the sources with a webhook; any other name is counted as `__other__`.
        in_flight: returns the bytes of bodies that are being received or not acknowledged by Kafka.
        ready: returns whether webhooks are accepted.
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
        self._requests = CounterSeries(catalog.GATEWAY_REQUESTS, ((*source, str(_OK)) for source in named))
        self._bytes = CounterSeries(catalog.GATEWAY_BYTES, named)
        self._ack = HistogramSeries(catalog.GATEWAY_ACK, named)
        self._codes: dict[tuple[str, int], tuple[str, str]] = {}

    def answered(self, source: str, code: int, body_bytes: int, ack_seconds: float | None = None) -> None:
        """Count an answered request.

        Args:
            source: name in the path, known or not.
            code: HTTP status.
            body_bytes: bytes of the body that were read.
            ack_seconds: from the end of the body to Kafka's acknowledgement; None: there was none.
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
        """Yield the series as they are now."""
        yield self._requests.family()
        yield self._bytes.family()
        yield self._ack.family()
        yield gauge(catalog.GATEWAY_IN_FLIGHT, {(): float(self._in_flight())})
        yield gauge(catalog.GATEWAY_READY, {(): float(self._ready())})
