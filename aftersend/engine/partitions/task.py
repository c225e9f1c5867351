"""One source partition of this worker: take-over, batches, failures.

The protocol of a partition, with the numbers of `docs/guide/architecture.md`:

- Take-over: 1. fence the former owner, 2. restore the state, 3. find where to go on, 4. seek and accept batches.
- Each batch: 8. check that it begins where the last one ended, 9. process it, 10. to 12. commit output and offset in
  one transaction, 13. apply the changes to the store, 14. publish them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from aiokafka.errors import KafkaError
from faust.types import TP

from aftersend.engine.partitions.batch import Batch
from aftersend.engine.partitions.observer import BatchObserver, CommittedBatch, NullBatchObserver
from aftersend.engine.partitions.phase import Phase
from aftersend.engine.partitions.portions import PortionProcessor
from aftersend.engine.partitions.processor import Processor
from aftersend.engine.partitions.start import StartFinder
from aftersend.engine.positions import WritePosition
from aftersend.engine.tasks import cancel
from aftersend.engine.transaction import TransactionalWriter
from aftersend.errors import (
    ContentError,
    FencedError,
    SourcePausedError,
    TransactionFailedError,
    TransactionRejectedError,
)

log = structlog.get_logger(__name__)

#: Batches that wait while one is committed: one, so that the next is ready at once, and no more, since each takes MBs.
_QUEUED_BATCHES: Final = 1
#: Before the next attempt after a failure, seconds: quick at first, then sparing a broker that is down.
_BACKOFF_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
#: Errors that a retry may cure: Kafka is unreachable, or busy.
_TRANSIENT: Final = (KafkaError, OSError, TimeoutError, TransactionFailedError)


class PartitionTask:
    """The owner of one source partition.

    Args:
        tp: the source partition.
        processor: processes its batches.
        new_writer: makes the partition's transactional writer.
        starts: finds where the partition goes on.
        write_position: writes the partition's position into the output of each transaction.
        seek: seeks the consumer to an offset; returns the number of the seek.
        stop_fetching: of the partition, while it is paused.
        start_fetching: of the partition, after a pause.
        on_fatal: called with an error that must stop the worker.
        reclaim_after: seconds after which a fenced partition is taken back if the group still assigns it to this
            worker. Well beyond the session timeout: by then the group has revoked a partition that another worker owns.
        observer: counts batches and failures.
    """

    def __init__(  # noqa: PLR0913 - all that it is connected to
        self,
        tp: TP,
        processor: Processor[Any, Any],
        *,
        new_writer: Callable[[], TransactionalWriter],
        starts: StartFinder,
        write_position: WritePosition,
        seek: Callable[[TP, int], Awaitable[int]],
        stop_fetching: Callable[[TP], None],
        start_fetching: Callable[[TP], None],
        on_fatal: Callable[[BaseException], None],
        reclaim_after: float,
        observer: BatchObserver | None = None,
    ) -> None:
        self.tp = tp
        self.processor = processor
        self.phase = Phase.RESTORING
        #: Offset of the next record expected; None: not taken over yet.
        self.position: int | None = None
        #: Number of the last seek that holds for this partition. Batches that were fetched before it are outdated.
        self.seek_epoch = 0
        self.state: Any = None
        self.batches = 0
        self.records = 0
        self.resets = 0
        self._portions = PortionProcessor(tp, processor)
        #: Failures since the last commit.
        self._failures = 0
        #: `time.monotonic()` of the last commit, or of the take-over.
        self.progress_at = time.monotonic()
        #: Kafka timestamp of the first record in flight, milliseconds since 1970; None: no batch is in flight.
        self.inflight_timestamp: int | None = None
        #: Kafka timestamp of the last committed record, milliseconds since 1970; None: there is none.
        self.last_timestamp: int | None = None
        self._new_writer = new_writer
        self._starts = starts
        self._write_position = write_position
        self._seek = seek
        self._stop_fetching = stop_fetching
        self._start_fetching = start_fetching
        self._pause_over = asyncio.Event()
        self._on_fatal = on_fatal
        self._reclaim_after = reclaim_after
        self._observer = observer or NullBatchObserver()
        self._writer: TransactionalWriter | None = None
        self._queue: asyncio.Queue[Batch] = asyncio.Queue(_QUEUED_BATCHES)
        self._accepting = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    async def take_over(self) -> None:
        """Take the partition over by Steps 1 to 3, with retries until Kafka permits it."""
        attempt = 0
        while True:
            try:
                return await self._take_over()
            except _TRANSIENT as error:
                self._observer.take_over_failed(self.tp.topic)
                log.warning("partition can't be taken over yet", tp=str(self.tp), error=repr(error), attempt=attempt)
            await asyncio.sleep(_BACKOFF_SECONDS[min(attempt, len(_BACKOFF_SECONDS) - 1)])
            attempt += 1

    async def _take_over(self) -> None:
        started = time.monotonic()
        self.phase = Phase.RESTORING
        writer = self._new_writer()
        try:
            # Step 1. Fence the former owner: from now on it can commit nothing, so what is read below can't change.
            await writer.start()
            # Step 2. Restore the state from the changelogs.
            state = await self.processor.restore(self.tp.topic, self.tp.partition, writer.epoch)
            try:
                # Step 3. Read the committed offset and the position, which belong to the restored state.
                start = await self._starts.find(self.tp)
                if start.slips:
                    # The group's offset is set right at once, for all who read it.
                    await self._commit_position(writer, start.offset)
                self.position = start.offset
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
        self._log_take_over(self.progress_at - started)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"partition {self.tp.topic}-{self.tp.partition}")

    async def _commit_position(self, writer: TransactionalWriter, position: int) -> None:
        output = writer.output()
        self._write_position(output, *self.tp, position)
        try:
            await writer.commit(output, (self.tp.topic, self.tp.partition), position)
        except FencedError as error:
            raise TransactionFailedError(f"another worker took the partition over meanwhile: {error}") from error

    def _log_take_over(self, seconds: float) -> None:
        description = self.processor.describe(self.state)
        log.log(
            logging.INFO if description else logging.DEBUG,  # one line for each partition with state
            "partition taken over",
            topic=self.tp.topic,
            partition=self.tp.partition,
            position=self.position,
            seconds=round(seconds, 3),
            **description,
        )

    async def verify_ownership(self) -> bool:
        """Return whether no other worker has taken the partition over since, by a transaction that changes nothing.

        A worker that was frozen may have lost a partition and got it back; its memory is stale then.
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
        """Queue a batch; waits while the queue is full. Without an owner it is dropped: it will be fetched again."""
        if self.phase is Phase.RUNNING and self._accepting.is_set():
            await self._queue.put(batch)

    def resume(self, seek_epoch: int = 0) -> None:
        """Accept batches.

        Args:
            seek_epoch: number of the seek that comes before them.
        """
        self.seek_epoch = max(self.seek_epoch, seek_epoch)
        self._accepting.set()

    async def quiesce(self) -> None:
        """Accept no more batches, and wait for the one in flight."""
        self._accepting.clear()
        self._clear_queue()
        await self._idle.wait()
        self._clear_queue()

    async def close(self) -> None:
        """Stop and release everything."""
        self._accepting.clear()
        self.phase = Phase.CLOSED
        if self._task is not None:
            await cancel(self._task)
            self._task = None
        self._clear_queue()
        await self._release()

    async def _release(self) -> None:
        writer, self._writer = self._writer, None
        state, self.state = self.state, None
        if state is not None:
            self.processor.release(state)
        if writer is not None:
            await writer.close()

    def _clear_queue(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()

    async def _run(self) -> None:
        try:
            while True:
                batch = await self._queue.get()
                if not self._accepting.is_set():
                    continue
                # Step 8. Accept a batch only if it begins where the last one ended.
                if batch.start is not None and batch.start == self.position:
                    await self._take(batch)
                elif batch.start is None:
                    await self._revise_position()
                elif batch.seek_epoch >= self.seek_epoch:
                    # A gap after the last seek, so another seek is needed. Batches from before it are only outdated.
                    await self._seek_to_position()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, the worker must not continue silently
            self.phase = Phase.CLOSED
            self._on_fatal(error)
        finally:
            self._idle.set()

    async def _revise_position(self) -> None:
        """Seek after the consumer has lost its place, as it does when Kafka no longer has the records there."""
        if self.position is None:
            return
        try:
            self.position = (await self._starts.revise(self.tp, self.position)).offset
        except _TRANSIENT as error:
            log.warning("the bounds of a partition can't be read", tp=str(self.tp), error=repr(error))
        await self._seek_to_position()

    async def _seek_to_position(self) -> None:
        if self.position is not None:
            self.seek_epoch = max(self.seek_epoch, await self._seek(self.tp, self.position))

    async def _take(self, batch: Batch) -> None:
        """Process a batch, and recover from a failed transaction."""
        self._idle.clear()
        try:
            await self._commit_portions(batch)
        except FencedError as error:
            self._observer.transaction_failed(self.tp.topic, fenced=True)
            self._idle.set()
            await self._on_fenced(error)
        except TransactionFailedError as error:
            self._observer.transaction_failed(self.tp.topic, fenced=False)
            self._idle.set()
            await self._reset(str(error))
        except SourcePausedError as error:
            self._idle.set()
            await self._pause(error)
        finally:
            self._idle.set()

    async def _commit_portions(self, batch: Batch) -> None:
        """Commit a batch in one transaction, or in several while the record is searched that makes one fail.

        What is left when the partition quiesces is fetched again.
        """
        portions = self._portions
        left: Batch | None = batch
        while left is not None and self._accepting.is_set():
            portion, rest, set_aside = portions.split(left)
            first, last = portion.records[0].offset, portion.records[-1].offset
            try:
                await self._commit(portion, set_aside=set_aside)
            except ContentError as error:
                # Nothing was sent, so the same records can be tried again at once.
                portions.failed(first, last, error)
                left = (
                    portion
                    if rest is None
                    else Batch(portion.start, portion.records + rest.records, portion.seek_epoch)
                )
            except TransactionRejectedError as error:
                portions.failed(first, last, error)
                raise
            else:
                portions.committed(last)
                left = rest

    async def _commit(self, batch: Batch, *, set_aside: bool) -> None:
        """Process and commit records in one transaction."""
        writer = self._writer
        if writer is None:  # pragma: no cover - closed meanwhile
            return
        started = time.monotonic()
        timestamps, stride = batch.timestamps()
        self.inflight_timestamp, last = timestamps[0], batch.records[-1].timestamp
        output = writer.output()
        pending = self._portions.process(self.state, batch, output, set_aside=set_aside)  # Step 9
        self._write_position(output, *self.tp, batch.next_offset)
        count = batch.drop_records()
        processed = time.monotonic()
        source = self.tp.topic, self.tp.partition
        ends = await writer.commit(output, source, batch.next_offset)  # Steps 10 to 12
        self.position = batch.next_offset
        self.processor.committed(self.state, pending, ends, batch.next_offset)  # Steps 13 and 14
        self.batches += 1
        self.records += count
        self._failures = 0
        self.progress_at = time.monotonic()
        self.inflight_timestamp, self.last_timestamp = None, last
        self._observer.committed(
            CommittedBatch(self.tp.topic, count, timestamps, stride, processed - started, self.progress_at - processed)
        )

    async def _pause(self, error: SourcePausedError) -> None:
        """Wait until the topic is tried again; nothing of the batch was committed."""
        log.error(
            "partition paused",
            topic=self.tp.topic,
            partition=self.tp.partition,
            position=self.position,
            seconds=round(error.seconds, 1),
            reason=str(error),
        )
        self.phase = Phase.PAUSED
        self._clear_queue()
        self._stop_fetching(self.tp)
        self._pause_over.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(error.seconds):
                await self._pause_over.wait()
        self.phase = Phase.RUNNING
        self.progress_at = time.monotonic()
        self._start_fetching(self.tp)
        await self._seek_to_position()

    def end_pause(self) -> None:
        """Try again at once, if the partition is paused."""
        self._pause_over.set()

    async def _on_fenced(self, error: FencedError) -> None:
        log.warning("fenced: another worker has the partition", tp=str(self.tp), error=str(error))
        self.phase = Phase.FENCED
        await self._release()
        self._clear_queue()
        # Usually the group revokes the partition within its session timeout, and this task is closed.
        await asyncio.sleep(self._reclaim_after)
        await self._reset("fenced, but the group still leaves the partition with us")

    async def _reset(self, reason: str) -> None:
        """Drop the partition's memory and take it over again."""
        self.resets += 1
        self._observer.reset(self.tp.topic)
        log.warning("partition is restored", tp=str(self.tp), reason=reason, failures=self._failures)
        self.phase = Phase.RESTORING
        await self._release()
        self._clear_queue()
        await asyncio.sleep(_BACKOFF_SECONDS[min(self._failures, len(_BACKOFF_SECONDS) - 1)])
        self._failures += 1
        await self.take_over()
        await self._seek_to_position()
