"""Interface between the engine and its metrics: one call for each batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from aftersend.engine.partitions.start import Slip


class CommittedBatch(msgspec.Struct, gc=False):
    """A batch whose transaction was committed."""

    topic: str
    records: int
    #: Kafka timestamps of some of its records, evenly spaced, milliseconds since 1970. Each stands for itself and the
    #: records up to the next one.
    timestamps: Sequence[int]
    #: Number of records that each timestamp stands for; the last one stands for the remainder.
    stride: int
    #: Time to process the batch, and to commit its transaction, seconds.
    fold_seconds: float
    commit_seconds: float


class BatchObserver(Protocol):
    """Counts what happens to partitions. Called synchronously on the hot path: must be quick and must not raise."""

    def committed(self, batch: CommittedBatch) -> None:
        """Count a batch and its transaction."""

    def transaction_failed(self, topic: str, *, fenced: bool) -> None:
        """Count a failed transaction; `fenced`: another worker owns the partition."""

    def taken_over(self, topic: str, seconds: float) -> None:
        """Count a completed take-over and its duration."""

    def take_over_failed(self, topic: str) -> None:
        """Count a failed attempt to take a partition over."""

    def reset(self, topic: str) -> None:
        """Count a partition whose memory was dropped."""

    def slipped(self, topic: str, slip: Slip) -> None:
        """Count the offsets of a partition that does not go on where its consumer group stands."""


class NullBatchObserver(BatchObserver):
    """Counts nothing."""

    def committed(self, batch: CommittedBatch) -> None:
        """Do nothing."""

    def transaction_failed(self, topic: str, *, fenced: bool) -> None:
        """Do nothing."""

    def taken_over(self, topic: str, seconds: float) -> None:
        """Do nothing."""

    def take_over_failed(self, topic: str) -> None:
        """Do nothing."""

    def reset(self, topic: str) -> None:
        """Do nothing."""

    def slipped(self, topic: str, slip: Slip) -> None:
        """Do nothing."""
