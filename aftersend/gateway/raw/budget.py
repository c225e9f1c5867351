"""Limit on the memory that request bodies take."""

from __future__ import annotations


class MemoryBudget:
    """Counts the bytes of bodies against a limit, from their arrival until Kafka acknowledges or rejects them.

    Args:
        limit: bytes.
    """

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def acquire(self, size: int) -> bool:
        """Reserve bytes; return whether they fit. If not, nothing changes."""
        if self.used + size > self.limit:
            return False
        self.used += size
        return True

    def release(self, size: int) -> None:
        """Return reserved bytes."""
        self.used -= size
