"""The consumer's thread where aiokafka needs looking after; all else is tried on a real broker."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.errors import KafkaError

from aftersend.engine.faust.consumer import NoReadOffsets
from aftersend.engine.faust.consumer_thread import ConsumerThread
from aftersend.engine.partitions.batch import Batch

TICKS = 3


class Thread:
    """What the watch sees of its thread."""

    def __init__(self, consumer: Any) -> None:
        self.consumer = consumer
        self.slept = 0

    @property
    def should_stop(self) -> bool:
        return self.slept >= TICKS

    async def sleep(self, _seconds: float) -> None:
        self.slept += 1
        await asyncio.sleep(0)

    def _ensure_consumer(self) -> Any:
        return self.consumer


class Coordinator:
    def __init__(self, errors: list[Exception]) -> None:
        self.errors = errors
        self._coordination_task = asyncio.get_running_loop().create_future()

    def check_errors(self) -> None:
        if self.errors:
            raise self.errors.pop(0)


def consumer(coordinator: Coordinator, task: Any) -> Any:
    return SimpleNamespace(
        _closed=False,
        _coordinator=coordinator,
        _client=SimpleNamespace(_sync_task=task),
        _fetcher=SimpleNamespace(_fetch_task=None),
    )


async def heed(thread: Thread) -> None:
    watch = cast("Any", ConsumerThread._check_background_tasks)
    await getattr(watch, "fun", watch)(thread)


async def _endless() -> None:
    await asyncio.sleep(60.0)


async def _broken() -> None:
    raise RuntimeError("unable to perform operation")


async def test_an_error_of_the_groups_is_taken_note_of() -> None:
    """The coordination waits for that, and then joins again."""
    coordinator = Coordinator([KafkaError("unexpected")])
    task = asyncio.ensure_future(_endless())
    thread = Thread(consumer(coordinator, task))
    await heed(thread)
    assert ([], TICKS) == (coordinator.errors, thread.slept)
    task.cancel()


async def test_a_coordination_that_has_ended_ends_the_worker() -> None:
    coordinator = Coordinator([KafkaError("unexpected")])
    coordinator._coordination_task.set_result(None)
    with pytest.raises(KafkaError):
        await heed(Thread(consumer(coordinator, None)))


async def test_a_task_of_aiokafkas_that_has_died_ends_the_worker() -> None:
    """Else the worker would neither read nor be a member of its group, and say nothing."""
    task = asyncio.ensure_future(_broken())
    await asyncio.wait({task})
    with pytest.raises(RuntimeError):
        await heed(Thread(consumer(Coordinator([]), task)))


def test_faust_forgets_what_it_has_read() -> None:
    read = NoReadOffsets()
    partition: Any = ("events", 0)
    read[partition] = 17
    assert read[partition] is None


@pytest.mark.parametrize("records, stride, looked_at", [(1, 1, 1), (255, 1, 255), (256, 2, 128), (5000, 39, 129)])
def test_a_large_batch_shows_some_of_its_timestamps(records: int, stride: int, looked_at: int) -> None:
    """Each stands for as many records, so together they stand for all."""
    made: list[Any] = [SimpleNamespace(offset=n, timestamp=n) for n in range(records)]
    batch = Batch(0, made)
    timestamps, step = batch.timestamps()
    assert (stride, looked_at) == (step, len(timestamps))
    assert [n * stride for n in range(looked_at)] == timestamps
    assert (looked_at - 1) * stride < records <= looked_at * stride
