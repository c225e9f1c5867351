"""The thread that talks to Kafka: fetches, heartbeats, group membership.

Every batch carries the position at which it begins (`Batch.start`) and the number of the last seek before it
(`Batch.seek_epoch`). Both belong to this thread, so that neither a seek nor a rebalance can come between a fetch and
its batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from inspect import isawaitable
from typing import Any, Final, NamedTuple, cast

import aiokafka
import structlog
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service

from aftersend.engine.aiokafka import consumers, patches
from aftersend.engine.aiokafka.offsets import wait_for_committed_offsets
from aftersend.engine.aiokafka.records import FetchOptions
from aftersend.engine.group import membership
from aftersend.engine.group.assignor import SpreadAssignor
from aftersend.engine.partitions.batch import Batch
from aftersend.engine.partitions.start import LogBounds

log = structlog.get_logger(__name__)

#: A worker that restores for long must not leave its group for that, milliseconds; `aftersend.processes.health` checks
#: that it makes progress.
_MAX_POLL_INTERVAL_MS: Final = 24 * 60 * 60 * 1000
#: How long the broker holds a fetch for which it has no records, milliseconds: aiokafka's default. It answers at once
#: when there are some.
_FETCH_MAX_WAIT_MS: Final = 500
#: Between two checks of aiokafka's background tasks, seconds: far below the session timeout.
_CHECK_INTERVAL_SECONDS: Final = 1.0
#: Start and seek epoch of a batch before the first seek.
_NO_SEEK: Final = (None, 0)


class FetchOffsets(NamedTuple):
    """How far a partition has come in the consumer; None: not known."""

    #: Offset after the last record that was handed over.
    delivered: int | None = None
    #: Offset of the next record to fetch.
    fetched: int | None = None
    #: End of the committed records.
    end: int | None = None


class BatchRecord:
    """A batch, in the form of a record for Faust."""

    __slots__ = ("offset", "partition", "timestamp", "topic", "value")

    checksum = None
    headers = ()
    key = b""
    serialized_key_size = 0
    serialized_value_size = 0
    timestamp_type = 0

    def __init__(self, tp: TP, batch: Batch) -> None:
        last = batch.records[-1]
        self.topic = tp.topic
        self.partition = tp.partition
        self.offset = last.offset
        self.timestamp = last.timestamp
        self.value = batch


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread, which fetches batches and numbers seeks."""

    def __post_init__(self) -> None:
        """Set up what Faust sets up, and the positions of the partitions."""
        super().__post_init__()
        #: Where the next batch of a partition begins, and the number of its last seek; changed by this thread only.
        self._next: dict[TP, tuple[int | None, int]] = {}
        self._seek_epoch = 0

    async def call_thread(self, fun: Any, *args: Any, **kwargs: Any) -> Any:
        """Run a function or coroutine function in this thread and wait for its result.

        Faust uses a queue that belongs to the other event loop, which need not wake up for it.
        """

        async def call() -> Any:
            result = fun(*args, **kwargs)
            return await result if isawaitable(result) else result

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call(), self.thread_loop))

    @Service.task
    async def _check_background_tasks(self) -> None:
        """Check aiokafka's background tasks: after an error, coordination or fetching stops without a further sign.

        aiokafka reports such errors in `getmany`, which Faust does not call.
        """
        while not self.should_stop:
            await self.sleep(_CHECK_INTERVAL_SECONDS)
            consumer = self._ensure_consumer()
            if consumers.is_closed(consumer):
                return
            if (error := consumers.group_error(consumer)) is not None:
                log.warning("the group had an error; joining again", error=repr(error))
            consumers.check_tasks(consumer)

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        patches.require()
        conf = self.app.conf
        app = cast("Any", self.app)  # an `aftersend.engine.faust.app.WorkerApp`
        own_membership: membership.Membership = app.partitions.membership
        self._assignor = SpreadAssignor.of(own_membership)
        consumer = aiokafka.AIOKafkaConsumer(
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            client_id=conf.broker_client_id,
            group_id=conf.id,
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=_MAX_POLL_INTERVAL_MS,
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_bytes=conf.consumer_max_fetch_size,
            fetch_max_wait_ms=_FETCH_MAX_WAIT_MS,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            check_crcs=conf.broker_check_crcs,
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            isolation_level="read_committed",
            value_deserializer=FetchOptions(app.fetch_limits, self._on_position_lost),
            **app.kafka_options,
        )
        consumers.observe_membership(consumer, membership.now, own_membership.confirm)
        return consumer

    async def _fetch_records(
        self,
        consumer: aiokafka.AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature
        max_records: int | None = None,
    ) -> dict[TP, Any]:
        fetched = await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        # No await from here on: a seek in between would mix up the positions.
        batches: dict[TP, Any] = {}
        for tp, records in fetched.items():
            if records:
                start, seek_epoch = self._next.get(tp, _NO_SEEK)
                batch = Batch(start, records, seek_epoch)
                self._next[tp] = batch.next_offset, seek_epoch
                batches[tp] = [BatchRecord(tp, batch)]
        return batches

    async def committed(self, partitions: Iterable[TP]) -> dict[TP, int]:
        """Return the stable committed offset of each partition that has one."""
        return await self.call_thread(self._committed, list(partitions))  # type: ignore[no-any-return]

    async def _committed(self, partitions: list[TP]) -> dict[TP, int]:
        app = cast("Any", self.app)
        return await wait_for_committed_offsets(
            self._ensure_consumer(), partitions, app.stable_timeout, require_stable=True
        )

    async def bounds(self, tp: TP) -> LogBounds:
        """Return the bounds of a partition's log, as far as it is committed."""
        return await self.call_thread(self._bounds, tp)  # type: ignore[no-any-return]

    async def _bounds(self, tp: TP) -> LogBounds:
        consumer = self._ensure_consumer()
        (first,) = (await consumer.beginning_offsets([tp])).values()
        (end,) = (await consumer.end_offsets([tp])).values()
        return LogBounds(first, end)

    def _on_position_lost(self, tp: TP) -> None:
        """Mark that the place of a partition's next batch is not known."""
        _, seek_epoch = self._next.get(tp, _NO_SEEK)
        self._next[tp] = None, seek_epoch

    async def seek_all(self, positions: Mapping[TP, int]) -> int:
        """Seek to positions; return the seek's number, which batches fetched afterwards carry."""
        return await self.call_thread(self._seek_all, dict(positions))  # type: ignore[no-any-return]

    async def _seek_all(self, positions: dict[TP, int]) -> int:
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        self._seek_epoch += 1
        for tp, offset in positions.items():
            if tp in assigned:
                consumer.seek(tp, offset)
                self._next[tp] = offset, self._seek_epoch
        return self._seek_epoch

    def offsets(self, tp: TP) -> FetchOffsets:
        """Return how far a partition has come; may be called from any thread."""
        delivered, _ = self._next.get(tp, _NO_SEEK)
        try:
            state = consumers.fetch_state(self._consumer, tp)
        except LookupError:
            return FetchOffsets()
        return FetchOffsets(delivered) if state is None else FetchOffsets(delivered, *state)

    def ping(self, answer: Any) -> bool:
        """Call a function in this thread's event loop, without waiting; return False if the loop is closed."""
        try:
            self.thread_loop.call_soon_threadsafe(answer)
        except RuntimeError:
            return False
        return True
