"""One partition's owner, with a broker that does as it is told."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from aftersend.engine.partitions.batch import Batch
from aftersend.engine.partitions.observer import CommittedBatch
from aftersend.engine.partitions.phase import Phase
from aftersend.engine.partitions.start import LogBounds, OffsetSlip, Slip, StartFinder
from aftersend.engine.partitions.task import PartitionTask
from aftersend.errors import (
    FencedError,
    TransactionFailedError,
    TransactionRejectedError,
)
from tests.patience import PATIENCE
from tests.unit.engine.partitions.fakes import EVENTS, Broker, Summing, batch, until


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def summing() -> Summing:
    return Summing()


@pytest.fixture
async def task(broker: Broker, summing: Summing, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("aftersend.engine.partitions.task._BACKOFF_SECONDS", (0.0,))
    task = PartitionTask(
        EVENTS,
        summing,
        new_writer=broker.new_writer,
        starts=StartFinder(broker.offset, broker.position, broker.bounds, broker.is_recreated, broker.slipped),
        write_position=broker.write_position,
        seek=broker.seek,
        stop_fetching=broker.stopped.append,
        start_fetching=broker.started.append,
        on_fatal=broker.fatal.append,
        reclaim_after=0.05,
    )
    await task.take_over()
    task.resume()
    yield task
    await task.close()


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
    for one in (batch(1, 1, 2, seek_epoch=1), batch(5, 5), batch(3, 3, seek_epoch=1)):
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
    await task.deliver(batch(0, 0, 1, seek_epoch=1))
    await until(lambda: broker.seeks == [1])
    await task.deliver(batch(1, 1, seek_epoch=2))
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
    await task.deliver(batch(1, 1, seek_epoch=1))
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
    assert ["a disk is full"] == [str(error) for error in broker.fatal]
    assert Phase.CLOSED is task.phase
    # Nobody waits for it.
    await task.deliver(batch(0, 0))
    await task.quiesce()


async def test_a_record_that_cannot_be_processed_is_found_and_set_aside(
    task: PartitionTask, broker: Broker, summing: Summing
) -> None:
    summing.bad = {5}
    await task.deliver(batch(0, *range(8)))
    await task.deliver(batch(8, 8, 9))
    await until(lambda: broker.committed == 10)

    assert [0, 1, 2, 3, 4, 6, 7, 8, 9] == summing.stored
    assert [5] == summing.set_aside_offsets
    assert ["can't do with {5}"] == [str(error) for error in summing.errors]
    assert summing.discarded > 0, "whatever a failed batch left in caches is thrown away"
    assert ([], 1, []) == (broker.seeks, summing.restored, broker.fatal), "nothing was sent, so nothing is restored"


async def test_a_record_that_the_broker_refuses_is_found_and_set_aside(
    task: PartitionTask, broker: Broker, summing: Summing
) -> None:
    """Only the broker knows that it is too large for its topic: then each failed transaction costs a restore."""

    def deliver_again(seek_epoch: int) -> Batch:
        return batch(broker.committed, *range(broker.committed, 4), seek_epoch=seek_epoch)

    refused = TransactionRejectedError("MessageSizeTooLargeError")
    # The batch of four; 0 and 1 go through; 2 alone does not.
    broker.errors = [refused, None, refused]
    await task.deliver(deliver_again(0))
    await until(lambda: broker.seeks == [0])
    await task.deliver(deliver_again(1))
    await until(lambda: broker.seeks == [0, 2])
    await task.deliver(deliver_again(2))
    await until(lambda: broker.committed == 4)

    assert [0, 1, 3] == summing.stored
    assert [2] == summing.set_aside_offsets
    assert [refused] == summing.errors
    assert [] == broker.fatal


@pytest.mark.parametrize("ended_by", ["time", "operator"])
async def test_a_paused_partition_is_tried_again(
    task: PartitionTask, broker: Broker, summing: Summing, ended_by: str
) -> None:
    summing.pauses = [0.05 if ended_by == "time" else PATIENCE * 10]
    await task.deliver(batch(0, 0))
    await until(lambda: broker.stopped == [EVENTS])
    if ended_by == "operator":
        assert Phase.PAUSED is task.phase
        await task.deliver(batch(1, 1))
        task.end_pause()
    await until(lambda: broker.seeks == [0])

    await task.deliver(batch(0, 0, 1, seek_epoch=1))
    await until(lambda: broker.committed == 2)
    assert [EVENTS] == broker.started
    assert ([0, 1], 1, []) == (summing.stored, summing.restored, broker.fatal)


async def test_a_paused_partition_can_be_let_go(task: PartitionTask, broker: Broker, summing: Summing) -> None:
    summing.pauses = [PATIENCE * 10]
    await task.deliver(batch(0, 0))
    await until(lambda: task.phase is Phase.PAUSED)
    assert not await task.verify_ownership()
    await task.close()
    assert Phase.CLOSED is task.phase


async def test_an_error_of_a_restore_ends_the_worker(task: PartitionTask, broker: Broker, summing: Summing) -> None:
    async def restore(*_: Any) -> dict[str, Any]:
        raise ValueError("a changelog that can't be read")

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
    await task.deliver(batch(0, 0, seek_epoch=1))
    await until(lambda: broker.committed == 1)
    assert [0] == summing.stored


async def test_a_partition_is_ours_while_nobody_has_fenced_us(task: PartitionTask, broker: Broker) -> None:
    await task.deliver(batch(0, 0))
    await until(lambda: broker.committed == 1)
    assert await task.verify_ownership()
    assert 1 == broker.committed
    broker.errors = [FencedError("a newer producer")]
    assert not await task.verify_ownership()


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
    monkeypatch.setattr("aftersend.engine.tasks._RETRY_SECONDS", 0.01)
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
    """A observer that remembers what it was told."""

    def __init__(self) -> None:
        self.work: list[CommittedBatch] = []
        self.what: list[str] = []

    def committed(self, work: CommittedBatch) -> None:
        self.work.append(work)

    def transaction_failed(self, topic: str, *, fenced: bool) -> None:
        self.what.append("fenced" if fenced else "failed")

    def taken_over(self, topic: str, seconds: float) -> None:
        self.what.append("taken over")

    def take_over_failed(self, topic: str) -> None:
        self.what.append("not taken over")

    def reset(self, topic: str) -> None:
        self.what.append("reset")

    def slipped(self, topic: str, slip: Slip) -> None:
        self.what.append(slip.kind.value)


async def test_the_meter_is_told_of_what_was_committed_and_of_what_was_not(
    broker: Broker, summing: Summing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aftersend.engine.partitions.task._BACKOFF_SECONDS", (0.0,))
    told = Told()
    task = PartitionTask(
        EVENTS,
        summing,
        new_writer=broker.new_writer,
        starts=StartFinder(broker.offset, broker.position, broker.bounds, broker.is_recreated, broker.slipped),
        write_position=broker.write_position,
        seek=broker.seek,
        stop_fetching=broker.stopped.append,
        start_fetching=broker.started.append,
        on_fatal=broker.fatal.append,
        reclaim_after=0.01,
        observer=told,
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
    await task.deliver(batch(3, 3, seek_epoch=1))
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
    await until(lambda: task.inflight_timestamp is not None)
    assert 1_790_000_000_007 == task.inflight_timestamp
    broker.commits_end.set()
    await until(lambda: broker.committed == 9)
    await until(lambda: task.inflight_timestamp is None)
    assert 1_790_000_000_008 == task.last_timestamp


async def test_each_transaction_holds_the_position_after_it(task: PartitionTask, broker: Broker) -> None:
    for one in (batch(0, 0, 1), batch(2, 2), batch(3, 7, 9)):
        await task.deliver(one)
    await until(lambda: broker.committed == 10)
    assert [("events", 0, 2), ("events", 0, 3), ("events", 0, 10)] == broker.positions


async def test_a_group_that_was_set_back_is_not_followed(task: PartitionTask, broker: Broker, summing: Summing) -> None:
    await task.deliver(batch(0, 0, 1, 2))
    await until(lambda: broker.committed == 3)
    broker.committed, broker.written = 0, 3
    broker.errors = [TransactionFailedError("timed out")]
    await task.deliver(batch(3, 3))
    await until(lambda: broker.seeks == [3])
    assert [("events", Slip(OffsetSlip.SET_BACK, 3))] == broker.slips
    assert 3 == broker.committed, "the group's offset is set right at once"
    await task.deliver(batch(3, 3, seek_epoch=1))
    await until(lambda: broker.committed == 4)
    assert [0, 1, 2, 3] == summing.stored


async def test_records_that_were_deleted_under_a_worker_are_counted(
    task: PartitionTask, broker: Broker, summing: Summing
) -> None:
    await task.deliver(batch(0, 0))
    await until(lambda: broker.committed == 1)
    broker.log = LogBounds(10, 20)
    await task.deliver(batch(None, 10, 11))
    await until(lambda: broker.seeks == [10])
    assert [("events", Slip(OffsetSlip.DELETED, 9))] == broker.slips
    await task.deliver(batch(10, 10, 11, seek_epoch=1))
    await until(lambda: broker.committed == 12)
    assert [0, 10, 11] == summing.stored
