"""What an agent does with a batch, as the engine sees it."""

from __future__ import annotations

import abc
from typing import Any, Generic, TypeVar

from aftersend.engine.partitions.batch import Batch
from aftersend.engine.transaction import Output

State = TypeVar("State")
Pending = TypeVar("Pending")


class Processor(abc.ABC, Generic[State, Pending]):
    """Folds the batches of one topic's partitions into state and output.

    The engine calls `restore` once when a partition is taken over (its former owner is fenced by then), then for each
    batch `process` and, when the batch's transaction has been committed, `committed`. If the transaction fails,
    `release` and a fresh `restore` follow instead: so `process` must not change what `restore` has returned, except
    for what is a cache of committed things.
    """

    #: Names the agent in transactional ids and logs; never changed once in production.
    name: str

    @abc.abstractmethod
    async def restore(self, topic: str, partition: int, epoch: tuple[int, int]) -> State:
        """Return the state of a partition as it was last committed.

        Args:
            topic: the source topic.
            partition: of the source topic.
            epoch: producer id and epoch of this ownership, larger than those of all owners before.
        """

    @abc.abstractmethod
    def process(self, state: State, batch: Batch, output: Output) -> Pending:
        """Fold a batch: fill the output, return what `committed` has to make visible.

        Called without a break, so this must not block and should not take longer than some 100 ms. What is wrong with
        a record must not raise; an exception stops the worker.
        """

    @abc.abstractmethod
    def committed(self, state: State, pending: Pending, ends: dict[tuple[str, int], int], next_offset: int) -> None:
        """Make a committed batch visible.

        Args:
            state: of the partition.
            pending: what `process` returned.
            ends: by output partition, the offset after the last record written.
            next_offset: of the source partition, after the batch.
        """

    @abc.abstractmethod
    def release(self, state: State) -> None:
        """Let go of a partition's state: it has another owner now, or is going to be restored."""

    def describe(self, state: State) -> dict[str, Any]:  # noqa: ARG002 - for those that have something to tell
        """Return what an operator may want to know of a partition's state."""
        return {}
