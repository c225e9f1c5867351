"""What Prometheus reads from `/metrics`: our collectors beside those of the process and of Python."""

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
    """The metrics of one process.

    Args:
        process: what the process is: `worker`, `gateway`, ….
        collectors: of ours; asked at each scrape, in the thread and event loop that asks for the page.
    """

    def __init__(self, process: str, *collectors: Collector) -> None:
        self.registry = CollectorRegistry()
        build = gauge(BUILD_INFO, {(_VERSION, process): 1.0})
        self.add(_Constant(build), *collectors)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def add(self, *collectors: Collector) -> None:
        """Show what these collect, too."""
        for collector in collectors:
            self.registry.register(collector)

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return the page and its content type: OpenMetrics or Prometheus' own text format.

        Args:
            accept: the request's Accept header, "" if it has none.
        """
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    async def __call__(self, request: Request) -> Response:
        """Answer a request (an endpoint of Starlette's)."""
        body, content_type = self.render(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})


class _Constant(Collector):
    def __init__(self, family: object) -> None:
        self._family = family

    def collect(self) -> list[object]:  # type: ignore[override]
        return [self._family]
