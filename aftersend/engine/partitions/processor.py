"""Interface between the engine and an agent: how a batch becomes state and output."""

from __future__ import annotations

import abc
from typing import Any, Generic, TypeVar

from aftersend.engine.partitions.batch import Batch
from aftersend.engine.transaction import Output
from aftersend.engine.types import OwnerEpoch, Partition
from aftersend.errors import AftersendError, ContentError, SourcePausedError, TransactionFailedError

State = TypeVar("State")
Pending = TypeVar("Pending")


class Processor(abc.ABC, Generic[State, Pending]):
    """Processes the batches of one topic's partitions.

    The engine calls `restore` when a partition is taken over, after its former owner was fenced. For each batch it
    calls `process`, and `committed` when the batch's transaction was committed. If the transaction fails, it calls
    `release` and `restore` instead. So `process` must not change the state, except for caches of committed data.
    """

    #: Name of the agent in transactional ids and logs. Must never change: a new owner fences the former one by it.
    name: str

    @abc.abstractmethod
    async def restore(self, topic: str, partition: int, epoch: OwnerEpoch) -> State:
        """Return the state of a partition as it was last committed.

        Args:
            topic: the source topic.
            partition: of the source topic.
            epoch: producer id and epoch of this owner, larger than those of all former owners.
        """

    @abc.abstractmethod
    def process(self, state: State, batch: Batch, output: Output) -> Pending:
        """Process a batch: fill the output, return the changes that `committed` applies.

        Runs synchronously in the event loop, so it must not block and should take 100 ms at most.

        An exception is attributed to one of the records: they are tried again in smaller batches until the record is
        found that fails alone, and `set_aside` gets that one. Errors of the whole worker are `AftersendError`,
        `TransactionFailedError` or `OSError`.
        """

    @abc.abstractmethod
    def set_aside(self, state: State, batch: Batch, error: Exception, output: Output) -> Pending:
        """Write the only record of a batch to the dead letters instead of processing it.

        Called for a record that fails alone, in `process` or at the broker.

        Args:
            state: of the partition.
            batch: one record.
            error: the error of the record.
            output: to be filled.

        Returns:
            What `process` would return.
        """

    def discard(self, state: State) -> None:
        """Drop what a batch left in caches whose processing raised; nothing of it was committed."""

    @abc.abstractmethod
    def committed(self, state: State, pending: Pending, ends: dict[Partition, int], next_offset: int) -> None:
        """Apply and publish a committed batch.

        Args:
            state: of the partition.
            pending: the result of `process`.
            ends: by output partition, the offset after the last record written.
            next_offset: offset of the source partition after the batch.
        """

    @abc.abstractmethod
    def release(self, state: State) -> None:
        """Free the state of a partition that has another owner now, or is about to be restored."""

    def describe(self, state: State) -> dict[str, Any]:  # noqa: ARG002 - for those that have something to log
        """Return fields of a partition's state for the log."""
        return {}


def run_processor(
    processor: Processor[State, Pending], state: State, batch: Batch, output: Output, failed_with: Exception | None
) -> Pending:
    """Return a processor's result for a batch.

    Args:
        processor: of the partition.
        state: of the partition.
        batch: to process.
        output: to fill.
        failed_with: error of the batch's only record, which is set aside for it; None: the batch is processed.

    Raises:
        ContentError: if a record makes it fail. Nothing was sent.
    """
    try:
        if failed_with is not None:
            return processor.set_aside(state, batch, failed_with, output)
        return processor.process(state, batch, output)
    except (AftersendError, SourcePausedError, TransactionFailedError, OSError):
        raise  # a failure of the worker or the store, not of a record
    except Exception as error:
        processor.discard(state)
        if failed_with is not None or isinstance(error, ContentError):
            raise
        raise ContentError(f"{type(error).__name__}: {error}") from error
