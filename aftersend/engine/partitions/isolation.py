"""Finding the one record that makes a transaction fail, by halving.

A transaction that fails for its content fails again, however often it is tried: the partition would stand still for
good. So the records of the failed transaction are tried again in halves, until the record is found that fails alone.
That one is set aside, to the dead letters, and the partition goes on with full batches. With `n` records
in a batch this takes about `2 * log2(n)` transactions for each such record.

Pure: the owner of the partition tries, and reports what came of it.
"""

from __future__ import annotations

from typing import NamedTuple


class Portion(NamedTuple):
    """What the next transaction holds."""

    #: Records from the beginning of what is at hand.
    records: int
    #: The only record has failed alone: it is not to be processed, but set aside.
    set_aside: bool


class FaultIsolation:
    """What is known of the records of one partition that can't be committed."""

    def __init__(self) -> None:
        #: Offsets of the first and the last record of the smallest transaction that has failed; None: none has.
        self._suspects: tuple[int, int] | None = None

    @property
    def active(self) -> bool:
        """Whether a record is being looked for."""
        return self._suspects is not None

    def portion(self, offsets: list[int]) -> Portion:
        """Return how many of some records the next transaction is to hold.

        Args:
            offsets: of the records at hand, at least one, in order.
        """
        if self._suspects is None:
            return Portion(len(offsets), set_aside=False)
        first, last = self._suspects
        if first == last == offsets[0]:
            return Portion(1, set_aside=True)
        suspects = sum(offset <= last for offset in offsets)
        return Portion(max(1, suspects // 2), set_aside=False)

    def failed(self, first: int, last: int) -> None:
        """Take note of a transaction that failed for its content.

        Args:
            first: offset of its first record.
            last: offset of its last record.
        """
        self._suspects = (first, last)

    def committed(self, last: int) -> None:
        """Take note of a transaction that went through.

        Args:
            last: offset of its last record.
        """
        if self._suspects is not None and last >= self._suspects[1]:
            self._suspects = None
