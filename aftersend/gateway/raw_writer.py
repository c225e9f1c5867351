"""Bodies into the raw topics: gathered for some milliseconds, written together, and known to be there or not.

What arrives for a source within `linger` becomes one batch of Kafka's (a *lot* here, since a batch is something else in
the rest of the engine), and a partition has one lot on its way at a time. While all partitions are taken the next lot
grows, so the busier it is, the more records share a write. The producer is idempotent and asks for the acknowledgement
of all replicas in sync.

A lot that is not acknowledged in time is reported as failed, though it may still arrive: its requests are answered
with 503 and their providers send them again. An event that comes twice counts once. As long as such a lot is on its
way the topic is `stalled`, and nothing more should be put in.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping
from itertools import chain, repeat
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from aftersend.engine.transaction import MAX_BATCH_BYTES, Headers, abandon, calm
from aftersend.errors import KafkaUnusableError
from aftersend.gateway.budget import Budget

log = structlog.get_logger(__name__)

#: Seconds that a broker may take for one request. What it does not answer by then is asked again.
_REQUEST_SECONDS: Final = 10.0
#: A lot that is on its way for so long may be stuck in the client: a new producer is quicker than the next surprise.
_STUCK_SECONDS: Final = 60.0
#: Waited before a producer is tried again that could not start, seconds.
_BACKOFF: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
_START_SECONDS: Final = 30.0


class _Lot:
    """Records that go together, and who waits for them."""

    __slots__ = ("builder", "late", "records", "ripe", "size", "timers", "waiting")

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.waiting: list[asyncio.Future[bool]] = []
        self.records = 0
        self.size = 0
        #: Has lingered long enough.
        self.ripe = False
        #: Its requests were told that it failed.
        self.late = False
        self.timers: list[asyncio.TimerHandle] = []

    def tell(self, result: bool) -> None:  # noqa: FBT001 - what a future is told
        """Tell all who wait; they wait no longer."""
        waiting, self.waiting = self.waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(result)

    def end(self) -> None:
        """Let no timer run any more."""
        for timer in self.timers:
            timer.cancel()


class RawTopic:
    """One raw topic.

    Args:
        writer: whose producer is used.
        topic: name of the topic.
        patience: seconds that Kafka may take.
    """

    def __init__(self, writer: RawWriter, topic: str, patience: float) -> None:
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self.topic = topic
        self._patience = patience
        self._partitions: deque[TopicPartition] = deque()
        #: Partitions with a lot on its way.
        self._taken: set[TopicPartition] = set()
        self._open: _Lot | None = None
        #: Lots that wait for a partition, oldest first.
        self._queue: deque[_Lot] = deque()
        #: Late lots on their way, and in the queue.
        self._late_sent = 0
        self._late_queued = 0

    def set_partitions(self, numbers: set[int]) -> None:
        """Say which partitions there are."""
        self._partitions = deque(TopicPartition(self.topic, number) for number in sorted(numbers))

    @property
    def stalled(self) -> bool:
        """Whether Kafka does not get on with what it has already been given."""
        return self._late_queued > 0 or 0 < len(self._partitions) <= self._late_sent

    def put(self, value: bytes, timestamp_ms: int, headers: Headers) -> asyncio.Future[bool]:
        """Write a record; return what will be told whether it was acknowledged in time.

        The writer's budget must hold the value; it is given back when the record is written or given up.
        """
        lot = self._open
        if lot is None:
            lot = self._begin()
        append = lot.builder.append
        if append(timestamp=timestamp_ms, key=None, value=value, headers=headers) is None:
            self._seal()
            lot = self._begin()
            # The first record of a lot fits, however long it is.
            lot.builder.append(timestamp=timestamp_ms, key=None, value=value, headers=headers)
        lot.records += 1
        lot.size += len(value)
        future: asyncio.Future[bool] = self._loop.create_future()
        lot.waiting.append(future)
        return future

    def _begin(self) -> _Lot:
        loop = self._loop
        lot = self._open = _Lot(self._writer.builder())
        lot.timers = [
            loop.call_later(self._writer.linger, self._ripen, lot),
            loop.call_later(self._patience, self._give_up, lot),
            loop.call_later(_STUCK_SECONDS, self._writer.renew, f"{self.topic} is stuck"),
        ]
        return lot

    def _seal(self) -> None:
        """Let nothing more into the open lot."""
        if self._open is not None:
            self._queue.append(self._open)
            self._open = None
            self.push()

    def _ripen(self, lot: _Lot) -> None:
        lot.ripe = True
        self.push()

    def _give_up(self, lot: _Lot) -> None:
        """Keep nobody waiting any longer."""
        if lot is self._open:
            self._seal()
        lot.late = True
        if lot in self._queue:
            self._late_queued += 1
        else:
            self._late_sent += 1
        log.warning("Kafka has not acknowledged in time", topic=self.topic, records=lot.records)
        lot.tell(False)  # noqa: FBT003 - what a future is told

    def push(self) -> None:
        """Send what is ripe, as far as partitions are free."""
        while (tp := self._free()) is not None:
            if self._queue:
                lot = self._queue.popleft()
                if lot.late:
                    self._late_queued -= 1
                    self._late_sent += 1
            elif self._open is not None and self._open.ripe:
                lot, self._open = self._open, None
            else:
                return
            self._taken.add(tp)
            self._writer.spawn(self._deliver(lot, tp))

    def _free(self) -> TopicPartition | None:
        """Return the next partition that has nothing on its way, those with a leader first; None: no one is free."""
        producer = self._writer.producer
        if producer is None:
            return None
        second = None
        for _ in range(len(self._partitions)):
            tp = self._partitions[0]
            self._partitions.rotate(-1)
            if tp in self._taken:
                continue
            if producer.client.cluster.leader_for_partition(tp) not in {None, -1}:
                return tp
            second = second or tp
        return second

    async def _deliver(self, lot: _Lot, tp: TopicPartition) -> None:
        writer = self._writer
        acknowledged = False
        try:
            if writer.producer is not None:
                await (await writer.producer.send_batch(lot.builder, tp.topic, partition=tp.partition))
                acknowledged = True
        except (KafkaError, OSError, RuntimeError, AssertionError, ValueError) as error:
            # A sequence number is used up: with this producer nothing else would get to the partition either.
            writer.renew(f"{tp.topic}-{tp.partition}: {error!r}")
        finally:
            # Also when cancelled, as the producer is given up. Whether it was written nobody knows then.
            self._ended(lot, tp, acknowledged=acknowledged)

    def _ended(self, lot: _Lot, tp: TopicPartition, *, acknowledged: bool) -> None:
        lot.end()
        self._taken.discard(tp)
        self._late_sent -= lot.late
        self._writer.budget.give(lot.size)
        lot.tell(acknowledged)
        self.push()

    def drop(self) -> None:
        """Give up what is not on its way yet."""
        self._seal()
        while self._queue:
            lot = self._queue.popleft()
            self._late_queued -= lot.late
            lot.end()
            self._writer.budget.give(lot.size)
            lot.tell(False)  # noqa: FBT003 - what a future is told


class RawWriter:
    """The producer that all raw topics share; replaced by another one when it fails.

    Args:
        options: of the connection, as aiokafka's clients take them.
        linger: seconds for which records are gathered.
        budget: counts what is in memory.
    """

    def __init__(self, options: Mapping[str, Any], linger: float, budget: Budget) -> None:
        self._options = {**options, "request_timeout_ms": int(_REQUEST_SECONDS * 1000)}
        self.linger = linger
        self.budget = budget
        #: None while there is none that works.
        self.producer: AIOKafkaProducer | None = None
        self._topics: list[RawTopic] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._renewal: asyncio.Task[None] | None = None
        self._closing = False
        self.builder: Any = None

    def topic(self, topic: str, patience: float) -> RawTopic:
        """Return what writes a raw topic, to be asked for before `start`."""
        made = RawTopic(self, topic, patience)
        self._topics.append(made)
        return made

    @property
    def ready(self) -> bool:
        """Whether what is put in now may be expected to arrive."""
        return self.producer is not None and not any(topic.stalled for topic in self._topics)

    @property
    def outstanding(self) -> int:
        """How many lots are on their way."""
        return len(self._tasks)

    async def start(self) -> None:
        """Connect.

        Raises:
            KafkaUnusableError: if Kafka can't be reached.
        """
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self._connect()
        except (KafkaError, OSError, TimeoutError) as error:
            servers = ",".join(self._options["bootstrap_servers"])
            raise KafkaUnusableError(
                f"Kafka at {servers} gives no producer id (AFTERSEND_KAFKA_BOOTSTRAP): {error!r}"
            ) from error

    async def _connect(self) -> None:
        producer = AIOKafkaProducer(
            **self._options,
            enable_idempotence=True,
            acks="all",
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=8 * MAX_BATCH_BYTES,
            linger_ms=0,  # the lots have lingered
        )
        calm(producer)
        try:
            await producer.start()
            for topic in self._topics:
                topic.set_partitions(await producer.partitions_for(topic.topic))
        except BaseException:
            await abandon(producer)
            raise
        self.producer = producer
        self.builder = producer.create_batch
        for topic in self._topics:
            topic.push()

    def spawn(self, work: Any) -> None:
        """Run a lot's delivery."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def renew(self, why: str) -> None:
        """Replace the producer: what is on its way fails."""
        if self._renewal is not None or self._closing:
            return
        log.error("producer given up; another one is started", why=why)
        self._renewal = asyncio.get_running_loop().create_task(self._renew())

    async def _renew(self) -> None:
        old, self.producer = self.producer, None
        try:
            for task in list(self._tasks):
                task.cancel()
            if old is not None:
                await abandon(old)
            for delay in chain(_BACKOFF, repeat(_BACKOFF[-1])):
                try:
                    async with asyncio.timeout(_START_SECONDS):
                        await self._connect()
                except (KafkaError, OSError, TimeoutError, RuntimeError) as error:
                    log.warning("no new producer yet", error=repr(error), seconds=delay)
                    await asyncio.sleep(delay)
                else:
                    log.info("new producer works")
                    return
        finally:
            self._renewal = None

    async def close(self, grace: float) -> None:
        """Wait for what is on its way, within bounds, and disconnect.

        Args:
            grace: seconds.
        """
        self._closing = True
        if self._renewal is not None:
            self._renewal.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._renewal
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for topic in self._topics:
            topic.drop()
        producer, self.producer = self.producer, None
        if producer is not None:
            await abandon(producer)
