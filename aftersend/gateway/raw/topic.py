"""Batches of one raw topic: open, queued, in flight, late."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from aftersend.engine.transaction import Headers
from aftersend.gateway.raw.batch import PendingBatch
from aftersend.gateway.raw.budget import MemoryBudget
from aftersend.gateway.raw.producer import ReplaceableProducer

log = structlog.get_logger(__name__)

#: A batch in flight for so long may be stuck inside the client, seconds: several requests that timed out and were
#: repeated are in it. The producer is replaced then, which ends the batch one way or the other.
_STUCK_SECONDS: Final = 60.0


class RawTopic:
    """Writes one raw topic, with at most one batch in flight for each partition.

    While all partitions are busy the open batch grows, so under load more records share a write.

    Args:
        producer: shared by all raw topics.
        budget: counts the bytes of the values until a batch is done.
        topic: name of the topic.
        linger: how long a batch stays open for more records, seconds.
        ack_timeout: how long a request waits for Kafka's acknowledgement, seconds.
    """

    def __init__(
        self, producer: ReplaceableProducer, budget: MemoryBudget, topic: str, linger: float, ack_timeout: float
    ) -> None:
        self._producer = producer
        self._budget = budget
        self._loop = asyncio.get_running_loop()
        self.topic = topic
        self._linger = linger
        self._ack_timeout = ack_timeout
        self._partitions: deque[TopicPartition] = deque()
        #: Partitions with a batch in flight.
        self._busy: set[TopicPartition] = set()
        #: Takes further records.
        self._open: PendingBatch | None = None
        #: Closed batches that wait for a partition, oldest first.
        self._queue: deque[PendingBatch] = deque()
        #: Late batches in flight, and in the queue.
        self._late_inflight = 0
        self._late_queued = 0

    def set_partitions(self, numbers: set[int]) -> None:
        """Set the numbers of the topic's partitions."""
        self._partitions = deque(TopicPartition(self.topic, number) for number in sorted(numbers))

    @property
    def stalled(self) -> bool:
        """Whether a batch is late and no partition is left for new ones: new records would only wait, too."""
        return self._late_queued > 0 or 0 < len(self._partitions) <= self._late_inflight

    def put(self, value: bytes, timestamp_ms: int, headers: Headers) -> asyncio.Future[bool]:
        """Add a record to the open batch; return a future: whether it was acknowledged in time.

        The caller has acquired the value's bytes from the budget. They are released when its batch is done.
        """
        batch = self._open
        if batch is None:
            batch = self._open_batch()
        append = batch.builder.append
        if append(timestamp=timestamp_ms, key=None, value=value, headers=headers) is None:
            self._close_batch()
            batch = self._open_batch()
            # The first record of a batch fits whatever its length.
            batch.builder.append(timestamp=timestamp_ms, key=None, value=value, headers=headers)
        batch.records += 1
        batch.size += len(value)
        future: asyncio.Future[bool] = self._loop.create_future()
        batch.futures.append(future)
        return future

    def _open_batch(self) -> PendingBatch:
        call_later = self._loop.call_later
        batch = self._open = PendingBatch(self._producer.new_builder())
        batch.timers = [
            call_later(self._linger, self._on_linger_elapsed, batch),
            call_later(self._ack_timeout, self._on_ack_timeout, batch),
            call_later(_STUCK_SECONDS, self._producer.replace, f"{self.topic} is stuck"),
        ]
        return batch

    def _close_batch(self) -> None:
        """Move the open batch to the queue."""
        if self._open is not None:
            self._queue.append(self._open)
            self._open = None
            self.send_ready()

    def _on_linger_elapsed(self, batch: PendingBatch) -> None:
        batch.linger_elapsed = True
        self.send_ready()

    def _on_ack_timeout(self, batch: PendingBatch) -> None:
        if batch is self._open:
            self._close_batch()
        batch.late = True
        if batch in self._queue:
            self._late_queued += 1
        else:
            self._late_inflight += 1
        log.warning("Kafka has not acknowledged in time", topic=self.topic, records=batch.records)
        batch.resolve(acknowledged=False)

    def send_ready(self) -> None:
        """Send queued batches, then the open one if its linger has elapsed, as long as partitions are free."""
        while (tp := self._free_partition()) is not None:
            if self._queue:
                batch = self._queue.popleft()
                if batch.late:
                    self._late_queued -= 1
                    self._late_inflight += 1
            elif self._open is not None and self._open.linger_elapsed:
                batch, self._open = self._open, None
            else:
                return
            self._busy.add(tp)
            self._producer.spawn(self._deliver(batch, tp))

    def _free_partition(self) -> TopicPartition | None:
        """Return the next partition without a batch in flight, those with a leader first; None: all are busy."""
        producer = self._producer.current
        if producer is None:
            return None
        leaderless = None
        for _ in range(len(self._partitions)):
            tp = self._partitions[0]
            self._partitions.rotate(-1)
            if tp in self._busy:
                continue
            if producer.client.cluster.leader_for_partition(tp) not in {None, -1}:
                return tp
            leaderless = leaderless or tp
        return leaderless

    async def _deliver(self, batch: PendingBatch, tp: TopicPartition) -> None:
        acknowledged = False
        producer = self._producer.current
        try:
            if producer is not None:
                await (await producer.send_batch(batch.builder, tp.topic, partition=tp.partition))
                acknowledged = True
        except (KafkaError, OSError, RuntimeError, AssertionError, ValueError) as error:
            # The batch has used up a sequence number: the broker rejects whatever this producer sends there next.
            self._producer.replace(f"{tp.topic}-{tp.partition}: {error!r}")
        finally:
            # Also when cancelled, as the producer is replaced. Whether the batch was written is unknown then.
            self._on_done(batch, tp, acknowledged=acknowledged)

    def _on_done(self, batch: PendingBatch, tp: TopicPartition, *, acknowledged: bool) -> None:
        batch.cancel_timers()
        self._busy.discard(tp)
        self._late_inflight -= batch.late
        self._budget.release(batch.size)
        batch.resolve(acknowledged=acknowledged)
        self.send_ready()

    def drop(self) -> None:
        """Fail all batches that are not in flight."""
        self._close_batch()
        while self._queue:
            batch = self._queue.popleft()
            self._late_queued -= batch.late
            batch.cancel_timers()
            self._budget.release(batch.size)
            batch.resolve(acknowledged=False)
