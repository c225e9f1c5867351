"""A gateway process, put together: Kafka, doors, the server for webhooks, the one for the operator."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

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
from aftersend.gateway.budget import Budget
from aftersend.gateway.endpoints import Doors
from aftersend.gateway.outbound import Fetcher
from aftersend.gateway.protocol import BoundedProtocol, Bounds
from aftersend.gateway.raw_writer import RawWriter
from aftersend.gateway.recorder import Recorder
from aftersend.processes import http
from aftersend.sources.base import Source

log = structlog.get_logger(__name__)

#: How often the folder of secrets is looked at, seconds.
_LOOK_SECONDS: Final = 2.0
#: Connections that wait to be taken; what comes beyond is refused by the kernel.
_BACKLOG: Final = 1024
_KEEP_ALIVE_SECONDS: Final = 30
#: At the end Kafka has this much longer than the requests that wait for it, seconds.
_LAST_SECONDS: Final = 2.0
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
        self._budget = Budget(settings.gateway_max_inflight_bytes)
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
        """Ask for a graceful end."""
        self._stop.set()

    def reload(self) -> None:
        """Ask for the secrets to be read again."""
        self._reload.set()

    def in_flight(self) -> int:
        """Return the bytes of bodies that are being received or wait for Kafka."""
        return self._budget.held

    def ready(self) -> bool:
        """Say whether webhooks are accepted."""
        up = self._listening and not self._stop.is_set()
        return up and self._writer is not None and self._writer.ready

    async def run(self, recorder: Recorder, routes: Sequence[BaseRoute] = ()) -> None:
        """Take in webhooks until `stop`.

        Args:
            recorder: told of every request.
            routes: what else is served on the operator's port.

        Raises:
            AftersendError: if Kafka can't be used, a secret is wrong, or a port is taken.
        """
        settings = self._settings
        doors = self._doors()
        await self._check()
        writer = self._writer = RawWriter(settings.kafka_options(), settings.gateway_linger, self._budget)
        topics = {
            name: writer.topic(settings.topics.raw(name), min(settings.gateway_answer_within, door.answer_within))
            for name, door in doors.plain.items()
        }
        self.app = GatewayApp(settings, doors, topics, self._budget, recorder, self._fetcher.fetch, self.ready)
        async with contextlib.AsyncExitStack() as stack:
            # In reverse: no new requests, those under way get their answers, then Kafka and the rest.
            stack.push_async_callback(self._fetcher.close)
            if settings.gateway_admin_port:
                operator = await http.serve(
                    _config(Starlette(routes=[*self._operator_routes(), *routes]), grace=1),
                    _listen(settings.web_host, settings.gateway_admin_port, "gateway_admin_port", shared=False),
                )
                stack.push_async_callback(operator.shutdown)
            await writer.start()
            stack.push_async_callback(writer.close, _LAST_SECONDS)
            config = _config(self.app, grace=int(settings.gateway_drain_seconds) + 1)
            config.http = cast(
                "Any", functools.partial(BoundedProtocol, self._bounds(recorder))
            )  # uvicorn calls it, and nothing else
            listener = _listen(settings.gateway_host, settings.gateway_port, "gateway_port", shared=True)
            server = await http.serve(config, listener)
            stack.push_async_callback(self._drain, server)
            self._listening = True
            log.info("gateway takes in webhooks", host=settings.gateway_host, port=settings.gateway_port)
            watching = asyncio.create_task(self._watch())
            await self._stop.wait()
            watching.cancel()
        log.info("stopped")

    async def _drain(self, server: uvicorn.Server) -> None:
        log.info("stopping", connections=len(server.server_state.connections))
        await server.shutdown()

    def _bounds(self, recorder: Recorder) -> Bounds:
        settings = self._settings
        return Bounds(
            settings.gateway_max_connections,
            settings.gateway_read_timeout,
            settings.gateway_retry_after,
            lambda status: recorder.answered("", status, 0),
        )

    def _doors(self) -> Doors:
        return Doors(self._settings, secrets.load(self._settings), self._sources, self._fetcher.fetch)

    async def _check(self) -> None:
        """Make sure that the raw topics are there."""
        settings = self._settings
        cluster = await admin.inspect(settings.kafka_options())
        missing = [topic for name in self._sources if (topic := settings.topics.raw(name)) not in cluster.partitions]
        if missing:
            raise KafkaUnusableError(f"topics are missing: {', '.join(missing)}: run `aftersend topics apply` first")

    async def _watch(self) -> None:
        """Read the secrets again when they change, or when asked to."""
        seen = secrets.stamp(self._settings)
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._reload.wait(), _LOOK_SECONDS)
            try:
                found = secrets.stamp(self._settings)
                if found == seen and not self._reload.is_set():
                    continue
                self._reload.clear()
                seen = found
                doors = self._doors()
            except SettingsError as error:
                log.error("the secrets stay as they were", why=str(error))  # noqa: TRY400 - the words say it all
                continue
            if self.app is not None:
                self.app.doors = doors
                log.info("secrets read again")

    def _operator_routes(self) -> list[BaseRoute]:
        return [Route("/live", self._live), Route("/ready", self._show_ready)]

    async def _live(self, _request: Request) -> JSONResponse:
        """Answer: a loop that hangs does not."""
        return JSONResponse({"ok": True})

    async def _show_ready(self, _request: Request) -> JSONResponse:
        ok = self.ready()
        reason = "" if ok else self._why_not()
        return JSONResponse({"ok": ok, "reason": reason}, status_code=200 if ok else _UNAVAILABLE)

    def _why_not(self) -> str:
        if self._stop.is_set():
            return "stopping"
        return "Kafka does not acknowledge" if self._listening else "starting"


def _config(app: Any, grace: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        log_level="error",
        access_log=False,
        lifespan="off",
        ws="none",
        backlog=_BACKLOG,
        date_header=False,  # would want a timer
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=grace,
    )


def _listen(host: str, port: int, setting: str, *, shared: bool) -> socket.socket:
    return http.listen(
        host, port, lambda why: f"setting {setting!r} (AFTERSEND_{setting.upper()}): {why}", shared=shared
    )
