"""Explaining a row by its own history, where the events topic no longer reaches back far enough."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Final

from aftersend.rules.explain import wording
from aftersend.rules.explain.explanation import ExplanationStep, LoggedEvent, RowExplanation, as_waiting, differences
from aftersend.rules.explain.steps import expire_step, fold_step, sentence
from aftersend.rules.recipient.decisions import Decision
from aftersend.rules.recipient.facts import Fact
from aftersend.rules.recipient.history import HistoryEntry, digest_of, unpack_history
from aftersend.rules.recipient.kinds import EXPIRED, KIND_FACTS, KIND_NAME, KIND_STATUS, kind_of
from aftersend.rules.recipient.statuses import EXPIRED_STATUSES, EXPIRES_TO, STATUS_NAME
from aftersend.rules.recipient.timing import TIME_TO_SEND
from aftersend.schemas.event import Feedback
from aftersend.schemas.packing import RawPosition
from aftersend.schemas.recipient import Row

#: Response windows with which no wait ends, and with which every wait is over.
_NEVER_EXPIRES: Final = (*(inf,) * TIME_TO_SEND, inf, 0.0)
_ALWAYS_EXPIRES: Final = (*(-inf,) * TIME_TO_SEND, -inf, 0.0)
#: Facts that only an expiry sets; other events set the same statuses.
_FACTS_OF_EXPIRY: Final = Fact.EXPIRED | Fact.GIVEN_UP | Fact.VALIDITY_OVER
#: Decisions that a terminal status rules out.
_UNLOCKED: Final = frozenset({Decision.APPLIED, Decision.LOWER_PRIORITY})


def from_history(row: Row, logged: Sequence[LoggedEvent] = (), *, complete: bool = False) -> RowExplanation:
    """Explain a row by its history: each event's decision, and the statuses as far as they follow.

    Args:
        row: as it is stored.
        logged: its events that the events topic still holds; they add details.
        complete: the history is known to hold all events; else the row's version says whether it does.
    """
    remembered = unpack_history(row.history)
    of_digest = {digest_of(one.event.event_id): one for one in reversed(logged)}
    changes = sum(entry.decision != Decision.LATE for entry in remembered)
    missing = 0 if complete else row.version - changes
    steps = [_remembered(entry, of_digest.get(entry.digest)) for entry in remembered]
    if missing <= 0:
        disagreements = _refold(row, steps)
    else:
        _fill_in(row, steps)
        disagreements = []
    known = {step.digest for step in steps}
    last = max((i for i, one in enumerate(logged) if digest_of(one.event.event_id) in known), default=-1)
    unknown = [i for i, one in enumerate(logged) if digest_of(one.event.event_id) not in known]
    before = [_forgotten(logged[i], wording.unknown()) for i in unknown if i < last]
    after = [_forgotten(logged[i], wording.not_in_the_row()) for i in unknown if i >= last]
    steps = before + steps + as_waiting(after)
    missing -= len(before)
    return RowExplanation(steps=steps, missing=max(missing, 0), disagreements=disagreements)


def _remembered(entry: HistoryEntry, logged: LoggedEvent | None) -> ExplanationStep:
    is_expiry = entry.kind == EXPIRED
    return ExplanationStep(
        kind=entry.kind,
        decision=entry.decision,
        rule="",
        reference=wording.EXPIRY_SECTION if is_expiry else "",
        before=None,
        after=None,
        received_at=entry.received_at,
        repeats=entry.repeats,
        digest=b"" if is_expiry else entry.digest,
        raw_position=None if is_expiry else RawPosition(entry.source, entry.partition, entry.offset),
        logged=logged,
    )


def _forgotten(logged: LoggedEvent, rule: str) -> ExplanationStep:
    event = logged.event
    return ExplanationStep(
        kind=kind_of(event),
        decision=None,
        rule=rule,
        reference="",
        before=None,
        after=None,
        received_at=logged.received_at,
        digest=digest_of(event.event_id),
        logged=logged,
    )


def _refold(stored: Row, steps: list[ExplanationStep]) -> list[str]:
    """Fold a complete history again, filling in its steps; return the differences from the row."""
    row = Row()
    expiry = inf
    disagreements = []
    for step in steps:
        if step.kind == EXPIRED:
            expiry = step.received_at
            if row.status in EXPIRES_TO:
                _refold_expiry(row, step)
            else:
                status = STATUS_NAME[row.status]
                disagreements.append(f"the history has an expiry, but its events give the row the status {status}")
        elif step.decision == Decision.LATE:
            step.before = step.after = row.status
            step.facts_before = step.facts_after = row.facts
            step.rule, step.reference = wording.late(None, None), wording.reference(step.kind, Decision.LATE, None)
            step.new_facts = 0
        elif not _refold_event(row, step, expiry):
            disagreements.append(f"the history has another decision on {KIND_NAME[step.kind]} than folding it again")
    disagreements += differences(stored, row.status, row.facts)
    return disagreements


def _refold_expiry(row: Row, step: ExplanationStep) -> None:
    ended = expire_step(row, step.received_at)
    step.before, step.after, step.rule, step.new_facts = ended.before, ended.after, ended.rule, ended.new_facts
    step.facts_before, step.facts_after = ended.facts_before, ended.facts_after


def _refold_event(row: Row, step: ExplanationStep, expiry: float) -> bool:
    """Fold a step's event again; return whether the decision is that of the history, which the step keeps."""
    decision, logged = step.decision, step.logged
    step.logged = logged or _event_of(step)
    expired = bool(row.facts & _FACTS_OF_EXPIRY) and row.status in EXPIRED_STATUSES
    windows = _ALWAYS_EXPIRES if expired and step.received_at >= expiry else _NEVER_EXPIRES
    source = step.raw_position.source if step.raw_position is not None else 0
    fold_step(row, step, source, 0.0, windows)
    step.logged = logged
    agrees = decision == step.decision
    step.decision = decision
    return agrees


def _event_of(step: ExplanationStep) -> LoggedEvent:
    """Return an event with as many fields as its entry in the history determines."""
    attributed = step.decision != Decision.UNATTRIBUTED
    name = "x" if attributed else ""
    event = Feedback(step.digest.hex(), name, name, "", test=step.decision == Decision.TEST)
    return LoggedEvent(event, -1, step.received_at, 0.0)


def _fill_in(row: Row, steps: list[ExplanationStep]) -> None:
    """Fill in the statuses that follow from a history whose beginning is lost, and the rules."""
    status: int | None = None
    waited: int | None = None
    expired = False
    for step in steps:
        if expired and step.kind != EXPIRED and step.decision in _UNLOCKED:
            status, expired = waited, False  # else the row would be locked: the expiry was reverted
        step.before = status
        if step.kind == EXPIRED:
            waited, expired = status, True
            status = EXPIRES_TO.get(status) if status is not None else None
        elif step.decision == Decision.APPLIED:
            status = KIND_STATUS[step.kind]
        elif step.decision == Decision.TEST:
            status = None  # the history does not hold whether it changed the status
        step.after = status
    _fill_in_backwards(row, steps)
    _fill_in_rules(steps)


def _fill_in_rules(steps: list[ExplanationStep]) -> None:
    for step in steps:
        decision = step.decision if step.decision is not None else Decision.LATE
        if step.kind == EXPIRED:
            step.rule = wording.expired(step.before, step.after, None, step.received_at)
            continue
        step.rule = sentence(step.kind, decision, step.before)
        step.reference = wording.reference(step.kind, decision, step.before)
        if decision != Decision.LATE and not KIND_FACTS[step.kind]:
            step.new_facts = 0


def _fill_in_backwards(row: Row, steps: list[ExplanationStep]) -> None:
    """Fill in statuses from the present one back to the last step that changed it."""
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
            step.before = row.previous or None  # 0 after an expiry that was reverted
        return
