"""Wiring of a worker process: agents, tables, publisher, clock, alerts, health."""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import redis.asyncio as redis
import structlog
import uvloop
from aiokafka.errors import KafkaError

from aftersend.agents.alerts import AlertMonitor
from aftersend.agents.clock import TickWriter
from aftersend.agents.control import ControlReader
from aftersend.agents.normalise import Normalise
from aftersend.agents.track import Track
from aftersend.config.installation import parsers, raw_sources, source_numbers, topic_layouts
from aftersend.config.settings import Settings
from aftersend.engine import admin, ownership
from aftersend.engine.aiokafka import patches
from aftersend.engine.breaker import TopicBreakers
from aftersend.engine.faust import app as engine_app
from aftersend.engine.faust.probe import HealthProbe
from aftersend.errors import (
    EXIT_CRASHED,
    EXIT_OK,
    AftersendError,
    KafkaUnusableError,
    RedisOwnedError,
    SettingsError,
    StateRefusedError,
)
from aftersend.processes import logs, open_files
from aftersend.processes.metrics import metrics_route
from aftersend.processes.probes import HealthServer
from aftersend.processes.query_api import QueryApi
from aftersend.processes.shutdown import Deadline
from aftersend.publish.prometheus.alerts import AlertMetrics
from aftersend.publish.prometheus.batches import BatchMetrics
from aftersend.publish.prometheus.breakers import BreakerMetrics
from aftersend.publish.prometheus.deliveries import DeliveryMetrics
from aftersend.publish.prometheus.events import EventMetrics
from aftersend.publish.prometheus.health import HealthMetrics
from aftersend.publish.prometheus.page import MetricsPage
from aftersend.publish.redis.publisher import KpiPublisher
from aftersend.rules.contact.validity import VALIDITY_POLICIES
from aftersend.rules.kpi.alerts import THRESHOLDS
from aftersend.schemas.control import ResumeCommand
from aftersend.services.installation import alert_thresholds, codec, fold_timing
from aftersend.sources.registry import NAMES
from aftersend.tables.alerts import DeliveryAlerts
from aftersend.tables.batch.result import BatchResult, FoldOptions
from aftersend.tables.missing_state import find_missing_state
from aftersend.tables.stores.base import PartitionStore
from aftersend.tables.stores.memory import MemoryStore

__all__ = ["OnFold", "Worker", "raw_sources", "run_worker"]

log = structlog.get_logger(__name__)

#: Rows are bytes, which the garbage collector does not traverse, and the objects of a batch are freed without it. A
#: collection during a batch would traverse all its records in vain, so none comes before 200,000 objects
#: (`docs/performance.md`).
GC_THRESHOLDS: Final = (200_000, 20, 20)
#: Timeouts of Redis, seconds: KPIs are queued while it does not answer.
_REDIS_SECONDS: Final = 5.0
_REDIS_CONNECT_SECONDS: Final = 2.0

OnFold = Callable[[int, BatchResult], None]


def fold_options(settings: Settings, partitions: int | None = None) -> FoldOptions:
    """Return the options of the fold.

    Args:
        settings: of the worker.
        partitions: number of partitions that the events topic has; None: as in the settings.
    """
    numbers = source_numbers()
    return FoldOptions(
        fold_timing(settings),
        numbers,
        invalid_after=VALIDITY_POLICIES[settings.address_validity],
        partitions=partitions or settings.partitions,
    )


def store_opener(settings: Settings, cluster_id: str, open_files: int | None = None) -> Callable[[int], PartitionStore]:
    """Return the function that opens a partition's store.

    Args:
        settings: of the worker.
        cluster_id: of Kafka: local state of another cluster is discarded.
        open_files: table files that each partition keeps open at most; None: as many as are of use.
    """
    if settings.store == "memory":
        return lambda _partition: MemoryStore()
    from aftersend.tables.stores.rocksdb.store import open_stores  # noqa: PLC0415 - RocksDB costs memory as soon as it is imported

    return open_stores(
        settings.data_dir / "rocksdb",
        settings.rocksdb_cache_mib,
        settings.store_max_age_hours,
        identity=f"{cluster_id}/{settings.app_id}/{settings.topic_prefix}",
        open_files=open_files,
    )


def _open_files_of_partition(settings: Settings, partitions: int) -> int | None:
    """Return how many files each partition's store may keep open; logs it with the limit of the process."""
    limit = open_files.raise_limit()
    if settings.store == "memory":
        log.info("open files", limit=limit)
        return None
    from aftersend.tables.stores.rocksdb.options import are_too_few, open_files_of_partition  # noqa: PLC0415 - as above

    each = open_files_of_partition(limit, partitions)
    log.info("open files", limit=limit, partitions=partitions, of_each_store=each)
    if are_too_few(limit, partitions):
        log.warning(
            "the limit of open files is too low for one worker with all partitions: raise it (`ulimit -n`, LimitNOFILE "
            "of the service)",
            limit=limit,
            partitions=partitions,
        )
    return each


class Worker:
    """One worker process.

    Args:
        settings: checked.
        on_fold: called with every committed batch of events.
        on_stopping: called when the worker begins to stop.
    """

    def __init__(
        self,
        settings: Settings,
        on_fold: OnFold = lambda _partition, _fold: None,
        on_stopping: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self._on_fold = on_fold
        self._on_stopping = on_stopping
        self._stop = asyncio.Event()
        self._error: BaseException | None = None
        self.app: engine_app.WorkerApp | None = None
        self.publisher: KpiPublisher | None = None
        self._metrics = MetricsPage("worker")
        self._api: QueryApi | None = None
        self._breakers: tuple[TopicBreakers, ...] = ()

    def stop(self) -> None:
        """Request a graceful shutdown."""
        self._stop.set()

    def _on_fatal(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error
        self._stop.set()

    async def run(self) -> int:
        """Run until `stop` or a fatal error; return the exit code.

        Raises:
            AftersendError: if the worker can't start, or must not continue.
        """
        settings = self.settings
        api = self._api = QueryApi(settings, lambda: self.app)
        routes = [metrics_route(settings, self._metrics), *api.routes]
        health = HealthServer(settings, lambda: self.app, routes)
        try:
            await health.start()
            await self._work()
        finally:
            await health.stop()
            await api.close()
        if isinstance(self._error, AftersendError):
            raise self._error
        if self._error is not None:
            logs.crashed(self._error)
            return EXIT_CRASHED
        return EXIT_OK

    async def _work(self) -> None:
        settings = self.settings
        _make_directory(settings.data_dir)
        cluster = await self._check_cluster()
        if self._api is not None:
            self._api.rows.partitions = cluster.partitions[settings.topics.events]
        await self._claim_topics(cluster)
        self.publisher = publisher = _publisher(settings, cluster.id)
        try:
            await publisher.check_owner()
        except RedisOwnedError:
            await publisher.stop()
            raise
        self.app = app = self._assemble(cluster, publisher)
        clock = TickWriter(settings, self._leads, time.time)
        alerts = self._alert_monitor(cluster)
        control = ControlReader(settings, self._resume)
        publisher.start()
        clock.start()
        alerts.start()
        control.start()
        try:
            app.finalize()
            try:
                await app.start()
            except KafkaError as error:
                raise KafkaUnusableError(
                    f"Kafka at {settings.kafka_bootstrap} went away during the start: {error!r}"
                ) from error
            # Objects that exist now live until the end, so the collector need not traverse them.
            gc.freeze()
            await self._wait(app)
        finally:
            log.info("stopping")
            self._on_stopping()
            await clock.stop()
            await alerts.stop()
            await control.stop()
            await app.partitions.quiesce()
            await publisher.stop()
            await app.partitions.close()
            await app.stop()
            log.info("stopped")

    async def _check_cluster(self) -> admin.Cluster:
        """Return the cluster, after checking its topics and transactions."""
        settings = self.settings
        cluster = await admin.inspect(settings.kafka_options())
        if problems := admin.problems(cluster, settings.topics, topic_layouts(settings)):
            raise KafkaUnusableError("; ".join(problems))
        if missing := await find_missing_state(settings.kafka_options(), settings.app_id, settings.topics):
            raise StateRefusedError("; ".join(missing))
        await admin.require_transactions(settings.kafka_options(), settings.app_id, settings.transaction_timeout)
        return cluster

    async def _claim_topics(self, cluster: admin.Cluster) -> None:
        """Check that the topics belong to this installation; at its first start, claim them."""
        settings = self.settings
        partitions = cluster.partitions[settings.topics.events]
        own = ownership.installation(settings.app_id, cluster.id, partitions, time.time())
        await ownership.claim(settings.kafka_options(), settings.topics, own)

    async def _wait(self, app: engine_app.WorkerApp) -> None:
        """Wait for `stop`, a fatal error, or a crash inside Faust."""
        crashed = asyncio.ensure_future(app.wait_for_crash())
        stopped = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({crashed, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for task in (crashed, stopped):
            task.cancel()
        crash = app.crashed_with()
        if crash is not None:
            self._on_fatal(crash)

    def _assemble(self, cluster: admin.Cluster, publisher: KpiPublisher) -> engine_app.WorkerApp:
        settings = self.settings
        topics = settings.topics
        by_topic = {topics.raw(name): parser for name, parser in parsers(settings).items()}
        batches, events = self._add_metrics([*by_topic, topics.clock, topics.events], publisher)
        app = engine_app.create(settings, self._on_fatal, batches, cluster.topic_ids)
        normalise = Normalise(settings, by_topic, cluster.partitions[topics.events], events.parsed)
        engine_app.add_agent(app, [*by_topic, topics.clock], normalise)
        track = Track(
            settings,
            codec(settings),
            fold_options(settings, cluster.partitions[topics.events]),
            store_opener(settings, cluster.id, _open_files_of_partition(settings, cluster.partitions[topics.events])),
            publisher,
            self._on_fold,
            events,
        )
        engine_app.add_agent(app, [topics.events], track)
        self._breakers = (normalise.breakers, track.breakers)
        self._metrics.add(BreakerMetrics(self._breakers))
        return app

    def _resume(self, command: ResumeCommand) -> None:
        """Execute an operator's command to parse a paused topic's records again."""
        for breakers in self._breakers:
            breakers.resume(command.topic, command.tenant)
        if self.app is not None and command.tenant is None:
            self.app.partitions.end_pause(command.topic)

    def _add_metrics(self, topics: Sequence[str], publisher: KpiPublisher) -> tuple[BatchMetrics, EventMetrics]:
        """Add the worker's metrics to `/metrics`; return those that observe batches and events."""
        settings = self.settings
        events_topic, heartbeat = settings.topics.events, publisher.heartbeat
        deliveries = DeliveryMetrics(settings.metrics_deliveries)
        batches = BatchMetrics(topics, events_topic)
        events = EventMetrics(topics, events_topic, NAMES, heartbeat, deliveries)
        health = HealthMetrics(HealthProbe(lambda: self.app).measure, self._leads)
        self._metrics.add(batches, events, health, heartbeat, publisher.metrics, deliveries)
        return batches, events

    def _alert_monitor(self, cluster: admin.Cluster) -> AlertMonitor:
        """Return the monitor of deliveries, active while this worker leads."""
        settings = self.settings
        topics, timing, thresholds = settings.topics, fold_timing(settings), alert_thresholds(settings)
        metrics = AlertMetrics(settings.metrics_deliveries, [threshold.name for threshold in THRESHOLDS])
        self._metrics.add(metrics)
        return AlertMonitor(
            settings,
            (cluster.partitions[topics.deliveries], cluster.partitions[topics.kpis]),
            self._owns_clock,
            lambda: DeliveryAlerts(topics, timing, thresholds),
            metrics.update,
            self._on_fatal,
        )

    def _owns_clock(self) -> bool:
        """Return whether this worker leads, or did before the rebalance in progress, which may not change it."""
        app = self.app
        return app is not None and any(tp.topic == self.settings.topics.clock for tp in app.partitions.tasks)

    def _leads(self) -> bool:
        app = self.app
        return app is not None and any(
            tp.topic == self.settings.topics.clock and app.partitions.ready for tp in app.partitions.tasks
        )


def _publisher(settings: Settings, cluster_id: str) -> KpiPublisher:
    return KpiPublisher(
        redis.from_url(
            settings.redis_url,
            decode_responses=True,
            socket_timeout=_REDIS_SECONDS,
            socket_connect_timeout=_REDIS_CONNECT_SECONDS,
        ),
        prefix=settings.redis_prefix,
        cluster=f"{cluster_id}/{settings.app_id}",
        interval=settings.redis_interval,
        expiry_days=settings.redis_expiry_days,
    )


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"setting 'data_dir' (AFTERSEND_DATA_DIR): {directory} can't be made: {error.strerror}"
        ) from error


def run_worker(
    settings: Settings,
    on_fold: OnFold = lambda _partition, _fold: None,
    *,
    log_fields: Mapping[str, object] | None = None,
) -> int:
    """Run a worker until SIGTERM or SIGINT; return the exit code.

    Args:
        settings: checked.
        on_fold: called with every committed batch of events.
        log_fields: added to every log line.

    Raises:
        AftersendError: if the worker can't start, or must not continue.
    """
    logs.configure(settings.log_level, settings.log_format, fields=log_fields)
    patches.apply()
    gc.set_threshold(*GC_THRESHOLDS)

    with Deadline() as deadline:

        async def main() -> int:
            worker = Worker(settings, on_fold, deadline.start)
            loop = asyncio.get_running_loop()
            for signum in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(signum, worker.stop)
            return await worker.run()

        return uvloop.run(main())
