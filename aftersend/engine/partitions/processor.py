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

        An exception is taken for the fault of one of the records: they are tried again in smaller batches until the
        one is found that fails alone, which `set_aside` gets. Errors that concern the whole worker are
        `AftersendError`, `TransactionFailedError` or `OSError`.

        Called without a break, so this must not block and should not take longer than some 100 ms.
        """

    @abc.abstractmethod
    def set_aside(self, state: State, batch: Batch, error: Exception, output: Output) -> Pending:
        """Write the only record of a batch to the dead letters instead of processing it.

        Called for a record that fails alone, whether in `process` or at the broker.

        Args:
            state: of the partition.
            batch: one record.
            error: what it fails with.
            output: to be filled.

        Returns:
            What `process` would return.
        """

    def discard(self, state: State) -> None:
        """Throw away what a batch left in caches whose processing raised; nothing of it was committed."""

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
