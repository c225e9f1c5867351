"""The explanation of a row: its events, what each of them did and why, and whether they agree with the row."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from aftersend.rules.recipient.facts import names_of_facts
from aftersend.rules.recipient.statuses import STATUS_NAME
from aftersend.schemas.event import Feedback
from aftersend.schemas.packing import RawPosition
from aftersend.schemas.recipient import Row


class LoggedEvent(msgspec.Struct):
    """An event as the events topic holds it."""

    event: Feedback
    #: Offset of its record on the events topic.
    offset: int
    #: Timestamp of that record, seconds since 1970.
    timestamp: float
    #: The last tick before it in the partition, seconds since 1970.
    tick: float

    @property
    def received_at(self) -> float:
        """Arrival of the raw record, seconds since 1970."""
        return self.event.received_at or self.timestamp


class ExplanationStep(msgspec.Struct, kw_only=True):
    """One event, or the end of a wait, and what it did."""

    kind: int
    #: None: unknown.
    decision: int | None
    #: The reason in one sentence, and the section that has the rule.
    rule: str
    reference: str
    #: Statuses; None: unknown.
    before: int | None
    after: int | None
    #: Bits of `Fact` that the step set and cleared; None: unknown.
    new_facts: int | None = None
    lost_facts: int = 0
    #: All facts, bits of `Fact`, from which with the statuses views are computed; None: unknown.
    facts_before: int | None = None
    facts_after: int | None = None
    received_at: float
    #: How often the same event arrived again.
    repeats: int = 0
    digest: bytes = b""
    #: None: an expiry, or unknown.
    raw_position: RawPosition | None = None
    #: The event as the events topic holds it, if it still does.
    logged: LoggedEvent | None = None
    #: On the events topic, but not folded into the row yet.
    waiting: bool = False


class RowExplanation(msgspec.Struct, kw_only=True):
    """All that is known of how a row came to its state."""

    steps: list[ExplanationStep]
    #: Number of changes of which no record is left.
    missing: int = 0
    #: Differences between the row and its events folded again; empty: they agree.
    disagreements: list[str] = []


class RowState(msgspec.Struct, kw_only=True):
    """A row as it was at a time."""

    #: None: unknown.
    status: int | None
    facts: int | None
    version: int | None
    #: Arrival of the event that gave it its status, seconds since 1970; None: unknown.
    status_at: float | None


def as_waiting(steps: Iterable[ExplanationStep]) -> list[ExplanationStep]:
    """Return steps, each of which is marked as not folded into the row yet."""
    result = list(steps)
    for step in result:
        step.waiting = True
    return result


def differences(row: Row, status: int, facts: int) -> list[str]:
    """Return the differences between a stored row and its events folded again."""
    if (status, facts) == (row.status, row.facts):
        return []
    again = f"status {STATUS_NAME[status]} and facts {names_of_facts(facts)}"
    return [
        f"folding its events again gives {again}; the row has {STATUS_NAME[row.status]} and {names_of_facts(row.facts)}"
    ]
