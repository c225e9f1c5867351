"""A worker process, put together: agents, tables, publisher, clock, health."""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from collections.abc import Callable
from typing import Any

import redis.asyncio as redis
import structlog
import uvloop

from agents.clock import Clock
from agents.normalise import Normalise
from agents.track import Track
from engine import admin, app as engine_app
from engine.errors import EXIT_CRASHED, EXIT_OK, AftersendError, KafkaUnusableError
from engine.settings import Settings
from publish.redis_kpis import KpiPublisher
from rules.timing import DAY, HOUR, timing
from schemas.topics import layouts
from sources.base import SourceOptions
from sources.registry import NUMBERS, REGISTRY
from tables.codec import Codec
from tables.folding import Fold, FoldOptions
from tables.memory import MemoryStore
from tables.store import PartitionStore

log = structlog.get_logger(__name__)

#: Rows are bytes, which the collector never walks; what a batch allocates is gone when it is done. Collecting less
#: often than the default halves the cost of a batch, measured in `docs/performance.md`.
_GC_THRESHOLDS = (50_000, 50, 100)

OnFold = Callable[[int, Fold], None]


def source_numbers() -> dict[str, int]:
    """Return the numbers of all sources by name."""
    return dict(NUMBERS)


def source_options(settings: Settings) -> SourceOptions:
    """Return what the installation has set for its sources."""
    return SourceOptions(
        delivery_keys=settings.delivery_keys,
        message_type_keys=settings.message_type_keys,
        tenant_keys=settings.tenant_keys,
        test_keys=settings.test_keys,
    )


def raw_sources() -> tuple[str, ...]:
    """Return the names of the sources that have a raw topic, the clock excluded."""
    return tuple(REGISTRY)


def fold_options(settings: Settings) -> FoldOptions:
    """Return what folding needs to know of the installation."""
    numbers = source_numbers()
    return FoldOptions(
        timing(
            freeze=settings.statistics_update_period_days * DAY,
            retention=settings.retention_days * DAY,
            window=settings.response_window_hours * HOUR,
            numbers=numbers,
        ),
        numbers,
    )


def store_opener(settings: Settings) -> Callable[[int], PartitionStore]:
    """Return the function that opens a partition's store."""
    return lambda _partition: MemoryStore()


class Worker:
    """One worker process.

    Args:
        settings: checked.
        on_fold: told of every committed batch of events.
    """

    def __init__(self, settings: Settings, on_fold: OnFold = lambda _partition, _fold: None) -> None:
        """Put nothing together yet."""
        self.settings = settings
        self._on_fold = on_fold
        self._stop = asyncio.Event()
        self._error: BaseException | None = None
        self.app: engine_app.WorkerApp | None = None
        self.publisher: KpiPublisher | None = None

    def stop(self) -> None:
        """Ask for a graceful end."""
        self._stop.set()

    def _fatal(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error
        self._stop.set()

    async def run(self) -> int:
        """Work until `stop` or a fatal error; return the exit code.

        Raises:
            AftersendError: if the worker can't start, or should not go on.
        """
        settings = self.settings
        cluster = await admin.inspect(settings.kafka_options())
        wanted = layouts(settings.topics, raw_sources(), settings.partitions)
        if problems := admin.missing(cluster, wanted):
            message = f"{'; '.join(problems)}: run `aftersend topics apply` first"
            raise KafkaUnusableError(message)
        await admin.require_transactions(settings.kafka_options())
        self.publisher = publisher = KpiPublisher(
            redis.from_url(settings.redis_url, decode_responses=True, socket_timeout=5.0, socket_connect_timeout=2.0),
            prefix=settings.redis_prefix,
            cluster=f"{cluster.id}/{settings.app_id}",
            interval=settings.redis_interval,
            expiry_days=settings.redis_expiry_days,
        )
        self.app = app = self._assemble(cluster.partitions[settings.topics.events], publisher)
        clock = Clock(settings, self._leads, time.time)
        publisher.start()
        clock.start()
        try:
            app.finalize()
            await app.start()
            gc.freeze()
            await self._wait(app)
        finally:
            log.info("stopping")
            await clock.stop()
            await app.flow.quiesce()
            await publisher.stop()
            await app.flow.close()
            await app.stop()
        if isinstance(self._error, AftersendError):
            raise self._error
        if self._error is not None:
            log.error("crashed", exc_info=self._error)
            return EXIT_CRASHED
        return EXIT_OK

    async def _wait(self, app: engine_app.WorkerApp) -> None:
        """Wait for the request to stop, a fatal error of ours, or a crash inside Faust."""
        crashed = asyncio.ensure_future(app.wait_for_crash())
        stopped = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({crashed, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for task in (crashed, stopped):
            task.cancel()
        if app.crash_reason is not None:
            self._fatal(app.crash_reason)

    def _assemble(self, partitions: int, publisher: KpiPublisher) -> engine_app.WorkerApp:
        settings = self.settings
        app = engine_app.create(settings, self._fatal)
        topics = settings.topics
        options = source_options(settings)
        parsers = {topics.raw(name): REGISTRY[name].parser(options) for name in raw_sources()}
        engine_app.add_agent(app, [*parsers, topics.clock], Normalise(settings, parsers, partitions))
        track = Track(
            settings,
            Codec(topics, source_numbers()),
            fold_options(settings),
            store_opener(settings),
            publisher,
            self._on_fold,
        )
        engine_app.add_agent(app, [topics.events], track)
        return app

    def _leads(self) -> bool:
        app = self.app
        return app is not None and any(
            tp.topic == self.settings.topics.clock and app.flow.ready for tp in app.flow.tasks
        )


def run_worker(settings: Settings, on_fold: OnFold = lambda _partition, _fold: None) -> int:
    """Run a worker until SIGTERM or SIGINT; return the exit code.

    Raises:
        AftersendError: if the worker can't start, or should not go on.
    """
    gc.set_threshold(*_GC_THRESHOLDS)

    async def main() -> int:
        worker = Worker(settings, on_fold)
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, worker.stop)
        return await worker.run()

    return uvloop.run(main())
