"""What each event did to a row and why, by folding the row's events again with `aftersend.rules.recipient.fold`.

A row's events are on the events topic, all of them for as long as it keeps records, and in the row's packed history,
the last 33 for as long as the row exists. `explain` takes both and returns the differences. Pure: callers read the
topics.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from msgspec.structs import replace

from aftersend.rules.explain.explanation import (
    ExplanationStep,
    LoggedEvent,
    RowExplanation,
    RowState,
    as_waiting,
    differences,
)
from aftersend.rules.explain.from_history import from_history
from aftersend.rules.explain.replay import Replay
from aftersend.rules.recipient.decisions import Decision
from aftersend.rules.recipient.kinds import EXPIRED
from aftersend.rules.recipient.status_time import status_at
from aftersend.rules.recipient.statuses import STATUS_NAME
from aftersend.schemas.recipient import Row

#: Decisions on an event that the row has seen before.
_REPEATS: Final = frozenset({Decision.DUPLICATE, Decision.LATE})
#: Types of events that concern an address: they change its contact, no row.
_NO_ROW: Final = frozenset({"released"})
#: The type of events that change a delivery's terms.
_DECLARED: Final = "declared"


def explain(row: Row | None, logged: Sequence[LoggedEvent], replay: Replay, *, complete: bool) -> RowExplanation:
    """Explain how a row came to its state.

    Args:
        row: as it is stored; None: there is none.
        logged: its events on the events topic, in order; the last ones may not be folded into the row yet.
        replay: has folded nothing yet.
        complete: whether the events topic still reaches back to the delivery's start.
    """
    logged = [one for one in logged if one.event.type not in _NO_ROW]
    steps: list[ExplanationStep] = []
    #: After the last step that gives the stored row: number of steps, the end of the wait if that is last, and the
    #: row's status and facts.
    matched: tuple[int, list[ExplanationStep], tuple[int, int]] | None = None
    for event in logged:
        steps += replay.declare(event) if event.event.type == _DECLARED else replay.take(event)
        if row is None:
            continue
        if replay.row is not None and _same(replay.row, row):
            matched = len(steps), [], (replay.row.status, replay.row.facts)
        elif (ended := replay.expired()) is not None and _same(ended[0], row):
            matched = len(steps), [ended[1]], (ended[0].status, ended[0].facts)
    if row is None:
        return RowExplanation(steps=as_waiting(steps))
    if matched is not None:
        length, ending, shows = matched
        made, ahead = steps[:length] + ending, steps[length:]
        if ending and ahead and ahead[0].kind == EXPIRED:
            del ahead[0]  # the same end of the same wait
        if _is_overtaken(made):
            # Listed, and decided, in the order of arrival (`docs/domain.md §2.4`), as the row's history is.
            by_arrival = from_history(row, [step.logged for step in made if step.logged is not None], complete=True)
            repeats = [step for step in made if step.decision == Decision.DUPLICATE]
            listed = sorted([*by_arrival.steps, *repeats], key=lambda step: step.received_at)
            return RowExplanation(steps=listed + as_waiting(ahead), disagreements=by_arrival.disagreements)
        _count_repeats(made)
        return RowExplanation(steps=made + as_waiting(ahead), disagreements=differences(row, *shows))
    logged = [one for one in logged if one.event.type != _DECLARED]
    remembered = from_history(row, logged)
    if complete:
        version = replay.row.version if replay.row is not None else 0
        remembered.disagreements.append(
            f"folding the {len(logged)} events of the events topic again gives status {_status_of(replay.row)}, "
            f"version {version}; the row has {STATUS_NAME[row.status]}, version {row.version}"
        )
    return remembered


def _is_overtaken(steps: list[ExplanationStep]) -> bool:
    """Return whether an event was read after another one that arrived later."""
    arrivals = [step.received_at for step in steps if step.decision not in _REPEATS]
    return any(later < earlier for earlier, later in pairwise(arrivals))


def _same(folded: Row, stored: Row) -> bool:
    return folded.version == stored.version and folded.history == stored.history


def _status_of(row: Row | None) -> str:
    return STATUS_NAME[row.status] if row is not None else "none"


def _count_repeats(steps: list[ExplanationStep]) -> None:
    """Count in the step of an event how often it arrived again."""
    first: dict[bytes, ExplanationStep] = {}
    for step in steps:
        if step.logged is None:
            continue
        if step.decision in _REPEATS and step.digest in first:
            first[step.digest].repeats += 1
        else:
            first[step.digest] = step


def as_of(
    explanation: RowExplanation, logged: Sequence[LoggedEvent], replay: Replay, time: float
) -> tuple[RowExplanation, RowState | None]:
    """Return the explanation and the state of a row at a time (None: there was no row).

    That includes the events that had arrived and the waits that had ended by then. If all events of the row are known,
    they are folded again; else the explanation is cut off, and the state may be unknown.

    Args:
        explanation: of the row as it is.
        logged: its events on the events topic, in order.
        replay: has folded nothing yet.
        time: seconds since 1970.
    """
    waiting = {step.logged.offset for step in explanation.steps if step.waiting and step.logged is not None}
    if explanation.missing or any(step.logged is None and step.kind != EXPIRED for step in explanation.steps):
        return _cut(explanation, time)
    steps: list[ExplanationStep] = []
    for one in logged:
        if one.event.type in _NO_ROW or one.offset in waiting or one.received_at > time:
            continue
        then = replace(one, tick=min(one.tick, time))
        steps += replay.declare(then) if one.event.type == _DECLARED else replay.take(then)
    expiry = replay.expires_at()
    ends = {step.received_at for step in explanation.steps if step.kind == EXPIRED and not step.waiting}
    if expiry is not None and expiry <= time and expiry in ends and (ended := replay.expired()) is not None:
        replay.row, step = ended
        steps.append(step)
    _count_repeats(steps)
    row = replay.row
    state = (
        RowState(status=row.status, facts=row.facts, version=row.version, status_at=status_at(row))
        if row is not None and steps
        else None
    )
    return RowExplanation(steps=steps, disagreements=explanation.disagreements), state


def _cut(explanation: RowExplanation, time: float) -> tuple[RowExplanation, RowState | None]:
    steps = [step for step in explanation.steps if step.received_at <= time and not step.waiting]
    kept = replace(explanation, steps=steps)
    if steps:
        last = steps[-1]
        since = next((step.received_at for step in reversed(steps) if step.before != step.after), None)
        return kept, RowState(status=last.after, facts=last.facts_after, version=None, status_at=since)
    known = RowState(status=None, facts=None, version=None, status_at=None)
    return kept, known if explanation.missing else None
