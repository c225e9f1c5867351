"""One source partition in this worker's hands: take it over, fold its batches, survive what fails."""

from __future__ import annotations

import asyncio
import enum
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from aiokafka.errors import KafkaError
from faust.types import TP

from aftersend.engine.partitions.batch import Batch
from aftersend.engine.partitions.isolation import FaultIsolation
from aftersend.engine.partitions.observer import BatchObserver, CommittedBatch, NullBatchObserver
from aftersend.engine.partitions.processor import Processor
from aftersend.engine.tasks import cancel
from aftersend.engine.transaction import Output, TransactionalWriter
from aftersend.errors import AftersendError, ContentError, FencedError, TransactionFailedError, TransactionRejectedError

log = structlog.get_logger(__name__)

#: Batches that may wait while one is being committed.
_QUEUE: Final = 1
_BACKOFF: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
#: What may pass by itself: Kafka is away, or busy with something else.
_PASSING: Final = (KafkaError, OSError, TimeoutError, TransactionFailedError)


class Phase(enum.Enum):
    """What a partition is doing."""

    RUNNING = "running"
    RESTORING = "restoring"
    #: Another worker has it; if the group leaves it with us all the same, it is taken back.
    FENCED = "fenced"
    CLOSED = "closed"


class PartitionTask:
    """The owner of one source partition.

    Args:
        tp: the source partition.
        processor: what to do with its batches.
        new_writer: makes the partition's transactional writer.
        committed: returns the partition's committed offset.
        seek: sends the consumer to an offset; returns the number of the seek.
        on_fatal: told of an error that this worker should not live with.
        reclaim_after: seconds after which a fenced partition that the group still leaves with us is taken back; well
            beyond the group's session timeout, so that whoever fenced us has been heard of by then.
        observer: told of every batch, and of what goes wrong.
    """

    def __init__(  # noqa: PLR0913 - all that it has to do with outside
        self,
        tp: TP,
        processor: Processor[Any, Any],
        *,
        new_writer: Callable[[], TransactionalWriter],
        committed: Callable[[TP], Awaitable[int]],
        seek: Callable[[TP, int], Awaitable[int]],
        on_fatal: Callable[[BaseException], None],
        reclaim_after: float,
        observer: BatchObserver | None = None,
    ) -> None:
        self.tp = tp
        self.processor = processor
        self.phase = Phase.RESTORING
        #: Offset of the next record wanted.
        self.position: int | None = None
        #: Number of the last seek of the consumer that holds for this partition.
        self.seek_epoch = 0
        self.state: Any = None
        self.batches = 0
        self.records = 0
        self.resets = 0
        self._isolation = FaultIsolation()
        #: What the last transaction failed with that failed for its content.
        self._content_error: Exception = ContentError("nothing has failed yet")
        #: Failures since the last commit.
        self._failures = 0
        #: `time.monotonic()` of the last commit, or of the take-over.
        self.progress_at = time.monotonic()
        #: Kafka timestamp of the first record under way, and of the last one committed, milliseconds since 1970.
        self.inflight_timestamp: int | None = None
        self.last_timestamp: int | None = None
        self._new_writer = new_writer
        self._committed = committed
        self._seek = seek
        self._on_fatal = on_fatal
        self._reclaim_after = reclaim_after
        self._observer = observer or NullBatchObserver()
        self._writer: TransactionalWriter | None = None
        self._queue: asyncio.Queue[Batch] = asyncio.Queue(_QUEUE)
        self._open = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    async def take_over(self) -> None:
        """Fence the former owner, restore the state, learn the committed offset; again until Kafka lets us."""
        attempt = 0
        while True:
            try:
                return await self._take_over()
            except _PASSING as error:
                self._observer.take_over_failed(self.tp.topic)
                log.warning("partition can't be taken over yet", tp=str(self.tp), error=repr(error), attempt=attempt)
            await asyncio.sleep(_BACKOFF[min(attempt, len(_BACKOFF) - 1)])
            attempt += 1

    async def _take_over(self) -> None:
        """Fence the former owner, restore the state, learn the committed offset: in this order.

        The former owner can commit nothing any more once the writer has started, so the changelog and the committed
        offset that are read afterwards belong together.
        """
        started = time.monotonic()
        self.phase = Phase.RESTORING
        writer = self._new_writer()
        try:
            await writer.start()
            state = await self.processor.restore(self.tp.topic, self.tp.partition, writer.epoch)
            try:
                self.position = await self._committed(self.tp)
            except BaseException:
                self.processor.release(state)
                raise
        except BaseException:
            await writer.close()
            raise
        self._writer, self.state = writer, state
        self.inflight_timestamp = None
        self.phase = Phase.RUNNING
        self.progress_at = time.monotonic()
        self._observer.taken_over(self.tp.topic, self.progress_at - started)
        description = self.processor.describe(state)
        log.log(
            logging.INFO if description else logging.DEBUG,  # one line for each partition that holds state
            "partition taken over",
            topic=self.tp.topic,
            partition=self.tp.partition,
            position=self.position,
            seconds=round(self.progress_at - started, 3),
            **description,
        )
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"partition {self.tp.topic}-{self.tp.partition}")

    async def verify_ownership(self) -> bool:
        """Tell whether nobody has taken the partition over since, by a transaction that changes nothing.

        A worker that was silent for a while may have lost a partition to another one and got it back.
        """
        await self.quiesce()
        writer, position = self._writer, self.position
        if self.phase is not Phase.RUNNING or writer is None or position is None:
            return False
        try:
            await writer.commit(writer.output(), (self.tp.topic, self.tp.partition), position)
        except (FencedError, TransactionFailedError) as error:
            self._observer.transaction_failed(self.tp.topic, fenced=isinstance(error, FencedError))
            log.warning("partition had another owner meanwhile", tp=str(self.tp), error=str(error))
            return False
        return True

    async def deliver(self, batch: Batch) -> None:
        """Hand a batch over; waits while the task is busy. Batches that nobody can use are dropped: they come again."""
        if self.phase is Phase.RUNNING and self._open.is_set():
            await self._queue.put(batch)

    def resume(self) -> None:
        """Take batches (again)."""
        self._open.set()

    async def quiesce(self) -> None:
        """Take no more batches, and wait for the one under way."""
        self._open.clear()
        self._clear()
        await self._idle.wait()
        self._clear()

    async def close(self) -> None:
        """Stop, and let go of everything."""
        self._open.clear()
        self.phase = Phase.CLOSED
        if self._task is not None:
            await cancel(self._task)
            self._task = None
        self._clear()
        await self._let_go()

    async def _let_go(self) -> None:
        writer, self._writer = self._writer, None
        state, self.state = self.state, None
        if state is not None:
            self.processor.release(state)
        if writer is not None:
            await writer.close()

    def _clear(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()

    async def _run(self) -> None:
        try:
            while True:
                batch = await self._queue.get()
                if self._open.is_set() and self._fits(batch):
                    await self._take(batch)
                elif self._open.is_set() and (batch.base is None or batch.seek_epoch >= self.seek_epoch):
                    # A gap, which should not be; batches of before the last seek are merely late.
                    await self._go_to_position()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, the worker must not go on silently
            self.phase = Phase.CLOSED
            self._on_fatal(error)
        finally:
            self._idle.set()

    def _fits(self, batch: Batch) -> bool:
        """Tell whether a batch goes on just where the last one ended."""
        return batch.base is not None and batch.base == self.position

    async def _take(self, batch: Batch) -> None:
        self._idle.clear()
        try:
            await self._fold_portions(batch)
        except FencedError as error:
            self._observer.transaction_failed(self.tp.topic, fenced=True)
            self._idle.set()
            await self._fenced(error)
        except TransactionFailedError as error:
            self._observer.transaction_failed(self.tp.topic, fenced=False)
            self._idle.set()
            await self._reset(str(error))
        finally:
            self._idle.set()

    async def _go_to_position(self) -> None:
        if self.position is not None:
            self.seek_epoch = max(self.seek_epoch, await self._seek(self.tp, self.position))

    async def _fold_portions(self, batch: Batch) -> None:
        """Fold a batch in one transaction, in several where a record of it makes a transaction fail.

        What is left when the partition is to stand still comes again with the next fetch.
        """
        isolation = self._isolation
        left: Batch | None = batch
        while left is not None and self._open.is_set():
            rest: Batch | None = None
            set_aside = False
            if isolation.active:
                count, set_aside = isolation.portion([record.offset for record in left.records])
                left, rest = left.split(count)
            first, last = left.records[0].offset, left.records[-1].offset
            try:
                await self._fold(left, set_aside=set_aside)
            except ContentError as error:
                # Nothing was sent, so the same records can be tried again at once.
                self._suspect(first, last, error)
                left = left if rest is None else Batch(left.base, left.records + rest.records, left.seek_epoch)
                continue
            except TransactionRejectedError as error:
                self._suspect(first, last, error)
                raise
            isolation.committed(last)
            left = rest

    def _suspect(self, first: int, last: int, error: Exception) -> None:
        """Note that a transaction has failed for its content: records with offsets from `first` to `last`."""
        self._isolation.failed(first, last)
        cause = error.__cause__
        # The dead letter names the error itself, not that it was one of the content.
        self._content_error = cause if type(error) is ContentError and isinstance(cause, Exception) else error
        log.warning(
            "a transaction failed for its content; it is tried again in smaller parts"
            if first < last
            else "a record can't be processed and goes to the dead letters",
            topic=self.tp.topic,
            partition=self.tp.partition,
            first_offset=first,
            last_offset=last,
            error=str(error),
        )

    def _process(self, batch: Batch, output: Output, *, set_aside: bool) -> Any:
        """Return what the processor makes of a batch.

        Raises:
            ContentError: if it failed; nothing of it was sent.
        """
        try:
            if set_aside:
                return self.processor.set_aside(self.state, batch, self._content_error, output)
            return self.processor.process(self.state, batch, output)
        except (AftersendError, TransactionFailedError, OSError):
            raise  # the worker's or the store's trouble, not a record's
        except Exception as error:
            self.processor.discard(self.state)
            if set_aside:
                raise
            raise (
                error if isinstance(error, ContentError) else ContentError(f"{type(error).__name__}: {error}")
            ) from error

    async def _fold(self, batch: Batch, *, set_aside: bool) -> None:
        writer = self._writer
        if writer is None:  # pragma: no cover - closed under our feet
            return
        started = time.monotonic()
        timestamps, stride = batch.timestamps()
        self.inflight_timestamp, last = timestamps[0], batch.records[-1].timestamp
        output = writer.output()
        pending = self._process(batch, output, set_aside=set_aside)
        count = batch.consume()
        folded = time.monotonic()
        ends = await writer.commit(output, (self.tp.topic, self.tp.partition), batch.next_offset)
        self.position = batch.next_offset
        self.processor.committed(self.state, pending, ends, batch.next_offset)
        self.batches += 1
        self.records += count
        self._failures = 0
        self.progress_at = time.monotonic()
        self.inflight_timestamp, self.last_timestamp = None, last
        self._observer.committed(
            CommittedBatch(self.tp.topic, count, timestamps, stride, folded - started, self.progress_at - folded)
        )

    async def _fenced(self, error: FencedError) -> None:
        log.warning("fenced: another worker has the partition", tp=str(self.tp), error=str(error))
        self.phase = Phase.FENCED
        await self._let_go()
        self._clear()
        # Usually the group tells us within its session timeout that the partition is gone, and closes this task.
        await asyncio.sleep(self._reclaim_after)
        await self._reset("fenced, but the group still leaves the partition with us")

    async def _reset(self, reason: str) -> None:
        """Drop the partition's memory and take it over anew."""
        self.resets += 1
        self._observer.reset(self.tp.topic)
        log.warning("partition is restored", tp=str(self.tp), reason=reason, failures=self._failures)
        self.phase = Phase.RESTORING
        await self._let_go()
        self._clear()
        await asyncio.sleep(_BACKOFF[min(self._failures, len(_BACKOFF) - 1)])
        self._failures += 1
        await self.take_over()
        await self._go_to_position()
