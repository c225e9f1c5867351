"""All source partitions of this worker: which it has, where each stands, who folds their batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from faust.types import TP

from engine.partition import PartitionTask, Phase
from engine.processor import Processor
from engine.settings import Settings
from engine.transport import Batch, Consumer
from engine.writer import TransactionalWriter

log = structlog.get_logger(__name__)


class Ownership:
    """The worker's partitions (a `transport.Flow`).

    Args:
        settings: of the worker.
        consumer: returns Faust's consumer once it is there.
        on_fatal: told of an error that this worker should not live with.
    """

    def __init__(
        self,
        settings: Settings,
        consumer: Callable[[], Consumer],
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        """Own nothing yet."""
        self._settings = settings
        self._consumer = consumer
        self._on_fatal = on_fatal
        self._processors: dict[str, Processor[Any, Any]] = {}
        self.tasks: dict[TP, PartitionTask] = {}
        #: Partitions that are being taken over.
        self.restoring: set[TP] = set()
        self.ready = False

    def register(self, topic: str, processor: Processor[Any, Any]) -> None:
        """Have a processor fold a topic's batches."""
        self._processors[topic] = processor

    def position(self, tp: TP) -> int | None:
        """Return the offset of the next record that a partition's owner wants, None if nobody owns it."""
        task = self.tasks.get(tp)
        return task.position if task is not None else None

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
        """Own just these partitions: let the others go, take the new ones over, send the consumer where all stand."""
        wanted = {tp for tp in assignment if tp.topic in self._processors}
        gone = [tp for tp, task in self.tasks.items() if tp not in wanted or task.phase is not Phase.RUNNING]
        await asyncio.gather(*(self.tasks.pop(tp).close() for tp in gone))
        new = sorted(wanted - self.tasks.keys())
        self.restoring = set(new)
        tasks = [self._task(tp) for tp in new]
        try:
            await asyncio.gather(*(task.take_over() for task in tasks))
        except BaseException:
            await asyncio.gather(*(task.close() for task in tasks), return_exceptions=True)
            raise
        finally:
            self.restoring = set()
        self.tasks.update({task.tp: task for task in tasks})
        positions = {tp: task.position for tp, task in self.tasks.items()}
        await self._consumer().seek_all({tp: offset for tp, offset in positions.items() if offset is not None})
        for task in self.tasks.values():
            task.resume()
        self.ready = True
        log.info("partitions assigned", kept=len(wanted) - len(new), new=len(new), gone=len(gone))

    async def close(self) -> None:
        """Let every partition go."""
        self.ready = False
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

        async def seek(tp: TP, offset: int) -> None:
            await self._consumer().seek_all({tp: offset})

        return PartitionTask(
            tp,
            processor,
            new_writer=new_writer,
            committed=committed,
            seek=seek,
            on_fatal=self._on_fatal,
            reclaim_after=settings.session_timeout * 1.5,
        )
