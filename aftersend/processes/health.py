"""Liveness and readiness of a worker, by the progress that it makes.

A worker is not alive when for `stall_seconds` a partition had records to process and committed nothing, a restore read
nothing, the group gave no assignment, or the Kafka thread did not answer. A worker without work is alive: its topic is
idle, or its broker is unreachable while nothing is in flight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from aftersend.engine.partitions.health import WorkerHealth
from aftersend.engine.partitions.phase import Phase

#: A paused partition's state is there to be read, and a replacement would pause as well.
_SERVING: Final = frozenset({Phase.RUNNING.value, Phase.PAUSED.value})


class HealthReport(msgspec.Struct):
    """The answer to a probe."""

    ok: bool
    #: Why it is not ok; "": it is.
    reason: str
    body: dict[str, Any]


class StallDetector:
    """Tracks for how long each part of a worker has made no progress.

    Args:
        limit: seconds without progress after which the worker is not alive.
        now: a monotonic clock, seconds.
    """

    def __init__(self, limit: float, now: Callable[[], float]) -> None:
        self._limit = limit
        self._now = now
        #: By part: its progress, and since when it is the same.
        self._parts: dict[str, tuple[Any, float]] = {}

    def live(self, worker: WorkerHealth) -> HealthReport:
        """Return whether the worker is alive, compared with the calls before."""
        now = self._now()
        parts: dict[str, tuple[Any, float]] = {}

        def stalled_for(name: str, progress: object) -> float:
            """Return for how many seconds a part has made no progress."""
            known = self._parts.get(name)
            since = known[1] if known is not None and known[0] == progress else now
            parts[name] = progress, since
            return now - since

        reasons = []
        if worker.restoring and (seconds := stalled_for("restore", worker.restored)) > self._limit:
            reasons.append(f"the restore of {', '.join(worker.restoring)} has read nothing for {seconds:.0f} s")
        if not worker.assigned and not worker.restoring and (seconds := stalled_for("group", "")) > self._limit:
            reasons.append(f"no assignment from the group for {seconds:.0f} s")
        if worker.answered < worker.asked and (seconds := stalled_for("thread", worker.answered)) > self._limit:
            reasons.append(f"the thread that talks to Kafka has not answered for {seconds:.0f} s")
        stalled = {}
        for p in worker.partitions:
            name = f"{p.topic}-{p.partition}"
            # A pause is meant: a restart would end in the same.
            works = p.has_work and p.phase != Phase.PAUSED.value
            stalled[name] = stalled_for(name, p.position) if works else 0.0
            if stalled[name] > self._limit:
                reasons.append(f"{name} has {p.lag} records to go and committed nothing for {stalled[name]:.0f} s")
        self._parts = parts
        return HealthReport(not reasons, "; ".join(reasons), _body(worker, stalled))


def ready(worker: WorkerHealth) -> HealthReport:
    """Return whether the worker has taken over all its partitions."""
    reasons = []
    if worker.restoring:
        reasons.append(f"taking over {', '.join(worker.restoring)}")
    elif not worker.assigned:
        reasons.append("waiting for an assignment from the group")
    reasons += [f"{p.topic}-{p.partition} is {p.phase}" for p in worker.partitions if p.phase not in _SERVING]
    return HealthReport(not reasons, "; ".join(reasons), _body(worker, {}))


def _body(worker: WorkerHealth, stalled: dict[str, float]) -> dict[str, Any]:
    return {
        "assigned": worker.assigned,
        "restoring": worker.restoring,
        "partitions": {
            f"{p.topic}-{p.partition}": {
                "phase": p.phase,
                "position": p.position,
                "lag": p.lag,
                "seconds_since_commit": round(p.since_commit, 1),
                "stalled_seconds": round(stalled.get(f"{p.topic}-{p.partition}", 0.0), 1),
            }
            for p in worker.partitions
        },
    }
