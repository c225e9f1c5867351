"""State of a worker's partitions, as health checks and metrics read it."""

from __future__ import annotations

import msgspec


class PartitionHealth(msgspec.Struct):
    """State of one partition."""

    topic: str
    partition: int
    phase: str
    #: Offset of the next record to fold.
    position: int | None
    #: Offset after the last record that the consumer has delivered.
    delivered: int | None = None
    #: Offset of the next record to fetch.
    fetched: int | None = None
    #: Offset after the last committed record of the partition.
    end: int | None = None
    #: Seconds since the last commit, or since the partition was taken over.
    since_commit: float = 0.0
    #: Age of the oldest record that is not folded, by its Kafka timestamp, seconds; 0.0 if there is none.
    lag_seconds: float = 0.0

    @property
    def has_work(self) -> bool:
        """Whether there are records that are not folded."""
        if self.position is None:
            return False
        waiting = self.delivered is not None and self.delivered > self.position
        # The position is not compared with the end: transaction markers, which are not folded, lie between the two.
        return waiting or (self.fetched is not None and self.end is not None and self.fetched < self.end)

    @property
    def lag(self) -> int:
        """Number of records that are not folded, transaction markers included."""
        if not self.has_work or self.position is None:
            return 0
        return max(self.end or 0, self.delivered or 0) - self.position


class WorkerHealth(msgspec.Struct):
    """State of one worker."""

    #: The group has assigned partitions, and all of them are taken over.
    assigned: bool
    #: Partitions that are being taken over.
    restoring: list[str]
    #: Records that restores of this process have read so far.
    restored: int
    #: Liveness checks of the consumer's thread: answered, and made.
    answered: int
    asked: int
    partitions: list[PartitionHealth]
