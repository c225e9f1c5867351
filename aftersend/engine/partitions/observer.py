"""What a worker's partitions tell of their work, once for each batch; `publish` makes metrics of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class CommittedBatch(msgspec.Struct, gc=False):
    """A batch whose transaction has been committed."""

    topic: str
    records: int
    #: Kafka timestamps of some of its records, evenly spread, in milliseconds: each stands for itself and those that
    #: follow it before the next one.
    timestamps: Sequence[int]
    #: So many records each of them stands for, the last one for what is left.
    stride: int
    #: How long it was computed on, and how long its transaction took, seconds.
    fold_seconds: float
    commit_seconds: float


class BatchObserver(Protocol):
    """Counts; called between two awaits, so it must be quick and must not raise."""

    def committed(self, work: CommittedBatch) -> None:
        """Count a batch, and its transaction."""

    def transaction_failed(self, topic: str, *, fenced: bool) -> None:
        """Count a transaction that failed; `fenced`: since another worker has the partition."""

    def taken_over(self, topic: str, seconds: float) -> None:
        """Count a partition that was taken over, and how long that took."""

    def take_over_failed(self, topic: str) -> None:
        """Count an attempt at it that failed."""

    def reset(self, topic: str) -> None:
        """Count a partition whose memory was dropped."""


class NullBatchObserver(BatchObserver):
    """Counts nothing."""

    def committed(self, work: CommittedBatch) -> None:
        """Do nothing."""

    def transaction_failed(self, topic: str, *, fenced: bool) -> None:
        """Do nothing."""

    def taken_over(self, topic: str, seconds: float) -> None:
        """Do nothing."""

    def take_over_failed(self, topic: str) -> None:
        """Do nothing."""

    def reset(self, topic: str) -> None:
        """Do nothing."""
