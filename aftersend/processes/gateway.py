"""The gateway process: signals, metrics, event loop."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Mapping
from typing import Final

import uvloop

from aftersend.config.settings import Settings
from aftersend.engine.aiokafka import patches
from aftersend.errors import EXIT_OK
from aftersend.processes import logs
from aftersend.processes.gateway_server import Gateway
from aftersend.processes.metrics import metrics_route
from aftersend.processes.shutdown import Deadline
from aftersend.publish.prometheus.gateway import GatewayMetrics
from aftersend.publish.prometheus.page import MetricsPage
from aftersend.sources.base import Source
from aftersend.sources.registry import REGISTRY

#: Requests leave no reference cycles, so the collector need not run often; see `docs/decisions/0010-gateway.md`.
_GC_THRESHOLDS: Final = (50_000, 50, 100)
#: Time for the rest of the shutdown after requests have drained, seconds.
_SHUTDOWN_SECONDS: Final = 10.0


def run_gateway(
    settings: Settings,
    sources: Mapping[str, Source] = REGISTRY,
    *,
    log_fields: Mapping[str, object] | None = None,
) -> int:
    """Run a gateway until SIGTERM or SIGINT; return the exit code.

    Args:
        settings: checked.
        sources: by name.
        log_fields: added to every log line.

    Raises:
        AftersendError: if it can't start.
    """
    logs.configure(settings.log_level, settings.log_format, fields=log_fields)
    patches.apply()
    gc.set_threshold(*_GC_THRESHOLDS)

    with Deadline(settings.gateway_drain_seconds + _SHUTDOWN_SECONDS) as deadline:

        async def main() -> int:
            gateway = Gateway(settings, sources)
            metrics = GatewayMetrics(sources, gateway.in_flight, gateway.ready)
            route = metrics_route(settings, MetricsPage("gateway", metrics))

            def stop() -> None:
                deadline.start()
                gateway.stop()

            loop = asyncio.get_running_loop()
            for signum in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(signum, stop)
            loop.add_signal_handler(signal.SIGHUP, gateway.reload)
            gc.freeze()
            await gateway.run(metrics, [route])
            return EXIT_OK

        return uvloop.run(main())
