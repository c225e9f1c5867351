"""How much of what came in may be in memory at a time."""

from __future__ import annotations


class Budget:
    """Counts bytes against a limit, from their arrival until Kafka has them or they are given up.

    Args:
        limit: bytes.
    """

    __slots__ = ("held", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0

    def take(self, size: int) -> bool:
        """Hold more bytes; return whether there was room for them. If not, nothing changes."""
        if self.held + size > self.limit:
            return False
        self.held += size
        return True

    def give(self, size: int) -> None:
        """Hold so many bytes less."""
        self.held -= size
