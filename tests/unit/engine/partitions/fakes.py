"""A broker, a writer and a processor that do what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from faust.types import TP

from aftersend.engine.partitions.batch import Batch
from aftersend.engine.partitions.processor import Processor
from aftersend.engine.partitions.start import LogBounds, Slip
from aftersend.engine.transaction import Output
from aftersend.errors import (
    AftersendError,
    SourcePausedError,
)
from tests.patience import PATIENCE

EVENTS = TP("events", 0)


class Broker:
    """What a partition has to do with outside: writers, the committed offset, the consumer's position."""

    def __init__(self) -> None:
        self.committed = 0
        #: The partition's own position; None: the same as the committed offset.
        self.written: int | None = None
        #: Positions in the outputs, in order.
        self.positions: list[tuple[str, int, int]] = []
        self.log = LogBounds(0, 1_000)
        #: Topics that were deleted and created again.
        self.recreated: set[str] = set()
        self.slips: list[tuple[str, Slip]] = []
        self.seeks: list[int] = []
        #: Partitions that are no longer fetched, and those that are again.
        self.stopped: list[TP] = []
        self.started: list[TP] = []
        self.writers: list[Writer] = []
        #: Errors of the next commits, None: it goes well.
        self.errors: list[Exception | None] = []
        #: Errors of the next starts of a writer.
        self.away: list[Exception] = []
        #: Set while commits may end, and as soon as one has begun.
        self.commits_end = asyncio.Event()
        self.commits_end.set()
        self.commit_begun = asyncio.Event()
        self.fatal: list[BaseException] = []

    async def offset(self, _tp: TP) -> int | None:
        return self.committed

    async def position(self, _topic: str, _partition: int) -> int | None:
        return self.committed if self.written is None else self.written

    async def bounds(self, _tp: TP) -> LogBounds:
        return self.log

    async def is_recreated(self, topic: str) -> bool:
        return topic in self.recreated

    def slipped(self, topic: str, slip: Slip) -> None:
        self.slips.append((topic, slip))

    def write_position(self, _output: Any, topic: str, partition: int, offset: int) -> None:
        self.positions.append((topic, partition, offset))

    async def seek(self, _tp: TP, offset: int) -> int:
        self.seeks.append(offset)
        return len(self.seeks)

    def new_writer(self) -> Any:
        self.writers.append(Writer(self))
        return self.writers[-1]


class Writer:
    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.epoch = (1, len(broker.writers))
        self.closed = False

    async def start(self) -> None:
        if self.broker.away:
            raise self.broker.away.pop(0)

    def output(self) -> Any:
        return SimpleNamespace()

    async def commit(self, _output: Any, _source: tuple[str, int], next_offset: int) -> dict[tuple[str, int], int]:
        self.broker.commit_begun.set()
        await self.broker.commits_end.wait()
        error = self.broker.errors.pop(0) if self.broker.errors else None
        if error is not None:
            raise error
        self.broker.committed = next_offset
        return {}

    async def close(self) -> None:
        self.closed = True


class Summing(Processor[dict[str, Any], list[int]]):
    """Remembers the offsets of all that was folded."""

    name = "summing"

    def __init__(self) -> None:
        self.restored = 0
        self.released = 0
        self.stored: list[int] = []
        self.broken = False
        #: Offsets of records that make `process` raise.
        self.bad: set[int] = set()
        self.set_aside_offsets: list[int] = []
        self.errors: list[Exception] = []
        self.discarded = 0
        #: Of the next batches: how long the topic pauses, seconds.
        self.pauses: list[float] = []

    async def restore(self, topic: str, partition: int, epoch: tuple[int, int]) -> dict[str, Any]:
        self.restored += 1
        return {"seen": list(self.stored)}

    def process(self, state: dict[str, Any], batch: Batch, output: Output) -> list[int]:
        if self.broken:
            raise AftersendError("a disk is full")
        if self.pauses:
            raise SourcePausedError(EVENTS.topic, self.pauses.pop(0))
        if bad := self.bad & {record.offset for record in batch.records}:
            raise ValueError(f"can't do with {bad}")
        return [record.offset for record in batch.records]

    def set_aside(self, state: dict[str, Any], batch: Batch, error: Exception, output: Output) -> list[int]:
        (record,) = batch.records
        self.set_aside_offsets.append(record.offset)
        self.errors.append(error)
        return []

    def discard(self, state: dict[str, Any]) -> None:
        self.discarded += 1

    def committed(
        self, state: dict[str, Any], pending: list[int], ends: dict[tuple[str, int], int], next_offset: int
    ) -> None:
        state["seen"] += pending
        self.stored = list(state["seen"])

    def release(self, state: dict[str, Any]) -> None:
        self.released += 1
        state.clear()


def batch(start: int | None, *offsets: int, seek_epoch: int = 0) -> Batch:
    return Batch(
        start, [SimpleNamespace(offset=offset, timestamp=1_790_000_000_000 + offset) for offset in offsets], seek_epoch
    )


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not met():
            await asyncio.sleep(0.001)
