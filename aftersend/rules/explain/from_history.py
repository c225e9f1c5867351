"""What a row's own history tells of how it came to be, where the events topic no longer reaches back far enough."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Final

from aftersend.rules.explain import wording as words
from aftersend.rules.explain.explanation import ExplanationStep, LoggedEvent, RowExplanation, as_waiting, differences
from aftersend.rules.explain.replay import expire_step, fold_step, sentence
from aftersend.rules.recipient.decisions import Decision
from aftersend.rules.recipient.facts import Fact
from aftersend.rules.recipient.history import HistoryEntry, digest_of, unpack_history
from aftersend.rules.recipient.kinds import EXPIRED, KIND_FACTS, KIND_NAME, KIND_STATUS, kind_of
from aftersend.rules.recipient.statuses import EXPIRED_STATUSES, EXPIRES_TO, STATUS_NAME
from aftersend.schemas.event import Feedback
from aftersend.schemas.packing import MAX_SOURCE
from aftersend.schemas.recipient import Row

_NEVER_DUE: Final = (inf,) * (MAX_SOURCE + 1)
_ALWAYS_DUE: Final = (-inf,) * (MAX_SOURCE + 1)
#: What the end of a wait leaves; other events give the same statuses.
_FACTS_OF_EXPIRY: Final = Fact.EXPIRED | Fact.GIVEN_UP
#: What no terminal status lets happen.
_UNLOCKED: Final = frozenset({Decision.APPLIED, Decision.LOWER_PRIORITY})


def from_history(row: Row, told: Sequence[LoggedEvent] = ()) -> RowExplanation:
    """Return what a row's own history tells: each event's decision, and the statuses as far as they follow.

    Args:
        row: as it is stored.
        told: what the events topic still holds of it; tells more of the events that the history remembers.
    """
    remembered = unpack_history(row.history)
    of_digest = {digest_of(one.event.event_id): one for one in reversed(told)}
    changes = sum(entry.decision != Decision.LATE for entry in remembered)
    missing = row.version - changes
    steps = [_remembered(entry, of_digest.get(entry.digest)) for entry in remembered]
    if missing <= 0:
        disagreements = _refold(row, steps)
    else:
        _follow(row, steps)
        disagreements = []
    known = {step.digest for step in steps}
    last = max((i for i, one in enumerate(told) if digest_of(one.event.event_id) in known), default=-1)
    unknown = [i for i, one in enumerate(told) if digest_of(one.event.event_id) not in known]
    before = [_forgotten(told[i], words.unknown()) for i in unknown if i < last]
    after = [_forgotten(told[i], words.not_in_the_row()) for i in unknown if i >= last]
    steps = before + steps + as_waiting(after)
    missing -= len(before)
    return RowExplanation(steps=steps, missing=max(missing, 0), disagreements=disagreements)


def _remembered(entry: HistoryEntry, told: LoggedEvent | None) -> ExplanationStep:
    is_expiry = entry.kind == EXPIRED
    return ExplanationStep(
        kind=entry.kind,
        decision=entry.decision,
        rule="",
        reference=words.EXPIRY_SECTION if is_expiry else "",
        before=None,
        after=None,
        received_at=entry.received_at,
        repeats=entry.repeats,
        digest=b"" if is_expiry else entry.digest,
        place=None if is_expiry else (entry.source, entry.partition, entry.offset),
        told=told,
    )


def _forgotten(told: LoggedEvent, rule: str) -> ExplanationStep:
    event = told.event
    return ExplanationStep(
        kind=kind_of(event),
        decision=None,
        rule=rule,
        reference="",
        before=None,
        after=None,
        received_at=told.received_at,
        digest=digest_of(event.event_id),
        place=None,
        told=told,
    )


def _refold(stored: Row, steps: list[ExplanationStep]) -> list[str]:
    """Fold a history that lacks nothing again; return what does not agree with the row."""
    row = Row()
    due = inf
    disagreements = []
    for step in steps:
        if step.kind == EXPIRED:
            due = step.received_at
            if row.status not in EXPIRES_TO:
                disagreements.append(
                    f"the history has an expiry, but its events make {STATUS_NAME[row.status]} of the row"
                )
                continue
            ended = expire_step(row, due)
            step.before, step.after, step.rule, step.new_facts = ended.before, ended.after, ended.rule, ended.new_facts
            step.facts_before, step.facts_after = ended.facts_before, ended.facts_after
            continue
        if step.decision == Decision.LATE:
            step.before = step.after = row.status
            step.facts_before = step.facts_after = row.facts
            step.rule, step.reference = words.late(None, None), words.reference(step.kind, Decision.LATE, None)
            step.new_facts = 0
            continue
        decided, told = step.decision, step.told
        step.told = told or _stand_in(step)
        expired = bool(row.facts & _FACTS_OF_EXPIRY) and row.status in EXPIRED_STATUSES
        windows = _ALWAYS_DUE if expired and step.received_at >= due else _NEVER_DUE
        source = step.place[0] if step.place is not None else 0
        fold_step(row, step, source, 0.0, windows)
        step.told = told
        if decided != step.decision:
            disagreements.append(f"{KIND_NAME[step.kind]} should have been decided otherwise than the history says")
            step.decision = decided
    disagreements += differences(stored, row.status, row.facts)
    return disagreements


def _stand_in(step: ExplanationStep) -> LoggedEvent:
    """Return as much of an event as its entry in the history tells."""
    attributed = step.decision != Decision.UNATTRIBUTED
    name = "x" if attributed else ""
    event = Feedback(step.digest.hex(), name, name, "", test=step.decision == Decision.TEST)
    return LoggedEvent(event, -1, step.received_at, 0.0)


def _follow(row: Row, steps: list[ExplanationStep]) -> None:
    """Fill in the statuses that follow from a history whose beginning is lost."""
    status: int | None = None
    waited: int | None = None
    expired = False
    for step in steps:
        if expired and step.kind != EXPIRED and step.decision in _UNLOCKED:
            status, expired = waited, False  # else the row would be locked: the expiry was taken back
        step.before = status
        if step.kind == EXPIRED:
            waited, expired = status, True
            status = EXPIRES_TO.get(status) if status is not None else None
        elif step.decision == Decision.APPLIED:
            status = KIND_STATUS[step.kind]
        elif step.decision == Decision.TEST:
            status = None  # whether it changed the status is not remembered
        step.after = status
    _fill_back(row, steps)
    for step in steps:
        decision = step.decision if step.decision is not None else Decision.LATE
        if step.kind == EXPIRED:
            step.rule = words.expired(step.before, step.after, None, step.received_at)
            continue
        step.rule = sentence(step.kind, decision, step.before)
        step.reference = words.reference(step.kind, decision, step.before)
        if decision != Decision.LATE and not KIND_FACTS[step.kind]:
            step.new_facts = 0


def _fill_back(row: Row, steps: list[ExplanationStep]) -> None:
    """Go back from the status that the row has now, to the last step that changed it."""
    status: int | None = row.status
    for step in reversed(steps):
        if step.after is None:
            step.after = status
        changed = step.decision == Decision.APPLIED or (step.decision == Decision.TEST and step.kind != EXPIRED)
        if not changed:
            if step.before is None:
                step.before = step.after
            status = step.before
            continue
        if step.before is None and step.decision == Decision.APPLIED:
            step.before = row.previous or None  # 0 after an expiry that was taken back
        return
