"""Wiring of a gateway process: Kafka, endpoints, the webhook server and the operator's server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Mapping, Sequence
from typing import Final

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from aftersend.config.settings import Settings
from aftersend.engine import admin
from aftersend.errors import KafkaUnusableError, SettingsError
from aftersend.gateway import secrets
from aftersend.gateway.app import GatewayApp
from aftersend.gateway.endpoints import Endpoints
from aftersend.gateway.outbound import Fetcher
from aftersend.gateway.raw.budget import MemoryBudget
from aftersend.gateway.raw.writer import RawWriter
from aftersend.gateway.recorder import RequestRecorder
from aftersend.processes.http import front
from aftersend.processes.http.limits import gateway_limits, operator_limits
from aftersend.sources.base import Source

log = structlog.get_logger(__name__)

#: Between two checks of the secrets directory, seconds: an operator who rotates a secret waits no longer.
_CHECK_INTERVAL_SECONDS: Final = 2.0
#: Connections that wait to be accepted: a burst of a provider's retries fits; the kernel refuses more.
_BACKLOG: Final = 1024
#: The same for the operator's port.
_OPERATOR_BACKLOG: Final = 64
#: At the end Kafka has this much longer than the requests that wait for it, seconds.
_CLOSE_SECONDS: Final = 2.0
_UNAVAILABLE: Final = 503


class Gateway:
    """One gateway process.

    Args:
        settings: checked.
        sources: by name.
    """

    def __init__(self, settings: Settings, sources: Mapping[str, Source]) -> None:
        self._settings = settings
        self._sources = sources
        self._budget = MemoryBudget(settings.gateway_max_inflight_bytes)
        self._fetcher = Fetcher(settings.gateway_certificates)
        if settings.gateway_certificates:
            log.warning(
                "certificates from files are trusted (AFTERSEND_GATEWAY_CERTIFICATES): for simulations only",
                addresses=sorted(settings.gateway_certificates),
            )
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        self._writer: RawWriter | None = None
        self._listening = False
        self.app: GatewayApp | None = None

    def stop(self) -> None:
        """Request a graceful shutdown."""
        self._stop.set()

    def reload(self) -> None:
        """Request that the secrets are read again."""
        self._reload.set()

    def in_flight(self) -> int:
        """Return the bytes of bodies in memory: being received, or not acknowledged yet."""
        return self._budget.used

    def ready(self) -> bool:
        """Return whether webhooks are accepted."""
        up = self._listening and not self._stop.is_set()
        return up and self._writer is not None and self._writer.ready

    async def run(self, recorder: RequestRecorder, routes: Sequence[BaseRoute] = ()) -> None:
        """Accept webhooks until `stop`.

        Args:
            recorder: counts every request.
            routes: further routes on the operator's port.

        Raises:
            AftersendError: if Kafka can't be used, a secret is wrong, or a port is taken.
        """
        settings = self._settings
        endpoints = self._endpoints()
        await self._check()
        writer = self._writer = RawWriter(settings.kafka_options(), settings.gateway_linger, self._budget)
        topics = {
            name: writer.topic(settings.topics.raw(name), min(settings.gateway_answer_within, endpoint.answer_within))
            for name, endpoint in endpoints.by_source.items()
        }
        self.app = GatewayApp(settings, endpoints, topics, self._budget, recorder, self._fetcher.fetch, self.ready)
        async with contextlib.AsyncExitStack() as stack:
            # Closed in reverse: no new requests, requests in flight are answered, then Kafka and the rest.
            stack.push_async_callback(self._fetcher.close)
            if settings.gateway_admin_port:
                operator = await self._serve_operator(routes)
                stack.push_async_callback(operator.shutdown)
            await writer.start()
            stack.push_async_callback(writer.close, _CLOSE_SECONDS)
            server = await self._serve_webhooks(self.app, recorder)
            stack.push_async_callback(self._drain, server)
            self._listening = True
            log.info("gateway takes in webhooks", host=settings.gateway_host, port=settings.gateway_port)
            watching = asyncio.create_task(self._watch())
            await self._stop.wait()
            watching.cancel()
        log.info("stopped")

    async def _serve_operator(self, routes: Sequence[BaseRoute]) -> uvicorn.Server:
        settings = self._settings
        return await front.serve(
            Starlette(routes=[*self._operator_routes(), *routes]),
            _listen(settings.web_host, settings.gateway_admin_port, "gateway_admin_port", shared=False),
            operator_limits(settings),
            grace=1,
            backlog=_OPERATOR_BACKLOG,
        )

    async def _serve_webhooks(self, app: GatewayApp, recorder: RequestRecorder) -> uvicorn.Server:
        settings = self._settings
        return await front.serve(
            app,
            _listen(settings.gateway_host, settings.gateway_port, "gateway_port", shared=True),
            gateway_limits(settings, lambda status: recorder.answered("", status, 0)),
            grace=int(settings.gateway_drain_seconds) + 1,
            backlog=_BACKLOG,
        )

    async def _drain(self, server: uvicorn.Server) -> None:
        log.info("stopping", connections=len(server.server_state.connections))
        await server.shutdown()

    def _endpoints(self) -> Endpoints:
        made = Endpoints(self._settings, secrets.load(self._settings), self._sources, self._fetcher.fetch)
        for source, tenant in made.closed_tenants():
            log.warning(
                "a tenant's token opens nothing: the tenant has no secret of its own", source=source, tenant=tenant
            )
        return made

    async def _check(self) -> None:
        """Check that the raw topics exist."""
        settings = self._settings
        cluster = await admin.inspect(settings.kafka_options())
        missing = [topic for name in self._sources if (topic := settings.topics.raw(name)) not in cluster.partitions]
        if missing:
            raise KafkaUnusableError(f"topics are missing: {', '.join(missing)}: run `aftersend topics apply` first")

    async def _watch(self) -> None:
        """Read the secrets again when the directory changes, or on request."""
        known = secrets.directory_version(self._settings)
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._reload.wait(), _CHECK_INTERVAL_SECONDS)
            try:
                found = secrets.directory_version(self._settings)
                if found == known and not self._reload.is_set():
                    continue
                self._reload.clear()
                known = found
                endpoints = self._endpoints()
            except SettingsError as error:
                log.error("the secrets stay as they were", why=str(error))  # noqa: TRY400 - a wrong setting needs no traceback
                continue
            if self.app is not None:
                self.app.endpoints = endpoints
                log.info("secrets read again")

    def _operator_routes(self) -> list[BaseRoute]:
        return [Route("/live", self._live), Route("/ready", self._show_ready)]

    async def _live(self, _request: Request) -> JSONResponse:
        """Answer; an event loop that hangs does not."""
        return JSONResponse({"ok": True})

    async def _show_ready(self, _request: Request) -> JSONResponse:
        ok = self.ready()
        reason = "" if ok else self._unready_reason()
        return JSONResponse({"ok": ok, "reason": reason}, status_code=200 if ok else _UNAVAILABLE)

    def _unready_reason(self) -> str:
        if self._stop.is_set():
            return "stopping"
        return "Kafka does not acknowledge" if self._listening else "starting"


def _listen(host: str, port: int, setting: str, *, shared: bool) -> socket.socket:
    return front.listen(
        host, port, lambda why: f"setting {setting!r} (AFTERSEND_{setting.upper()}): {why}", shared=shared
    )
