"""Faust's aiokafka transport, with all records fetched for a partition as one message.

Registered as the URL scheme `aftersend://` (entry point group `faust.transports`). Differences to Faust's own driver:

- A message's value is a `Batch`: all records that one fetch brought for a partition; its offset is the last one's.
- Offsets are committed by the transactions that hold the batches' results, never by Faust.
- Every batch says at which position it begins (`Batch.base`). A partition's owner takes a batch only if it begins just
  where the last one ended, so whatever seeks, rebalances and stale buffers do, nothing is skipped or taken twice.
- Only committed records are read, and each topic is spread evenly over the workers (`aftersend.engine.group.assignor`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from inspect import isawaitable
from typing import Any, Final, Protocol, cast

import aiokafka
import structlog
import uvloop
from aiokafka.errors import KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service

from aftersend.engine.aiokafka import connections, fetch_limits
from aftersend.engine.aiokafka import records as lean
from aftersend.engine.aiokafka.offsets import committed_offsets
from aftersend.engine.group.assignor import SpreadAssignor
from aftersend.engine.partitions.batch import Batch

log = structlog.get_logger(__name__)

connections.mend()
lean.install()
fetch_limits.install()

#: A worker that restores for long must not leave its group for that; `aftersend.processes.health` watches whether it
#: makes progress.
_MAX_POLL_INTERVAL_MS: Final = 24 * 60 * 60 * 1000
_NOWHERE: Final = (None, 0)
_CHECK_INTERVAL_SECONDS: Final = 1.0
#: Of the rebalance timeout, waited for transactions; whoever has not joined again by its end is left out.
_REVOKE_SHARE: Final = 0.7


class _Envelope:
    """A batch, looking like a record to Faust."""

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


class Flow(Protocol):
    """Who owns the partitions: asked where to seek, told before partitions go."""

    def position(self, tp: TP) -> int | None:
        """Return the offset of the next record that a partition's owner wants, None if nobody owns it."""

    async def quiesce(self) -> None:
        """Let the transactions that are under way end; start no new ones."""


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that talks to Kafka: fetches, heartbeats, joins the group."""

    def __post_init__(self) -> None:
        """Set up what Faust sets up, and the chain of positions."""
        super().__post_init__()
        #: Where the next batch of a partition begins, and the number of the last seek; only touched in this thread.
        self._chain: dict[TP, tuple[int, int]] = {}
        self._seeks = 0

    async def call_thread(self, fun: Any, *args: Any, **kwargs: Any) -> Any:
        """Run a function or coroutine function in this thread and wait for its result.

        Faust hands it over by a queue that belongs to the other event loop, which need not wake up for it.
        """

        async def call() -> Any:
            result = fun(*args, **kwargs)
            return await result if isawaitable(result) else result

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call(), self.thread_loop))

    @Service.task
    async def _check_group_errors(self) -> None:
        """Take note of errors inside aiokafka: else the group's coordination stands still, or fetching does, forever.

        Faust polls past `getmany`, where aiokafka would tell of them.
        """
        while not self.should_stop:
            await self.sleep(_CHECK_INTERVAL_SECONDS)
            consumer = self._ensure_consumer()
            if consumer._closed:  # noqa: SLF001
                return
            try:
                consumer._coordinator.check_errors()  # noqa: SLF001
            except KafkaError as error:
                if consumer._coordinator._coordination_task.done():  # noqa: SLF001 - it won't go on any more
                    raise
                log.warning("the group had an error; joining again", error=repr(error))
            for task in (consumer._client._sync_task, consumer._fetcher._fetch_task):  # noqa: SLF001
                if task is not None and task.done():
                    task.result()
                    raise KafkaError(f"{task.get_name()} of aiokafka has ended")

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        conf = self.app.conf
        app = cast("Any", self.app)  # an `aftersend.engine.faust.app.WorkerApp`
        membership = app.partitions.membership
        self._assignor = SpreadAssignor.of(membership)
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
            fetch_max_wait_ms=500,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            check_crcs=conf.broker_check_crcs,
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            isolation_level="read_committed",
            value_deserializer=lean.Lean(app.fetch_limits),
            **app.kafka_options,
        )
        membership.watch(consumer._client)  # noqa: SLF001 - its heartbeats are nobody else's business
        return consumer

    async def _fetch_records(
        self,
        consumer: aiokafka.AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature
        max_records: int | None = None,
    ) -> dict[TP, Any]:
        fetched = await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        # No await from here on: a seek in between would tear the chain of positions.
        batches: dict[TP, Any] = {}
        for tp, records in fetched.items():
            if records:
                base, seek_epoch = self._chain.get(tp, _NOWHERE)
                batch = Batch(base, records, seek_epoch)
                self._chain[tp] = batch.next_offset, seek_epoch
                batches[tp] = [_Envelope(tp, batch)]
        return batches

    async def committed(self, partitions: Iterable[TP]) -> dict[TP, int]:
        """Return the committed offset of each partition, or its first offset where nothing was committed yet."""
        return await self.call_thread(self._committed, list(partitions))  # type: ignore[no-any-return]

    async def _committed(self, partitions: list[TP]) -> dict[TP, int]:
        consumer = self._ensure_consumer()
        found = await committed_offsets(consumer, partitions)
        missing = [tp for tp in partitions if tp not in found]
        if missing:
            found.update({TP(*tp): offset for tp, offset in (await consumer.beginning_offsets(missing)).items()})
        return found

    async def seek_all(self, positions: Mapping[TP, int]) -> int:
        """Seek to positions; return the seek's number, which batches fetched afterwards carry."""
        return await self.call_thread(self._seek_all, dict(positions))  # type: ignore[no-any-return]

    async def _seek_all(self, positions: dict[TP, int]) -> int:
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        self._seeks += 1
        for tp, offset in positions.items():
            if tp in assigned:
                consumer.seek(tp, offset)
                self._chain[tp] = offset, self._seeks
        return self._seeks

    def forget(self) -> None:
        """Break the chain of every partition: what is fetched from now on fits nowhere until the next seek."""
        self._chain.clear()


class NoReadOffsets(dict[TP, int | None]):
    """What Faust has read last: nothing, or it would drop what it reads again after a seek."""

    def __missing__(self, tp: TP) -> None:
        """Return None for any partition."""

    def __setitem__(self, tp: TP, offset: int | None) -> None:
        """Forget."""


class Consumer(driver.Consumer):
    """The consumer of a worker, on the side of the main thread."""

    _thread: ConsumerThread

    #: Set by `aftersend.engine.faust.app`.
    partitions: Flow

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.partitions = cast("Any", self.app).partitions  # an `aftersend.engine.faust.app.WorkerApp`
        self._read_offset = NoReadOffsets()

    def _new_consumer_thread(self) -> ConsumerThread:
        # The thread moves all that is fetched, so it has the quicker kind of loop too.
        return ConsumerThread(self, loop=self.loop, thread_loop=uvloop.new_event_loop(), beacon=self.beacon)

    async def committed(self, partitions: Iterable[TP]) -> dict[TP, int]:
        """Return the committed offset of each partition, or its first offset where nothing was committed yet."""
        return await self._thread.committed(partitions)

    async def seek_all(self, positions: Mapping[TP, int]) -> int:
        """Seek to positions; return the seek's number, which batches fetched afterwards carry."""
        return await self._thread.seek_all(positions)

    async def perform_seek(self) -> None:
        """Seek every owned partition to where its owner stands (Faust calls this after it threw records away)."""
        positions = {tp: self.partitions.position(tp) for tp in self.assignment()}
        await self.seek_all({tp: offset for tp, offset in positions.items() if offset is not None})

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let running transactions end before the group goes on, for as long as it waits for us."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.app.conf.broker_rebalance_timeout * _REVOKE_SHARE):
                await self.partitions.quiesce()
        await super().on_partitions_revoked(revoked)

    # What follows switches Faust's own bookkeeping of offsets off: the transactions commit them.

    def track_message(self, message: Any) -> None:
        """Do nothing: batches are tracked by their partition's owner."""

    def ack(self, message: Any) -> bool:
        """Mark a message as done."""
        message.acked = True
        return True

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002, FBT001, FBT002 - Faust's signature
        """Commit nothing."""
        return False

    async def verify_all_partitions_active(self) -> None:
        """Do nothing: `aftersend.processes.health` watches the progress, by what was committed and what lags."""

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Do nothing: gaps are transaction markers and compacted records."""


class Transport(driver.Transport):
    """The transport behind `aftersend://`."""

    Consumer = Consumer
