"""All source partitions of this worker: assignment, take-over, release."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

import structlog
from aiokafka.errors import KafkaError
from faust.types import TP

from aftersend.config.settings import Settings
from aftersend.engine import admin
from aftersend.engine.group.membership import Membership
from aftersend.engine.partitions.batch import Batch
from aftersend.engine.partitions.observer import BatchObserver, NullBatchObserver
from aftersend.engine.partitions.phase import Phase
from aftersend.engine.partitions.processor import Processor
from aftersend.engine.partitions.start import LogBounds, StartFinder
from aftersend.engine.partitions.task import PartitionTask
from aftersend.engine.positions import PositionLog
from aftersend.engine.transaction import TransactionalWriter, transactional_id
from aftersend.errors import KafkaUnusableError

log = structlog.get_logger(__name__)

#: Session timeouts after which a fenced partition is taken back: by the end of one the group has usually revoked it,
#: and half of one more is for the rebalance.
_RECLAIM_SESSIONS: Final = 1.5


class OffsetConsumer(Protocol):
    """The consumer, as far as partitions use it."""

    async def committed(self, partitions: Iterable[TP]) -> dict[TP, int]:
        """Return the stable committed offset of each partition that has one."""

    async def bounds(self, tp: TP) -> LogBounds:
        """Return the bounds of a partition's log."""

    async def seek_all(self, positions: Mapping[TP, int]) -> int:
        """Seek to positions; return the seek's number, which batches fetched afterwards carry."""

    def pause_partitions(self, tps: Iterable[TP]) -> None:
        """Stop fetching partitions."""

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Fetch partitions again."""


class PartitionManager:
    """Owns the partitions that the group has assigned to this worker.

    Args:
        settings: of the worker.
        consumer: returns the consumer once it exists.
        on_fatal: called with an error that must stop the worker.
        observer: counts batches and failures.
        topic_ids: ids of the source topics (`aftersend.engine.admin.topic_ids`).
    """

    def __init__(
        self,
        settings: Settings,
        consumer: Callable[[], OffsetConsumer],
        on_fatal: Callable[[BaseException], None],
        observer: BatchObserver | None = None,
        topic_ids: Mapping[str, str] | None = None,
    ) -> None:
        self._settings = settings
        self._consumer = consumer
        self._on_fatal = on_fatal
        self._observer = observer or NullBatchObserver()
        self._topic_ids = dict(topic_ids or {})
        self._log = PositionLog(
            settings.kafka_options(), settings.topics.positions, self._topic_ids, settings.stable_timeout
        )
        self._processors: dict[str, Processor[Any, Any]] = {}
        self.tasks: dict[TP, PartitionTask] = {}
        #: Partitions that are being taken over.
        self.restoring: set[TP] = set()
        #: All assigned partitions are taken over, and no rebalance is in progress.
        self.ready = False
        self.membership = Membership(
            min(settings.session_timeout, settings.rebalance_timeout), settings.reached_at, settings.topics.events
        )
        self._lock = asyncio.Lock()
        self._take_overs: list[asyncio.Future[None]] = []
        self._closed = False

    def register(self, topic: str, processor: Processor[Any, Any]) -> None:
        """Set the processor of a topic's batches."""
        self._processors[topic] = processor

    def position(self, tp: TP) -> int | None:
        """Return the offset of the next record expected of a partition, None if this worker does not own it."""
        task = self.tasks.get(tp)
        return task.position if task is not None else None

    def state_of(self, tp: TP) -> Any:
        """Return the committed state of a partition that this worker certainly owns, None of any other.

        Call it again after reading from the state, and discard what was read unless the result is the same: a worker
        that was frozen in between may have read stale state.
        """
        task = self.tasks.get(tp)
        if task is None or not self.ready or task.phase is not Phase.RUNNING or not self.membership.fresh():
            return None
        return task.state

    async def deliver(self, tp: TP, batch: Batch) -> None:
        """Pass a batch to its partition's task."""
        task = self.tasks.get(tp)
        if task is not None:
            await task.deliver(batch)

    async def quiesce(self) -> None:
        """Start no new transactions, and wait for those in flight."""
        self.ready = False
        await asyncio.gather(*(task.quiesce() for task in self.tasks.values()))

    async def assign(self, assignment: Iterable[TP]) -> None:
        """Own exactly these partitions: release the others, take the new ones over, seek all.

        May be cancelled at any time by a further rebalance. The next call waits until this one has released what it
        had begun to take over.
        """
        async with self._lock:
            if self._closed:
                return
            assigned = {tp for tp in assignment if tp.topic in self._processors}
            await self._release_lost(assigned)
            new = sorted(assigned - self.tasks.keys())
            await self._take_over(new)
            # Step 4. Seek the consumer to the positions, and accept batches.
            positions = {tp: task.position for tp, task in self.tasks.items()}
            seek_epoch = await self._consumer().seek_all({tp: at for tp, at in positions.items() if at is not None})
            for task in self.tasks.values():
                task.resume(seek_epoch)
            self.ready = True
            log.info("partitions assigned", kept=len(assigned) - len(new), new=len(new))

    async def _release_lost(self, assigned: set[TP]) -> None:
        """Close all partitions but those that are assigned and had no other owner meanwhile."""
        tasks = [task for tp, task in self.tasks.items() if tp in assigned]
        verified = await asyncio.gather(*(task.verify_ownership() for task in tasks))
        kept = {task.tp for task, owned in zip(tasks, verified, strict=True) if owned}
        lost = [tp for tp in self.tasks if tp not in kept]
        await asyncio.gather(*(self.tasks.pop(tp).close() for tp in lost))

    async def _take_over(self, new: list[TP]) -> None:
        tasks = [self._new_task(tp) for tp in new]
        self.restoring = set(new)
        self._take_overs = [asyncio.ensure_future(task.take_over()) for task in tasks]
        try:
            await asyncio.gather(*self._take_overs)
        except BaseException:
            # `gather` does not cancel the others at the first failure.
            for take_over in self._take_overs:
                take_over.cancel()
            outcomes = await asyncio.gather(*self._take_overs, return_exceptions=True)
            # Restored partitions are kept, in case the next assignment leaves them with this worker.
            self.tasks.update({t.tp: t for t, outcome in zip(tasks, outcomes, strict=True) if outcome is None})
            raise
        else:
            self.tasks.update({task.tp: task for task in tasks})
        finally:
            self._take_overs = []
            self.restoring = set()

    def end_pause(self, topic: str) -> None:
        """Try the paused partitions of a topic again at once."""
        for tp, task in self.tasks.items():
            if tp.topic == topic:
                task.end_pause()

    async def close(self) -> None:
        """Release every partition, for good."""
        self.ready = False
        self._closed = True
        for take_over in self._take_overs:
            take_over.cancel()
        async with self._lock:
            tasks, self.tasks = list(self.tasks.values()), {}
            await asyncio.gather(*(task.quiesce() for task in tasks))
            await asyncio.gather(*(task.close() for task in tasks))

    async def _is_recreated(self, topic: str) -> bool:
        """Return whether a topic has another id than when this worker started."""
        try:
            now = (await admin.inspect(self._settings.kafka_options())).topic_ids.get(topic)
        except KafkaUnusableError as error:
            raise KafkaError(str(error)) from error  # a take-over is tried again
        return now is not None and now != self._topic_ids.get(topic, now)

    def _new_task(self, tp: TP) -> PartitionTask:
        processor = self._processors[tp.topic]
        settings, observer = self._settings, self._observer

        def new_writer() -> TransactionalWriter:
            return TransactionalWriter(
                settings.kafka_options(),
                transactional_id(settings.app_id, processor.name, tp.topic, tp.partition),
                settings.app_id,
                settings.transaction_timeout,
            )

        async def committed(tp: TP) -> int | None:
            return (await self._consumer().committed([tp])).get(tp)

        async def seek(tp: TP, offset: int) -> int:
            return await self._consumer().seek_all({tp: offset})

        return PartitionTask(
            tp,
            processor,
            new_writer=new_writer,
            starts=StartFinder(
                committed,
                self._log.read,
                lambda tp: self._consumer().bounds(tp),
                self._is_recreated,
                observer.slipped,
            ),
            write_position=self._log.write,
            seek=seek,
            stop_fetching=lambda tp: self._consumer().pause_partitions({tp}),
            start_fetching=lambda tp: self._consumer().resume_partitions({tp}),
            on_fatal=self._on_fatal,
            reclaim_after=settings.session_timeout * _RECLAIM_SESSIONS,
            observer=observer,
        )
