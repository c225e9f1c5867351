"""Page `/metrics`: our collectors, and those of prometheus_client for the process and Python."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from aftersend.publish.prometheus.catalog import BUILD_INFO
from aftersend.publish.prometheus.series import gauge

_VERSION: Final = version("aftersend")


class MetricsPage:
    """Metrics of one process.

    Args:
        process: kind of process, such as `worker`.
        collectors: our collectors; called at each scrape, in the event loop that serves the page.
    """

    def __init__(self, process: str, *collectors: Collector) -> None:
        self.registry = CollectorRegistry()
        build = gauge(BUILD_INFO, {(_VERSION, process): 1.0})
        self.add(_Constant(build), *collectors)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def add(self, *collectors: Collector) -> None:
        """Add collectors."""
        for collector in collectors:
            self.registry.register(collector)

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return the page and its content type, in OpenMetrics or in Prometheus' text format.

        Args:
            accept: the request's `Accept` header; "" if there is none.
        """
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    async def __call__(self, request: Request) -> Response:
        """Answer a request (a Starlette endpoint)."""
        body, content_type = self.render(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})


class _Constant(Collector):
    def __init__(self, family: object) -> None:
        self._family = family

    def collect(self) -> list[object]:  # type: ignore[override]
        return [self._family]
