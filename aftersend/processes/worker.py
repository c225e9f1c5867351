"""A worker process, put together: agents, tables, publisher, clock, health."""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import redis.asyncio as redis
import structlog
import uvloop
from aiokafka.errors import KafkaError
from starlette.routing import Route

from aftersend.agents.alerts import AlertMonitor
from aftersend.agents.clock import TickWriter
from aftersend.agents.normalise import Normalise
from aftersend.agents.track import Track
from aftersend.config.installation import parsers, raw_sources, source_numbers, topic_layouts
from aftersend.config.settings import Settings
from aftersend.engine import admin
from aftersend.engine.aiokafka import patches
from aftersend.engine.faust import app as engine_app
from aftersend.engine.faust.probe import HealthProbe
from aftersend.errors import EXIT_CRASHED, EXIT_OK, AftersendError, KafkaUnusableError, SettingsError
from aftersend.processes import logs
from aftersend.processes.probes import HealthServer
from aftersend.processes.query_api import QueryApi
from aftersend.processes.shutdown import Deadline
from aftersend.publish.prometheus.alerts import AlertMetrics
from aftersend.publish.prometheus.batches import BatchMetrics
from aftersend.publish.prometheus.deliveries import DeliveryMetrics
from aftersend.publish.prometheus.events import EventMetrics
from aftersend.publish.prometheus.health import HealthMetrics
from aftersend.publish.prometheus.page import MetricsPage
from aftersend.publish.redis.publisher import KpiPublisher
from aftersend.rules.contact.validity import VALIDITY_POLICIES
from aftersend.rules.kpi.alerts import THRESHOLDS
from aftersend.services.installation import alert_thresholds, codec, fold_timing
from aftersend.sources.registry import NAMES
from aftersend.tables.alerts import DeliveryAlerts
from aftersend.tables.batch.result import BatchResult, FoldOptions
from aftersend.tables.stores.base import PartitionStore
from aftersend.tables.stores.memory import MemoryStore

__all__ = ["OnFold", "Worker", "raw_sources", "run_worker"]

log = structlog.get_logger(__name__)

#: Rows are bytes, which the collector never walks, and what a batch allocates is gone when it is done. While a batch is
#: folded all of its records are alive, and a collection looks at them for nothing: so none comes before 200,000 objects
#: (`docs/performance.md`).
GC_THRESHOLDS = (200_000, 20, 20)

OnFold = Callable[[int, BatchResult], None]


def fold_options(settings: Settings, partitions: int | None = None) -> FoldOptions:
    """Return what folding needs to know of the installation.

    Args:
        settings: of the worker.
        partitions: of the events topic, as it is; None: as the settings have it.
    """
    numbers = source_numbers()
    return FoldOptions(
        fold_timing(settings),
        numbers,
        invalid_after=VALIDITY_POLICIES[settings.address_validity],
        partitions=partitions or settings.partitions,
    )


def store_opener(settings: Settings, cluster_id: str) -> Callable[[int], PartitionStore]:
    """Return the function that opens a partition's store.

    Args:
        settings: of the worker.
        cluster_id: of Kafka: local state that came from another one is of no use.
    """
    if settings.store == "memory":
        return lambda _partition: MemoryStore()
    from aftersend.tables.stores.rocksdb.store import open_stores  # noqa: PLC0415 - RocksDB costs memory even where it is not used

    return open_stores(
        settings.data_dir / "rocksdb",
        settings.rocksdb_cache_mib,
        settings.store_max_age_hours,
        identity=f"{cluster_id}/{settings.app_id}/{settings.topic_prefix}",
    )


class Worker:
    """One worker process.

    Args:
        settings: checked.
        on_fold: told of every committed batch of events.
        on_stopping: told when the worker begins to stop.
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
        api = self._api = QueryApi(settings, lambda: self.app)
        routes = [Route("/metrics", self._metrics.__call__), *api.routes]
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
        _make(settings.data_dir)
        cluster = await self._check()
        if self._api is not None:
            self._api.rows.partitions = cluster.partitions[settings.topics.events]
        self.publisher = publisher = KpiPublisher(
            redis.from_url(settings.redis_url, decode_responses=True, socket_timeout=5.0, socket_connect_timeout=2.0),
            prefix=settings.redis_prefix,
            cluster=f"{cluster.id}/{settings.app_id}",
            interval=settings.redis_interval,
            expiry_days=settings.redis_expiry_days,
        )
        self.app = app = self._assemble(cluster, publisher)
        clock = TickWriter(settings, self._leads, time.time)
        alerts = self._alerts(cluster)
        publisher.start()
        clock.start()
        alerts.start()
        try:
            app.finalize()
            try:
                await app.start()
            except KafkaError as error:
                raise KafkaUnusableError(
                    f"Kafka at {settings.kafka_bootstrap} went away during the start: {error!r}"
                ) from error
            # What is there now stays until the end: the collector need not look at it again.
            gc.freeze()
            await self._wait(app)
        finally:
            log.info("stopping")
            self._on_stopping()
            await clock.stop()
            await alerts.stop()
            await app.partitions.quiesce()
            await publisher.stop()
            await app.partitions.close()
            await app.stop()
            log.info("stopped")

    async def _check(self) -> admin.Cluster:
        """Return the cluster if it is fit to work on."""
        settings = self.settings
        cluster = await admin.inspect(settings.kafka_options())
        if problems := admin.problems(cluster, settings.topics, topic_layouts(settings)):
            raise KafkaUnusableError(f"{'; '.join(problems)}: run `aftersend topics apply` first")
        await admin.require_transactions(settings.kafka_options(), settings.app_id, settings.transaction_timeout)
        return cluster

    async def _wait(self, app: engine_app.WorkerApp) -> None:
        """Wait for the request to stop, a fatal error of ours, or a crash inside Faust."""
        crashed = asyncio.ensure_future(app.wait_for_crash())
        stopped = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({crashed, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for task in (crashed, stopped):
            task.cancel()
        crash = app.crashed_with()
        if crash is not None:
            self._fatal(crash)

    def _assemble(self, cluster: admin.Cluster, publisher: KpiPublisher) -> engine_app.WorkerApp:
        settings = self.settings
        topics = settings.topics
        by_topic = {topics.raw(name): parser for name, parser in parsers(settings).items()}
        batches, events = self._add_metrics([*by_topic, topics.clock, topics.events], publisher)
        app = engine_app.create(settings, self._fatal, batches)
        normalise = Normalise(settings, by_topic, cluster.partitions[topics.events], events.parsed)
        engine_app.add_agent(app, [*by_topic, topics.clock], normalise)
        track = Track(
            settings,
            codec(settings),
            fold_options(settings, cluster.partitions[topics.events]),
            store_opener(settings, cluster.id),
            publisher,
            self._on_fold,
            events,
        )
        engine_app.add_agent(app, [topics.events], track)
        return app

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

    def _alerts(self, cluster: admin.Cluster) -> AlertMonitor:
        """Return who watches the deliveries while this worker leads."""
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
            self._fatal,
        )

    def _owns_clock(self) -> bool:
        """Tell whether this worker leads, or did until a rebalance that is going on: it may well stay so."""
        app = self.app
        return app is not None and any(tp.topic == self.settings.topics.clock for tp in app.partitions.tasks)

    def _leads(self) -> bool:
        app = self.app
        return app is not None and any(
            tp.topic == self.settings.topics.clock and app.partitions.ready for tp in app.partitions.tasks
        )


def _make(directory: Path) -> None:
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
        on_fold: told of every committed batch of events.
        log_fields: what every log line is to show besides.

    Raises:
        AftersendError: if the worker can't start, or should not go on.
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
