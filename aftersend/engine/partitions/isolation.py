"""Finding the record that makes a transaction fail, by bisection.

A transaction that fails for its content fails again at every retry: the partition would stall for good. So the records
of the failed transaction are tried again in halves, until the record is found that fails alone. That one is set aside,
to the dead letters, and the partition continues with full batches. With `n` records in a batch this takes about
`2 * log2(n)` transactions for each such record.

Pure: the owner of the partition runs the transactions and reports their results.
"""

from __future__ import annotations

from typing import NamedTuple


class Portion(NamedTuple):
    """The content of the next transaction."""

    #: Number of records, from the first one that is left.
    records: int
    #: The only record has failed alone: it is set aside instead of processed.
    set_aside: bool


class FaultIsolation:
    """State of the search for a record of one partition that can't be committed."""

    def __init__(self) -> None:
        #: Offsets of the first and the last record of the smallest failed transaction; None: none has failed.
        self._suspects: tuple[int, int] | None = None

    @property
    def active(self) -> bool:
        """Whether a record is being searched."""
        return self._suspects is not None

    def portion(self, offsets: list[int]) -> Portion:
        """Return how many of the records that are left the next transaction takes.

        Args:
            offsets: of the records that are left, at least one, in order.
        """
        if self._suspects is None:
            return Portion(len(offsets), set_aside=False)
        first, last = self._suspects
        if first == last == offsets[0]:
            return Portion(1, set_aside=True)
        suspects = sum(offset <= last for offset in offsets)
        return Portion(max(1, suspects // 2), set_aside=False)

    def failed(self, first: int, last: int) -> None:
        """Record a transaction that failed for its content.

        Args:
            first: offset of its first record.
            last: offset of its last record.
        """
        self._suspects = (first, last)

    def committed(self, last: int) -> None:
        """Record a committed transaction.

        Args:
            last: offset of its last record.
        """
        if self._suspects is not None and last >= self._suspects[1]:
            self._suspects = None
