"""What each event did to a row and why, by folding the row's events again with `aftersend.rules.recipient.fold` itself.

Two things tell of a row's events: the events topic, which has all of them for as long as it keeps records, and the
row's own packed history, which has the last 33 for as long as there is a row. `explain` takes both and says how they go
together. Pure: whoever calls reads the topics.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from aftersend.rules.recipient.statuses import STATUS_NAME
from aftersend.schemas.recipient import Row

#: What is done with an event that came before.
_REPEATS: Final = frozenset({Decision.DUPLICATE, Decision.LATE})
#: Types of events that are about an address: no row hears of them, only the contact.
_NO_ROW: Final = frozenset({"released"})
#: The type of events that are about a delivery as such: what its rows go by from then on.
_DECLARED: Final = "declared"


def explain(row: Row | None, told: Sequence[LoggedEvent], replay: Replay, *, complete: bool) -> RowExplanation:
    """Return how a row came to be.

    Args:
        row: as it is stored; None: there is none.
        told: what the events topic holds of it, in order. Its end may be ahead of the row.
        replay: that has folded nothing yet.
        complete: whether the events topic still reaches back to the delivery's start.
    """
    told = [one for one in told if one.event.type not in _NO_ROW]
    steps: list[ExplanationStep] = []
    #: How many of them made the row what it is, the end of its wait if that came last, and the status and facts then.
    matched: tuple[int, list[ExplanationStep], tuple[int, int]] | None = None
    for event in told:
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
        _count_repeats(made)
        return RowExplanation(steps=made + as_waiting(ahead), disagreements=differences(row, *shows))
    told = [one for one in told if one.event.type != _DECLARED]
    remembered = from_history(row, told)
    if complete:
        remembered.disagreements.append(
            f"folding the {len(told)} events of the events topic again gives status {_status_of(replay.row)}, version "
            f"{replay.row.version if replay.row is not None else 0}; the row has {STATUS_NAME[row.status]}, version "
            f"{row.version}"
        )
    return remembered


def _same(folded: Row, stored: Row) -> bool:
    return folded.version == stored.version and folded.history == stored.history


def _status_of(row: Row | None) -> str:
    return STATUS_NAME[row.status] if row is not None else "none"


def _count_repeats(steps: list[ExplanationStep]) -> None:
    """Let the first of equal events say how often it came again."""
    first: dict[bytes, ExplanationStep] = {}
    for step in steps:
        if step.told is None:
            continue
        if step.decision in _REPEATS and step.digest in first:
            first[step.digest].repeats += 1
        else:
            first[step.digest] = step


def as_of(
    explanation: RowExplanation, told: Sequence[LoggedEvent], replay: Replay, time: float
) -> tuple[RowExplanation, RowState | None]:
    """Return how a row had come to be by a time, and how it was then (None: there was none).

    By a time is what had arrived by then, and what waits had ended. Where all events of the row are known they are
    folded again; else the explanation is cut, and the state may be unknown.

    Args:
        explanation: of the row as it is.
        told: what the events topic holds of it, in order.
        replay: that has folded nothing yet.
        time: seconds since 1970.
    """
    waiting = {step.told.offset for step in explanation.steps if step.waiting and step.told is not None}
    if explanation.missing or any(step.told is None and step.kind != EXPIRED for step in explanation.steps):
        return _cut(explanation, time)
    steps: list[ExplanationStep] = []
    for one in told:
        if one.event.type in _NO_ROW or one.offset in waiting or one.received_at > time:
            continue
        then = replace(one, tick=min(one.tick, time))
        steps += replay.declare(then) if one.event.type == _DECLARED else replay.take(then)
    due = replay.due()
    ends = {step.received_at for step in explanation.steps if step.kind == EXPIRED and not step.waiting}
    if due is not None and due <= time and due in ends and (ended := replay.expired()) is not None:
        replay.row, step = ended
        steps.append(step)
    _count_repeats(steps)
    row = replay.row
    state = (
        RowState(status=row.status, facts=row.facts, version=row.version, updated_at=row.updated_at)
        if row is not None and steps
        else None
    )
    return RowExplanation(steps=steps, disagreements=explanation.disagreements), state


def _cut(explanation: RowExplanation, time: float) -> tuple[RowExplanation, RowState | None]:
    steps = [step for step in explanation.steps if step.received_at <= time and not step.waiting]
    kept = replace(explanation, steps=steps)
    if steps:
        last = steps[-1]
        return kept, RowState(status=last.after, facts=last.facts_after, version=None, updated_at=last.received_at)
    known = RowState(status=None, facts=None, version=None, updated_at=0.0)
    return kept, known if explanation.missing else None
