"""Metrics of `aftersend compute-stats`: a file for the textfile collector of Prometheus' node exporter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, write_to_textfile
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from aftersend.publish.prometheus import catalog
from aftersend.publish.prometheus.series import gauge


def write_check(path: Path, *, drift: int, compared: int, at: float) -> None:
    """Write the file atomically.

    Args:
        path: of the file; its name should end with `.prom`.
        drift: numbers that differ.
        compared: numbers compared.
        at: time of the check, seconds since 1970.

    Raises:
        OSError: if it can't be written.
    """
    registry = CollectorRegistry()
    registry.register(_Check(drift, compared, at))
    write_to_textfile(str(path), registry)


class _Check(Collector):
    def __init__(self, drift: int, compared: int, at: float) -> None:
        self._values = ((catalog.DRIFT, drift), (catalog.DRIFT_COMPARED, compared), (catalog.DRIFT_AT, at))

    def collect(self) -> Iterator[Family]:
        for metric, value in self._values:
            yield gauge(metric, {(): float(value)})
