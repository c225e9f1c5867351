"""Measures how a worker stands: phases, positions and lag of its partitions, and whether its Kafka thread responds."""

from __future__ import annotations

import time
from collections.abc import Callable

from aftersend.engine import changelog
from aftersend.engine.faust.app import WorkerApp
from aftersend.engine.faust.consumer_thread import ConsumerThread, FetchOffsets
from aftersend.engine.partitions.health import PartitionHealth, WorkerHealth
from aftersend.engine.partitions.phase import Phase
from aftersend.engine.partitions.task import PartitionTask


class HealthProbe:
    """Measures a worker's app.

    Args:
        app: returns the app, None before it exists.
    """

    def __init__(self, app: Callable[[], WorkerApp | None]) -> None:
        self._app = app
        self._asked = self._answered = 0

    def measure(self) -> WorkerHealth:
        """Return how the worker stands now."""
        app = self._app()
        if app is None:
            return WorkerHealth(assigned=False, restoring=[], restored=0, answered=0, asked=0, partitions=[])
        thread = _thread(app)
        self._ping(thread)
        partitions = app.partitions
        now = time.monotonic()
        restoring = [f"{tp.topic}-{tp.partition}" for tp in sorted(partitions.restoring)]
        restoring += [f"{tp.topic}-{tp.partition}" for tp, t in partitions.tasks.items() if t.phase is Phase.RESTORING]
        found = []
        for tp, task in sorted(partitions.tasks.items()):
            partition = PartitionHealth(tp.topic, tp.partition, task.phase.value, task.position)
            partition.since_commit = now - task.progress_at
            offsets = thread.offsets(tp) if thread is not None else FetchOffsets()
            partition.delivered, partition.fetched, partition.end = offsets
            partition.lag_seconds = lag_seconds(task, partition)
            found.append(partition)
        return WorkerHealth(partitions.ready, restoring, changelog.progress.records, self._answered, self._asked, found)

    def _ping(self, thread: ConsumerThread | None) -> None:
        """Ping the Kafka thread; its answer counts in the next measurement."""
        if thread is None or self._asked > self._answered:
            return
        self._asked += 1
        if not thread.ping(self._on_answer):  # the worker is about to end
            self._on_answer()

    def _on_answer(self) -> None:
        self._answered += 1


def lag_seconds(task: PartitionTask, partition: PartitionHealth) -> float:
    """Return the age of the oldest record that waits; an upper bound where its own timestamp is not known."""
    if task.inflight_timestamp is not None:
        since = task.inflight_timestamp
    elif not partition.has_work:
        return 0.0
    elif task.last_timestamp is None:
        return partition.since_commit
    else:
        since = task.last_timestamp
    return max(0.0, time.time() - since / 1000)


def _thread(app: WorkerApp) -> ConsumerThread | None:
    """Return the Kafka thread, None before it exists."""
    thread: ConsumerThread | None = getattr(getattr(app, "consumer", None), "thread", None)
    return thread
