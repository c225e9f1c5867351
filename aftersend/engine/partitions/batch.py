"""All records that one fetch returned for a partition."""

from __future__ import annotations

from typing import Final

from aftersend.engine.aiokafka.records import FetchedRecord

#: Timestamps that a large batch gives at least: enough for a histogram of ages, few enough to cost nothing.
_TIMESTAMPS: Final = 128


class Batch:
    """Records of one partition, with their place in the order of fetches and seeks.

    Args:
        start: position of the consumer before the fetch; None: before its first seek.
        records: at least one, in order.
        seek_epoch: number of the last seek of the partition before the fetch.
    """

    __slots__ = ("next_offset", "records", "seek_epoch", "start")

    def __init__(self, start: int | None, records: list[FetchedRecord], seek_epoch: int = 0) -> None:
        self.start = start
        self.seek_epoch = seek_epoch
        self.records = records
        self.next_offset = records[-1].offset + 1

    def timestamps(self) -> tuple[list[int], int]:
        """Return the Kafka timestamps of evenly spaced records, and the number of records that each stands for.

        All timestamps of a small batch, some hundred of a large one: neighbours have nearly the same, and every record
        costs.
        """
        stride = len(self.records) // _TIMESTAMPS or 1
        return [record.timestamp for record in self.records[::stride]], stride

    def split(self, count: int) -> tuple[Batch, Batch | None]:
        """Return a batch of the first records, and one of the rest; None: there is no rest.

        Args:
            count: number of the first records, at least 1.
        """
        if count >= len(self.records):
            return self, None
        first = Batch(self.start, self.records[:count], self.seek_epoch)
        return first, Batch(first.next_offset, self.records[count:], self.seek_epoch)

    def drop_records(self) -> int:
        """Free the records, which are not needed while the transaction commits; return how many there were."""
        count = len(self.records)
        self.records.clear()
        return count
