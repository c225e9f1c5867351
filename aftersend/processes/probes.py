"""`/live` and `/ready` over HTTP, in the worker's own event loop: a loop that hangs does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from aftersend.config.settings import Settings
from aftersend.engine.faust.app import WorkerApp
from aftersend.engine.faust.probe import HealthProbe
from aftersend.processes import health
from aftersend.processes.http import front
from aftersend.processes.http.limits import operator_limits

_UNAVAILABLE: Final = 503
#: Connections that wait to be accepted; the kernel refuses more.
_BACKLOG: Final = 64


class HealthServer:
    """Answers probes.

    Args:
        settings: of the worker.
        app: returns the worker's app, None before it exists.
        routes: further routes on the same port.
    """

    def __init__(
        self, settings: Settings, app: Callable[[], WorkerApp | None], routes: Sequence[BaseRoute] = ()
    ) -> None:
        self._settings = settings
        self._routes = list(routes)
        self._probe = HealthProbe(app)
        self._stalls = health.StallDetector(settings.stall_seconds, time.monotonic)
        self._server: uvicorn.Server | None = None
        #: The port; differs from the setting only in tests.
        self.port = settings.web_port

    async def start(self) -> None:
        """Start serving; does nothing where the port is 0.

        Raises:
            SettingsError: if the address is taken, or none of this machine's.
        """
        if not self._settings.web_port:
            return
        host, port = self._settings.web_host, self._settings.web_port
        listener = front.listen(host, port, _listen_error, "is taken, by another worker perhaps", shared=False)
        routes = [Route("/live", self._live), Route("/ready", self._ready), *self._routes]
        self._server = await front.serve(
            Starlette(routes=routes), listener, operator_limits(self._settings), grace=1, backlog=_BACKLOG
        )

    async def stop(self) -> None:
        """Stop serving."""
        server, self._server = self._server, None
        if server is not None:
            await server.shutdown()

    async def _live(self, _request: Request) -> JSONResponse:
        return _response(self._stalls.live(self._probe.measure()))

    async def _ready(self, _request: Request) -> JSONResponse:
        return _response(health.ready(self._probe.measure()))


def _response(report: health.HealthReport) -> JSONResponse:
    body = {"ok": report.ok, "reason": report.reason, **report.body}
    return JSONResponse(body, status_code=200 if report.ok else _UNAVAILABLE)


def _listen_error(why: str) -> str:
    return f"/live and /ready can't be served: {why}; set AFTERSEND_WEB_PORT to a free port, or to 0 to go without"
