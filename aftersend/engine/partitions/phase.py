"""The states of a partition's task."""

from __future__ import annotations

import enum


class Phase(enum.Enum):
    """The state of a partition's task."""

    RUNNING = "running"
    RESTORING = "restoring"
    #: Another worker owns the partition. It is taken back if the group still assigns it to this worker.
    FENCED = "fenced"
    #: Too many records of its topic are unreadable; it waits, and is tried again.
    PAUSED = "paused"
    CLOSED = "closed"
