"""Folding one event into a row, with a note of what it did and why."""

from __future__ import annotations

from typing import Final

from aftersend.rules.explain import wording
from aftersend.rules.explain.explanation import ExplanationStep
from aftersend.rules.recipient.decisions import Decision
from aftersend.rules.recipient.facts import Fact
from aftersend.rules.recipient.fold import expire, fold
from aftersend.rules.recipient.history import ENTRY_BYTES, find_entry, unpack_history
from aftersend.rules.recipient.kinds import EXPIRED
from aftersend.rules.recipient.statuses import EXPIRED_STATUSES
from aftersend.schemas.packing import pack_raw_position
from aftersend.schemas.recipient import Row

#: Facts of a wait that ended with another status.
_ENDED: Final = Fact.EXPIRED | Fact.VALIDITY_OVER


def expire_step(row: Row, expiry: float) -> ExplanationStep:
    """End a row's wait, in place; return the step.

    Args:
        row: waits for an outcome.
        expiry: the end of the wait, seconds since 1970.
    """
    before, facts, since = row.status, row.facts, row.pending_since
    expire(row, expiry)
    return ExplanationStep(
        kind=EXPIRED,
        decision=Decision.APPLIED,
        rule=wording.expired(before, row.status, since, expiry),
        reference=wording.EXPIRY_SECTION,
        before=before,
        after=row.status,
        new_facts=row.facts & ~facts,
        facts_before=facts,
        facts_after=row.facts,
        received_at=expiry,
    )


def fold_step(row: Row, step: ExplanationStep, source: int, tick: float, windows: tuple[float, ...]) -> None:
    """Fold a step's event into the row, in place, and fill in what it did.

    Args:
        row: of the recipient.
        step: has an event and a raw position.
        source: number of the event's source.
        tick: the last tick before it in the partition, seconds since 1970.
        windows: response windows by source number, seconds.
    """
    if step.logged is None or step.raw_position is None:  # pragma: no cover - callers set both
        raise TypeError("a step that is folded has an event")
    before, facts, previous = row.status, row.facts, row.previous
    updated_at = row.updated_at
    was_expired = before in EXPIRED_STATUSES and bool(facts & _ENDED)
    at = find_entry(row.history, step.digest)
    event = step.logged.event
    position = pack_raw_position(*step.raw_position)
    step.decision = fold(row, event, step.kind, step.received_at, tick, step.digest, position, source, windows)
    expiry_reverted = was_expired and not row.facts & _ENDED
    step.before = previous if expiry_reverted else before
    step.after = row.status
    step.new_facts, step.lost_facts = row.facts & ~facts, facts & ~row.facts
    # If an expiry is reverted, the facts before it, like the status before it.
    step.facts_before, step.facts_after = (facts & row.facts if expiry_reverted else facts), row.facts
    first_at = unpack_history(row.history[at : at + ENTRY_BYTES])[0].received_at if at >= 0 else None
    expiry = _last_expiry(row.history) or updated_at
    has_delivery = bool(event.delivery_id) if event.type else None  # an event made from the history has no type
    step.rule = (wording.expiry_reverted(expiry) if expiry_reverted else "") + sentence(
        step.kind, step.decision, step.before, first_at=first_at, has_delivery=has_delivery
    )
    step.reference = wording.reference(step.kind, step.decision, step.before)


def sentence(
    kind: int, decision: int, before: int | None, *, first_at: float | None = None, has_delivery: bool | None = None
) -> str:
    """Return the rule behind a decision, in one sentence.

    Args:
        kind: of the event.
        decision: on the event.
        before: the row's status before; None: unknown.
        first_at: of a duplicate, the first arrival of the event, seconds since 1970; None: unknown.
        has_delivery: whether the event names its delivery; None: unknown.
    """
    match decision:
        case Decision.APPLIED:
            text = wording.applied(kind, before)
        case Decision.DUPLICATE:
            text = wording.duplicate(first_at)
        case Decision.LOWER_PRIORITY:
            text = wording.lower_priority(kind, before)
        case Decision.TERMINAL_LOCKED:
            text = wording.terminal_locked(before)
        case Decision.TEST:
            text = wording.test_message()
        case Decision.UNATTRIBUTED:
            text = wording.unattributed(has_delivery=has_delivery)
        case _:
            text = wording.late(None, None)
    return text


def _last_expiry(history: bytes) -> float | None:
    """Return the time of a history's last expiry, seconds since 1970; None: it has none."""
    return next((entry.received_at for entry in reversed(unpack_history(history)) if entry.kind == EXPIRED), None)
