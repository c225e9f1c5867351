"""Whether this worker is ready, and whether it gets anywhere: judged by progress, not by being there.

A worker is not alive when, for `stall_seconds`, there was work in a partition and nothing of it was committed, when a
restore read no records, when the group gave no assignment, or when the thread that talks to Kafka does not answer.
What has no work is alive: an idle topic, and one whose broker is away while nothing is under way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
from faust.types import TP

from aftersend.engine import changelog
from aftersend.engine.faust.app import WorkerApp
from aftersend.engine.partitions.health import PartitionHealth, WorkerHealth
from aftersend.engine.partitions.task import PartitionTask, Phase


class HealthReport(msgspec.Struct):
    """What a probe is told."""

    ok: bool
    reason: str
    body: dict[str, Any]


class StallDetector:
    """Remembers since when things stand still.

    Args:
        limit: seconds that anything may stand still.
        now: a monotonic clock, seconds.
    """

    def __init__(self, limit: float, now: Callable[[], float]) -> None:
        self._limit = limit
        self._now = now
        #: What stands still -> (where, since when).
        self._still: dict[str, tuple[Any, float]] = {}

    def live(self, view: WorkerHealth) -> HealthReport:
        """Judge the worker's progress since the calls before."""
        now = self._now()
        seen: dict[str, tuple[Any, float]] = {}

        def stands(name: str, where: object) -> float:
            """Return for how many seconds something has been where it is."""
            known = self._still.get(name)
            since = known[1] if known is not None and known[0] == where else now
            seen[name] = where, since
            return now - since

        reasons = []
        if view.restoring and (seconds := stands("restore", view.restored)) > self._limit:
            reasons.append(f"the restore of {', '.join(view.restoring)} has read nothing for {seconds:.0f} s")
        if not view.assigned and not view.restoring and (seconds := stands("group", "")) > self._limit:
            reasons.append(f"no assignment from the group for {seconds:.0f} s")
        if view.answered < view.asked and (seconds := stands("thread", view.answered)) > self._limit:
            reasons.append(f"the thread that talks to Kafka has not answered for {seconds:.0f} s")
        stalled = {}
        for p in view.partitions:
            name = f"{p.topic}-{p.partition}"
            stalled[name] = stands(name, p.position) if p.works else 0.0
            if stalled[name] > self._limit:
                reasons.append(f"{name} has {p.lag} records to go and committed nothing for {stalled[name]:.0f} s")
        self._still = seen
        return HealthReport(not reasons, "; ".join(reasons), _body(view, stalled))


def ready(view: WorkerHealth) -> HealthReport:
    """Judge whether the worker has all its partitions in hand."""
    reasons = []
    if view.restoring:
        reasons.append(f"taking over {', '.join(view.restoring)}")
    elif not view.assigned:
        reasons.append("waiting for an assignment from the group")
    reasons += [f"{p.topic}-{p.partition} is {p.phase}" for p in view.partitions if p.phase != Phase.RUNNING.value]
    return HealthReport(not reasons, "; ".join(reasons), _body(view, {}))


def _body(view: WorkerHealth, stalled: dict[str, float]) -> dict[str, Any]:
    return {
        "assigned": view.assigned,
        "restoring": view.restoring,
        "partitions": {
            f"{p.topic}-{p.partition}": {
                "phase": p.phase,
                "position": p.position,
                "lag": p.lag,
                "seconds_since_commit": round(p.since_commit, 1),
                "stalled_seconds": round(stalled.get(f"{p.topic}-{p.partition}", 0.0), 1),
            }
            for p in view.partitions
        },
    }


class Probe:
    """Looks at a worker's app.

    Args:
        app: returns the app, None before it is there.
    """

    def __init__(self, app: Callable[[], WorkerApp | None]) -> None:
        self._app = app
        self._asked = self._answered = 0

    def look(self) -> WorkerHealth:
        """Return how the worker is now."""
        app = self._app()
        if app is None:
            return WorkerHealth(assigned=False, restoring=[], restored=0, answered=0, asked=0, partitions=[])
        self._ask(app)
        partitions = app.partitions
        now = time.monotonic()
        restoring = [f"{tp.topic}-{tp.partition}" for tp in sorted(partitions.restoring)]
        restoring += [f"{tp.topic}-{tp.partition}" for tp, t in partitions.tasks.items() if t.phase is Phase.RESTORING]
        views = []
        for tp, task in sorted(partitions.tasks.items()):
            view = PartitionHealth(tp.topic, tp.partition, task.phase.value, task.position)
            view.since_commit = now - task.progress_at
            view.delivered, view.fetched, view.end = _offsets(app, tp)
            view.lag_seconds = _age(task, view)
            views.append(view)
        return WorkerHealth(partitions.ready, restoring, changelog.progress.records, self._answered, self._asked, views)

    def _ask(self, app: WorkerApp) -> None:
        """See whether the thread that talks to Kafka goes round its loop; the answer counts in the next look."""
        loop = getattr(_thread(app), "thread_loop", None)
        if loop is None or self._asked > self._answered:
            return
        self._asked += 1
        try:
            loop.call_soon_threadsafe(self._answer)
        except RuntimeError:  # closed: the worker is about to end
            self._answer()

    def _answer(self) -> None:
        self._answered += 1


def _age(task: PartitionTask, view: PartitionHealth) -> float:
    """Return the age of the oldest record that waits; where only a later one is known, rather too much."""
    if task.inflight_timestamp is not None:
        since = task.inflight_timestamp
    elif not view.works:
        return 0.0
    elif task.last_timestamp is None:
        return view.since_commit
    else:
        since = task.last_timestamp
    return max(0.0, time.time() - since / 1000)


def _thread(app: WorkerApp) -> Any:
    return getattr(getattr(app, "consumer", None), "_thread", None)


_UNKNOWN: Final = (None, None, None)


def _offsets(app: WorkerApp, tp: TP) -> tuple[int | None, int | None, int | None]:
    """Return what was delivered, where the consumer stands and where the partition ends, None where not known.

    These belong to the consumer's thread; reading a number there does no harm, and what is missing is not known yet.
    """
    thread = _thread(app)
    try:
        chained = thread._chain.get(tp)  # noqa: SLF001
        delivered = chained[0] if chained is not None else None
        state = thread._consumer._subscription.subscription.assignment.state_value(tp)  # noqa: SLF001
        if state is None:
            return delivered, None, None
        fetched = state._position  # noqa: SLF001
        end = state.highwater if state.lso is None or state.lso < 0 else state.lso
    except (AttributeError, TypeError, LookupError):
        return _UNKNOWN
    return delivered, fetched, end
