"""Each decision in one sentence, and the section of `docs/domain.md` that has the rule (`docs/domain.md §8`)."""

from __future__ import annotations

from typing import Final

from aftersend.rules.recipient.decisions import Decision
from aftersend.rules.recipient.kinds import KIND_NAME, KIND_RANK, KIND_STATUS
from aftersend.rules.recipient.statuses import (
    NO_RANK,
    NOT_SENT_EXPIRED,
    STATUS_NAME,
    STATUS_RANK,
    STATUS_TERMINAL,
    TERMINAL_RANK,
)
from aftersend.schemas.times import iso

_STATUSES: Final = "docs/domain.md §2.1, status"
_FACTS: Final = "docs/domain.md §2.3, facts"
#: By decision: the section that has its rule, if not the table of statuses.
_SECTIONS: Final = {
    Decision.DUPLICATE: "docs/domain.md §2.5, duplicates",
    Decision.LATE: "docs/domain.md §2.6, freeze",
    Decision.TEST: "docs/domain.md §2.8, test messages",
    Decision.UNATTRIBUTED: "docs/domain.md §2.2, decisions",
}
EXPIRY_SECTION: Final = "docs/domain.md §2.7, expiry"
_HOUR: Final = 3600.0


def reference(kind: int, decision: int, before: int | None) -> str:
    """Return the section that has the rule of a decision.

    Args:
        kind: of the event.
        decision: on the event.
        before: the row's status before; None: unknown.
    """
    if section := _SECTIONS.get(decision):
        return section
    if decision == Decision.TERMINAL_LOCKED and before is not None:
        return f"{_STATUSES} {STATUS_NAME[before]}"
    if status := KIND_STATUS[kind]:
        return f"{_STATUSES} {STATUS_NAME[status]}"
    return _FACTS


def applied(kind: int, before: int | None) -> str:
    """Return why an event's status replaced the one before."""
    status = KIND_STATUS[kind]
    if before is None:
        return f"status {_ranked(status, KIND_RANK[kind])} outranks the status before"
    if STATUS_RANK[before] == NO_RANK:
        return f"status {_ranked(status, KIND_RANK[kind])} is the row's first"
    if STATUS_RANK[status] == TERMINAL_RANK == KIND_RANK[kind]:
        return f"status {STATUS_NAME[status]} is terminal and replaces {_ranked(before)}"
    return f"status {_ranked(status, KIND_RANK[kind])} outranks {_ranked(before)}"


def lower_priority(kind: int, before: int | None) -> str:
    """Return why an event did not change the status although it is not terminal."""
    status = KIND_STATUS[kind]
    if not status:
        return f"{KIND_NAME[kind]} sets no status; it only adds facts"
    if before is None:
        return f"status {_ranked(status, KIND_RANK[kind])} does not outrank the row's status; its facts count"
    if status == before:
        return f"status {_ranked(status, KIND_RANK[kind])} is the row's status already; the event counts as a fact"
    return f"status {_ranked(status, KIND_RANK[kind])} does not outrank {_ranked(before)}; its facts count all the same"


def terminal_locked(before: int | None) -> str:
    """Return why an event did not change a terminal status."""
    name = "the status" if before is None else f"status {STATUS_NAME[before]}"
    return f"{name} is terminal, so nothing replaces it; the event counts as a fact"


def duplicate(first_at: float | None) -> str:
    """Return why an event changed nothing.

    Args:
        first_at: first arrival of the event, seconds since 1970; None: unknown.
    """
    when = f", since {iso(first_at)}" if first_at else ""
    return f"the row remembers an event with this id{when}: nothing counts twice"


def late(started_at: float | None, freeze_at: float | None) -> str:
    """Return why an event only changed the history.

    Args:
        started_at: when its delivery started in this partition, seconds since 1970; None: unknown.
        freeze_at: when its delivery froze, seconds since 1970; None: unknown.
    """
    if started_at is None or freeze_at is None:
        return "arrived after the delivery's freeze: statuses and KPIs no longer change"
    days = (freeze_at - started_at) / (24 * _HOUR)
    when = f"{iso(freeze_at)}, {days:.4g} days after its first event"
    return f"arrived after the delivery's freeze ({when}): statuses and KPIs no longer change"


def forgotten() -> str:
    """Return why an event changed no row."""
    return "folded when the delivery's rows were past their retention: it counts as late and touches no row"


def test_message() -> str:
    """Return why an event of a test message does not count."""
    return "a test message: status and facts are kept, but nothing counts in audience or KPIs"


def unattributed(*, has_delivery: bool | None) -> str:
    """Return why an event counts for no delivery.

    Args:
        has_delivery: whether it names its delivery; if so, the recipient is missing. None: unknown.
    """
    missing = "delivery or no recipient" if has_delivery is None else "recipient" if has_delivery else "delivery"
    return f"the event names no {missing}, so it counts for none; it only adds facts to its row"


def expired(before: int | None, after: int | None, pending_since: float | None, expiry: float) -> str:
    """Return why a row changed without an event.

    Args:
        before: the status that waited; None: unknown.
        after: the status after the wait; None: unknown.
        pending_since: start of the wait, seconds since 1970; None: unknown.
        expiry: end of the wait, seconds since 1970.
    """
    if after == NOT_SENT_EXPIRED:
        return f"not sent before the delivery's validity was over ({iso(expiry)}), so it is stopped for good"
    waited = f"within {(expiry - pending_since) / _HOUR:g} hours after sending" if pending_since else "in time"
    became = f", so {STATUS_NAME[before]} becomes {STATUS_NAME[after]} for good" if before and after else ""
    if before == after and before is not None:
        became = f", so {STATUS_NAME[before]} counts as given up; a success may still follow"
    return f"no outcome {waited}{became}"


def expiry_reverted(expiry: float) -> str:
    """Return what precedes the sentence of an event that reverts an expiry."""
    return f"arrived before the wait was over ({iso(expiry)}), so the expiry is taken back; then "


def unknown() -> str:
    """Return why the decision on an event is unknown."""
    return "its effect is unknown: retention removed events before it, and the row no longer remembers it"


def not_in_the_row() -> str:
    """Return why an event is not in the row's history."""
    return "not in the row's history: not folded yet, or late when the history was full"


def _ranked(status: int, rank: int | None = None) -> str:
    """Return a status with its rank, or marked as terminal if it is above all ranks."""
    rank = STATUS_RANK[status] if rank is None else rank
    if rank == TERMINAL_RANK:
        return f"{STATUS_NAME[status]} (terminal)"
    mark = ", terminal" if STATUS_TERMINAL[status] else ""
    return f"{STATUS_NAME[status]} ({rank}{mark})"
