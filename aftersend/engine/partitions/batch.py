"""All records that one fetch brought for a partition."""

from __future__ import annotations

from typing import Final

from aftersend.engine.aiokafka.records import FetchedRecord

#: A batch with twice as many records or more shows only some of its timestamps.
_TIMESTAMPS: Final = 128


class Batch:
    """All records that one fetch brought for a partition."""

    __slots__ = ("base", "next_offset", "records", "seek_epoch")

    def __init__(self, base: int | None, records: list[FetchedRecord], seek_epoch: int = 0) -> None:
        """Wrap records.

        Args:
            base: the position at which the consumer stood before; None if it stood at none that was ever set.
            records: at least one, in order.
            seek_epoch: number of the last seek of this partition before.
        """
        self.base = base
        self.seek_epoch = seek_epoch
        self.records = records
        self.next_offset = records[-1].offset + 1

    def timestamps(self) -> tuple[list[int], int]:
        """Return the Kafka timestamps of evenly spread records, and how many records each stands for.

        All of a small batch, some hundred of a large one: neighbours came at about the same time, and every record
        that is looked at costs.
        """
        stride = len(self.records) // _TIMESTAMPS or 1
        return [record.timestamp for record in self.records[::stride]], stride

    def split(self, count: int) -> tuple[Batch, Batch | None]:
        """Return a batch of the first records, and one of the rest; None: there is none.

        Args:
            count: of the first one's records, at least 1.
        """
        if count >= len(self.records):
            return self, None
        first = Batch(self.base, self.records[:count], self.seek_epoch)
        return first, Batch(first.next_offset, self.records[count:], self.seek_epoch)

    def consume(self) -> int:
        """Let go of the records, which nobody wants while the transaction commits; return how many there were."""
        count = len(self.records)
        self.records.clear()
        return count
