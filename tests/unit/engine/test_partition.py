"""One partition's owner, with a broker that does as it is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from faust.types import TP

from engine.errors import FencedError, TransactionFailedError
from engine.meter import Work
from engine.partition import PartitionTask, Phase
from engine.processor import Processor
from engine.transport import Batch
from engine.writer import Output
from tests.patience import PATIENCE

EVENTS = TP("events", 0)


class Broker:
    """What a partition has to do with outside: writers, the committed offset, the consumer's position."""

    def __init__(self) -> None:
        self.committed = 0
        self.seeks: list[int] = []
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

    async def offset(self, _tp: TP) -> int:
        return self.committed

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

    async def restore(self, topic: str, partition: int, epoch: tuple[int, int]) -> dict[str, Any]:
        self.restored += 1
        return {"seen": list(self.stored)}

    def process(self, state: dict[str, Any], batch: Batch, output: Output) -> list[int]:
        if self.broken:
            message = "a bug"
            raise ValueError(message)
        return [record.offset for record in batch.records]

    def committed(
        self, state: dict[str, Any], pending: list[int], ends: dict[tuple[str, int], int], next_offset: int
    ) -> None:
        state["seen"] += pending
        self.stored = list(state["seen"])

    def release(self, state: dict[str, Any]) -> None:
        self.released += 1
        state.clear()


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def summing() -> Summing:
    return Summing()


@pytest.fixture
async def task(broker: Broker, summing: Summing, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("engine.partition._BACKOFF", (0.0,))
    task = PartitionTask(
        EVENTS,
        summing,
        new_writer=broker.new_writer,
        committed=broker.offset,
        seek=broker.seek,
        on_fatal=broker.fatal.append,
        reclaim_after=0.05,
    )
    await task.take_over()
    task.resume()
    yield task
    await task.close()


def batch(base: int | None, *offsets: int, sought: int = 0) -> Batch:
    return Batch(
        base, [SimpleNamespace(offset=offset, timestamp=1_790_000_000_000 + offset) for offset in offsets], sought
    )


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not met():
            await asyncio.sleep(0.001)


async def test_batches_that_follow_each_other_are_folded(task: PartitionTask, summing: Summing, broker: Broker) -> None:
    for one in (batch(0, 0, 1), batch(2, 2), batch(3, 7, 9)):
        await task.deliver(one)
    await until(lambda: broker.committed == 10)
    assert [0, 1, 2, 7, 9] == summing.stored
    assert [] == broker.seeks


async def test_a_gap_is_gone_back_to_once(task: PartitionTask, summing: Summing, broker: Broker) -> None:
    """What was fetched before the seek comes in the meantime, and is no reason for another one."""
    for one in (batch(0, 0), batch(2, 2), batch(3, 3), batch(4, 4)):
        await task.deliver(one)
    await until(lambda: broker.seeks == [1])
    for one in (batch(1, 1, 2, sought=1), batch(5, 5), batch(3, 3, sought=1)):
        await task.deliver(one)
    await until(lambda: broker.committed == 4)
    assert [0, 1, 2, 3] == summing.stored
    assert [1] == broker.seeks


async def test_a_batch_that_comes_again_is_not_folded_again(
    task: PartitionTask, summing: Summing, broker: Broker
) -> None:
    """Faust may seek too, to where a partition stood a moment ago."""
    await task.deliver(batch(0, 0))
    await until(lambda: broker.committed == 1)
    await task.deliver(batch(0, 0, 1, sought=1))
    await until(lambda: broker.seeks == [1])
    await task.deliver(batch(1, 1, sought=2))
    await until(lambda: broker.committed == 2)
    assert [0, 1] == summing.stored


async def test_a_batch_from_nowhere_is_not_folded(task: PartitionTask, summing: Summing, broker: Broker) -> None:
    await task.deliver(batch(None, 5))
    await until(lambda: broker.seeks == [0])
    assert [] == summing.stored


async def test_a_failed_transaction_is_as_if_it_had_not_been(
    task: PartitionTask, summing: Summing, broker: Broker
) -> None:
    await task.deliver(batch(0, 0))
    await until(lambda: broker.committed == 1)
    broker.errors = [TransactionFailedError("timed out")]
    await task.deliver(batch(1, 1))
    await until(lambda: broker.seeks == [1])

    assert [0] == summing.stored
    assert (2, 1) == (summing.restored, summing.released)
    assert [True, False] == [writer.closed for writer in broker.writers]
    await task.deliver(batch(1, 1, sought=1))
    await until(lambda: broker.committed == 2)
    assert [0, 1] == summing.stored
    assert [] == broker.fatal


async def test_a_take_over_is_tried_until_kafka_is_there(task: PartitionTask, broker: Broker, summing: Summing) -> None:
    broker.errors = [TransactionFailedError("timed out")]
    broker.away = [KafkaConnectionError(), TimeoutError(), OSError()]
    await task.deliver(batch(0, 0))
    await until(lambda: broker.seeks == [0])
    assert Phase.RUNNING is task.phase
    assert [True, True, True, True, False] == [writer.closed for writer in broker.writers]
    assert 2 == summing.restored


async def test_an_error_that_will_not_pass_ends_the_worker(
    task: PartitionTask, broker: Broker, summing: Summing
) -> None:
    summing.broken = True
    await task.deliver(batch(0, 0))
    await until(lambda: bool(broker.fatal))
    assert ["a bug"] == [str(error) for error in broker.fatal]
    assert Phase.CLOSED is task.phase
    # Nobody waits for it.
    await task.deliver(batch(0, 0))
    await task.quiesce()


async def test_an_error_of_a_restore_ends_the_worker(task: PartitionTask, broker: Broker, summing: Summing) -> None:
    async def restore(*_: Any) -> dict[str, Any]:
        message = "a changelog that can't be read"
        raise ValueError(message)

    summing.restore = restore  # type: ignore[method-assign, assignment]
    broker.errors = [TransactionFailedError("timed out")]
    await task.deliver(batch(0, 0))
    await until(lambda: bool(broker.fatal))
    assert ["a changelog that can't be read"] == [str(error) for error in broker.fatal]


async def test_a_fenced_partition_is_taken_back_if_the_group_leaves_it_with_us(
    task: PartitionTask, broker: Broker, summing: Summing
) -> None:
    broker.errors = [FencedError("a newer producer")]
    await task.deliver(batch(0, 0))
    await until(lambda: task.phase is Phase.FENCED)
    assert 1 == summing.released
    await task.deliver(batch(1, 1))  # dropped
    await until(lambda: broker.seeks == [0])
    await task.deliver(batch(0, 0, sought=1))
    await until(lambda: broker.committed == 1)
    assert [0] == summing.stored


async def test_a_partition_is_ours_while_nobody_has_fenced_us(task: PartitionTask, broker: Broker) -> None:
    await task.deliver(batch(0, 0))
    await until(lambda: broker.committed == 1)
    assert await task.still_ours()
    assert 1 == broker.committed
    broker.errors = [FencedError("a newer producer")]
    assert not await task.still_ours()


async def test_nothing_new_is_begun_while_quiet(task: PartitionTask, broker: Broker, summing: Summing) -> None:
    broker.commits_end.clear()
    await task.deliver(batch(0, 0))
    await task.deliver(batch(1, 1))
    await broker.commit_begun.wait()
    quiet = asyncio.create_task(task.quiesce())
    await asyncio.sleep(0.01)
    broker.commits_end.set()
    await quiet
    assert [0] == summing.stored, "the one under way has ended, the one that waited is dropped"
    await task.deliver(batch(1, 1))
    await asyncio.sleep(0.1)
    assert [0] == summing.stored


async def test_closing_ends_a_commit_under_way(task: PartitionTask, broker: Broker, summing: Summing) -> None:
    broker.commits_end.clear()
    await task.deliver(batch(0, 0))
    await broker.commit_begun.wait()
    async with asyncio.timeout(PATIENCE):
        await task.close()
    assert [] == summing.stored
    assert 1 == summing.released
    assert broker.writers[0].closed


async def test_closing_is_not_put_off_by_a_library_that_swallows_cancellations(
    task: PartitionTask, broker: Broker, summing: Summing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`asyncio.wait_for` does so until Python 3.12, when what it waits for ends at the same moment."""
    monkeypatch.setattr("engine.tasks._CANCEL_SECONDS", 0.01)
    begun = asyncio.Event()

    async def commit(*_: Any) -> dict[tuple[str, int], int]:
        begun.set()
        try:
            await asyncio.sleep(2 * PATIENCE)
        except asyncio.CancelledError:
            return {}
        return {}

    broker.writers[0].commit = commit  # type: ignore[method-assign, assignment]
    await task.deliver(batch(0, 0))
    await begun.wait()
    async with asyncio.timeout(PATIENCE):
        await task.close()


class Told:
    """A meter that remembers what it was told."""

    def __init__(self) -> None:
        self.work: list[Work] = []
        self.what: list[str] = []

    def committed(self, work: Work) -> None:
        self.work.append(work)

    def not_committed(self, topic: str, *, fenced: bool) -> None:
        self.what.append("fenced" if fenced else "failed")

    def taken_over(self, topic: str, seconds: float) -> None:
        self.what.append("taken over")

    def not_taken_over(self, topic: str) -> None:
        self.what.append("not taken over")

    def reset(self, topic: str) -> None:
        self.what.append("reset")


async def test_the_meter_is_told_of_what_was_committed_and_of_what_was_not(
    broker: Broker, summing: Summing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.partition._BACKOFF", (0.0,))
    told = Told()
    task = PartitionTask(
        EVENTS,
        summing,
        new_writer=broker.new_writer,
        committed=broker.offset,
        seek=broker.seek,
        on_fatal=broker.fatal.append,
        reclaim_after=0.01,
        meter=told,
    )
    broker.away = [KafkaConnectionError()]
    await task.take_over()
    task.resume()
    assert ["not taken over", "taken over"] == told.what
    broker.commits_end.clear()
    began = time.monotonic()
    await task.deliver(batch(0, 0, 1, 2))
    await broker.commit_begun.wait()
    await asyncio.sleep(0.05)
    broker.commits_end.set()
    await until(lambda: broker.committed == 3)
    broker.errors = [TransactionFailedError("timed out")]
    await task.deliver(batch(3, 3))
    await until(lambda: broker.seeks == [3])
    broker.errors = [FencedError("by another")]
    await task.deliver(batch(3, 3, sought=1))
    await until(lambda: broker.seeks == [3, 3])
    await task.close()
    ended = time.monotonic()

    assert ["failed", "reset", "taken over", "fenced", "reset", "taken over"] == told.what[2:]
    (work,) = told.work
    assert ("events", 3, 1) == (work.topic, work.records, work.stride)
    assert [1_790_000_000_000, 1_790_000_000_001, 1_790_000_000_002] == work.timestamps
    assert work.commit_seconds > 0.04, "which is how long it took"
    assert 0.0 <= work.fold_seconds <= ended - began - work.commit_seconds, "without the commit"


async def test_the_first_record_of_a_batch_is_under_way_until_it_is_committed(
    task: PartitionTask, broker: Broker
) -> None:
    broker.commits_end.clear()
    await task.deliver(batch(0, 7, 8))
    await until(lambda: task.under_way is not None)
    assert 1_790_000_000_007 == task.under_way
    broker.commits_end.set()
    await until(lambda: broker.committed == 9)
    await until(lambda: task.under_way is None)
    assert 1_790_000_000_008 == task.last_timestamp
