"""All source partitions of this worker: which it has, where each stands, who folds their batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from faust.types import TP

from aftersend.config.settings import Settings
from aftersend.engine.faust.consumer import Consumer
from aftersend.engine.group.membership import Membership
from aftersend.engine.partitions.batch import Batch
from aftersend.engine.partitions.observer import BatchObserver
from aftersend.engine.partitions.processor import Processor
from aftersend.engine.partitions.task import PartitionTask, Phase
from aftersend.engine.transaction import TransactionalWriter

log = structlog.get_logger(__name__)


class PartitionManager:
    """The worker's partitions (a `transport.Flow`).

    Args:
        settings: of the worker.
        consumer: returns Faust's consumer once it is there.
        on_fatal: told of an error that this worker should not live with.
        observer: told of the partitions' work.
    """

    def __init__(
        self,
        settings: Settings,
        consumer: Callable[[], Consumer],
        on_fatal: Callable[[BaseException], None],
        observer: BatchObserver | None = None,
    ) -> None:
        self._settings = settings
        self._consumer = consumer
        self._on_fatal = on_fatal
        self._observer = observer
        self._processors: dict[str, Processor[Any, Any]] = {}
        self.tasks: dict[TP, PartitionTask] = {}
        #: Partitions that are being taken over.
        self.restoring: set[TP] = set()
        self.ready = False
        self.membership = Membership(
            min(settings.session_timeout, settings.rebalance_timeout), settings.reached_at, settings.topics.events
        )
        self._lock = asyncio.Lock()
        self._taking_over: list[asyncio.Future[None]] = []
        self._closed = False

    def register(self, topic: str, processor: Processor[Any, Any]) -> None:
        """Have a processor fold a topic's batches."""
        self._processors[topic] = processor

    def position(self, tp: TP) -> int | None:
        """Return the offset of the next record that a partition's owner wants, None if nobody owns it."""
        task = self.tasks.get(tp)
        return task.position if task is not None else None

    def state_of(self, tp: TP) -> Any:
        """Return the committed state of a partition that is surely ours, None of any other.

        To be asked after the reading too, and what was read to be thrown away if the answer has changed: a worker that
        was frozen in between may have read what is no longer so.
        """
        task = self.tasks.get(tp)
        if task is None or not self.ready or task.phase is not Phase.RUNNING or not self.membership.fresh():
            return None
        return task.state

    async def deliver(self, tp: TP, batch: Batch) -> None:
        """Hand a batch to its partition's owner."""
        task = self.tasks.get(tp)
        if task is not None:
            await task.deliver(batch)

    async def quiesce(self) -> None:
        """Let the transactions that are under way end; start no new ones."""
        self.ready = False
        await asyncio.gather(*(task.quiesce() for task in self.tasks.values()))

    async def assign(self, assignment: Iterable[TP]) -> None:
        """Own just these partitions: let the others go, take the new ones over, send the consumer where all stand.

        May be cancelled at any time, for the next assignment: that one then waits until this one has let go of what
        it had begun to take over.
        """
        async with self._lock:
            if self._closed:
                return
            wanted = {tp for tp in assignment if tp.topic in self._processors}
            await self._keep(wanted)
            new = sorted(wanted - self.tasks.keys())
            await self._take_over(new)
            positions = {tp: task.position for tp, task in self.tasks.items()}
            wanted_positions = {tp: offset for tp, offset in positions.items() if offset is not None}
            seek_epoch = await self._consumer().seek_all(wanted_positions)
            for task in self.tasks.values():
                task.seek_epoch = max(task.seek_epoch, seek_epoch)
                task.resume()
            self.ready = True
            log.info("partitions assigned", kept=len(wanted) - len(new), new=len(new))

    async def _keep(self, wanted: set[TP]) -> None:
        """Let all partitions go but those that are wanted and have never been anybody else's meanwhile."""
        tasks = [task for tp, task in self.tasks.items() if tp in wanted]
        ours = await asyncio.gather(*(task.verify_ownership() for task in tasks))
        kept = {task.tp for task, verify_ownership in zip(tasks, ours, strict=True) if verify_ownership}
        gone = [tp for tp in self.tasks if tp not in kept]
        await asyncio.gather(*(self.tasks.pop(tp).close() for tp in gone))

    async def _take_over(self, new: list[TP]) -> None:
        tasks = [self._task(tp) for tp in new]
        self.restoring = set(new)
        self._taking_over = [asyncio.ensure_future(task.take_over()) for task in tasks]
        try:
            await asyncio.gather(*self._taking_over)
        except BaseException:
            # The first failure does not end the others.
            for taking_over in self._taking_over:
                taking_over.cancel()
            outcomes = await asyncio.gather(*self._taking_over, return_exceptions=True)
            # What has been restored need not be again, if the next assignment leaves it with us.
            self.tasks.update({t.tp: t for t, outcome in zip(tasks, outcomes, strict=True) if outcome is None})
            raise
        else:
            self.tasks.update({task.tp: task for task in tasks})
        finally:
            self._taking_over = []
            self.restoring = set()

    async def close(self) -> None:
        """Let every partition go, for good."""
        self.ready = False
        self._closed = True
        for taking_over in self._taking_over:
            taking_over.cancel()
        async with self._lock:
            tasks, self.tasks = list(self.tasks.values()), {}
            await asyncio.gather(*(task.quiesce() for task in tasks))
            await asyncio.gather(*(task.close() for task in tasks))

    def _task(self, tp: TP) -> PartitionTask:
        processor = self._processors[tp.topic]
        settings = self._settings

        def new_writer() -> TransactionalWriter:
            return TransactionalWriter(
                settings.kafka_options(),
                f"{settings.app_id}-{processor.name}-{tp.topic}-{tp.partition}",
                settings.app_id,
                settings.transaction_timeout,
            )

        async def committed(tp: TP) -> int:
            return (await self._consumer().committed([tp]))[tp]

        async def seek(tp: TP, offset: int) -> int:
            return await self._consumer().seek_all({tp: offset})

        return PartitionTask(
            tp,
            processor,
            new_writer=new_writer,
            committed=committed,
            seek=seek,
            on_fatal=self._on_fatal,
            reclaim_after=settings.session_timeout * 1.5,
            observer=self._observer,
        )
