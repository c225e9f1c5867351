"""The Faust app of a worker: our transport and recovery, and agents that pass batches to their partition's owner."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import faust
from faust.types import TP
from faust.types.auth import CredentialsT

from aftersend.config.settings import Settings
from aftersend.engine.faust.consumer import Consumer
from aftersend.engine.faust.recovery import TableManager
from aftersend.engine.partitions.manager import PartitionManager
from aftersend.engine.partitions.observer import BatchObserver
from aftersend.engine.partitions.processor import Processor

#: Batches that Faust buffers for an agent: one, since each may have some MB.
_BUFFERED_BATCHES: Final = 1
#: Faust's own commits do nothing (see `consumer`); so it should rarely try, seconds.
_FAUST_COMMIT_SECONDS: Final = 3600.0
#: Settings of the connection that aiokafka's consumer takes besides those that Faust passes.
_CONNECTION_OPTIONS: Final = frozenset(
    {"security_protocol", "ssl_context", "sasl_mechanism", "sasl_plain_username", "sasl_plain_password"}
)


class WorkerApp(faust.App):
    """A Faust app whose partitions belong to a `PartitionManager`."""

    partitions: PartitionManager
    kafka_options: dict[str, Any]
    #: Bytes fetched at once, by topic; of others `consumer_max_fetch_size`.
    fetch_limits: dict[str, int]
    #: To wait until an offset is stable, seconds.
    stable_timeout: float

    def _create_directories(self) -> None:
        """Make no directories: only Faust's own tables would need them."""

    def crashed_with(self) -> BaseException | None:
        """Return the exception that has crashed a Faust service."""
        return self._crash_reason

    async def wait_for_crash(self) -> None:
        """Wait until a Faust service crashes."""
        await self._crashed.wait()


def create(
    settings: Settings,
    on_fatal: Callable[[BaseException], None],
    observer: BatchObserver | None = None,
    topic_ids: Mapping[str, str] | None = None,
) -> WorkerApp:
    """Make the app of a worker; agents are added by `add_agent`.

    Args:
        settings: of the worker.
        on_fatal: called with an error that must stop the worker.
        observer: counts batches and failures.
        topic_ids: ids of the source topics.
    """
    logging.getLogger("faust").setLevel(logging.WARNING)
    options = settings.kafka_options()
    app = WorkerApp(
        settings.app_id,
        broker=[f"aftersend://{server}" for server in settings.kafka_bootstrap.split(",")],
        store="memory://",
        datadir=str(settings.data_dir / "faust"),
        key_serializer="raw",
        value_serializer="raw",
        TableManager=TableManager,
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=settings.partitions,
        web_enabled=False,
        stream_wait_empty=False,
        stream_buffer_maxsize=_BUFFERED_BATCHES,
        stream_recovery_delay=0.0,
        broker_check_crcs=settings.check_crcs,
        broker_commit_interval=_FAUST_COMMIT_SECONDS,
        broker_max_poll_records=settings.max_batch_records,
        broker_session_timeout=settings.session_timeout,
        broker_heartbeat_interval=settings.heartbeat_interval,
        broker_rebalance_timeout=settings.rebalance_timeout,
        broker_request_timeout=settings.request_timeout,
        consumer_max_fetch_size=settings.max_raw_fetch_bytes,
        consumer_auto_offset_reset="earliest",
        broker_credentials=_credentials(options),
    )
    app.kafka_options = {name: value for name, value in options.items() if name in _CONNECTION_OPTIONS}
    app.fetch_limits = {settings.topics.events: settings.max_fetch_bytes}
    app.stable_timeout = settings.stable_timeout
    app.partitions = PartitionManager(settings, lambda: cast("Consumer", app.consumer), on_fatal, observer, topic_ids)
    return app


def _credentials(options: Mapping[str, Any]) -> CredentialsT | None:
    """Return the connection options in Faust's form, for the producer that it starts; None: neither TLS nor SASL."""
    context = options.get("ssl_context")
    if "sasl_mechanism" in options:
        return faust.SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=context,
        )
    return None if context is None else faust.SSLCredentials(context)


def add_agent(app: WorkerApp, topics: list[str], processor: Processor[Any, Any]) -> None:
    """Add an agent that passes the batches of some topics to a processor."""
    for topic in topics:
        app.partitions.register(topic, processor)
    channel = app.topic(*topics, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    async def agent(stream: Any) -> None:
        async for event in stream.noack().events():
            message = event.message
            await app.partitions.deliver(TP(message.topic, message.partition), event.value)
            event.ack()

    app.agent(channel, name=processor.name)(agent)
