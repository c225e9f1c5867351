"""Runs a processor on portions of a batch while a record is searched that makes a transaction fail."""

from __future__ import annotations

from typing import Any, NamedTuple

import structlog
from faust.types import TP

from aftersend.engine.partitions.batch import Batch
from aftersend.engine.partitions.isolation import FaultIsolation
from aftersend.engine.partitions.processor import Processor, run_processor
from aftersend.engine.transaction import Output
from aftersend.errors import ContentError

log = structlog.get_logger(__name__)


class BatchPortion(NamedTuple):
    """The records of the next transaction, and those that follow."""

    batch: Batch
    #: None: there are no more.
    rest: Batch | None
    #: The only record has failed alone: it goes to the dead letters.
    set_aside: bool


class PortionProcessor:
    """A processor of one partition with the isolation of records that it, or the broker, can't accept.

    Args:
        tp: the source partition.
        processor: processes its batches.
    """

    def __init__(self, tp: TP, processor: Processor[Any, Any]) -> None:
        self._tp = tp
        self._processor = processor
        self._isolation = FaultIsolation()
        #: Error of the last transaction that failed for its content.
        self._error: Exception = ContentError("nothing has failed yet")

    def split(self, batch: Batch) -> BatchPortion:
        """Return the portion for the next transaction: the whole batch unless a record is being searched."""
        if not self._isolation.active:
            return BatchPortion(batch, None, set_aside=False)
        count, set_aside = self._isolation.portion([record.offset for record in batch.records])
        first, rest = batch.split(count)
        return BatchPortion(first, rest, set_aside)

    def process(self, state: Any, batch: Batch, output: Output, *, set_aside: bool) -> Any:
        """Return the processor's result for a portion.

        Raises:
            ContentError: if a record makes it fail. Nothing was sent.
        """
        return run_processor(self._processor, state, batch, output, self._error if set_aside else None)

    def failed(self, first: int, last: int, error: Exception) -> None:
        """Record that a transaction with the offsets from `first` to `last` has failed for its content."""
        self._isolation.failed(first, last)
        cause = error.__cause__
        # The dead letter names the original error.
        self._error = cause if type(error) is ContentError and isinstance(cause, Exception) else error
        log.warning(
            "a transaction failed for its content; it is tried again in smaller parts"
            if first < last
            else "a record can't be processed and goes to the dead letters",
            topic=self._tp.topic,
            partition=self._tp.partition,
            first_offset=first,
            last_offset=last,
            error=str(error),
        )

    def committed(self, last: int) -> None:
        """Record a committed transaction; `last`: the offset of its last record."""
        self._isolation.committed(last)
