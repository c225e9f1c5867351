"""What explains a row: its events, what each of them did and why, and how they go together with the row."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from aftersend.rules.recipient.facts import names_of_facts
from aftersend.rules.recipient.statuses import STATUS_NAME
from aftersend.schemas.event import Feedback
from aftersend.schemas.recipient import Row


class LoggedEvent(msgspec.Struct):
    """An event as it lies on the events topic."""

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
    #: None: nobody remembers.
    decision: int | None
    #: Why, in a sentence, and where the rule stands.
    rule: str
    reference: str
    #: Statuses; None: not known any more.
    before: int | None
    after: int | None
    #: Bits of `lifecycle.Fact` that were not set before, and that are no longer; None: not known any more.
    new_facts: int | None = None
    lost_facts: int = 0
    #: All facts, bits of `lifecycle.Fact`, which together with the statuses make what views show; None: not known any
    #: more.
    facts_before: int | None = None
    facts_after: int | None = None
    received_at: float
    #: How often the same event came again.
    repeats: int = 0
    digest: bytes = b""
    #: Number of the source whose raw topic holds the record; 0: the events topic itself. None: an expiry.
    place: tuple[int, int, int] | None = None
    #: As the events topic has it, where it still does.
    told: LoggedEvent | None = None
    #: On the events topic, but not yet in the row.
    waiting: bool = False


class RowExplanation(msgspec.Struct, kw_only=True):
    """All that is known of how a row came to be."""

    steps: list[ExplanationStep]
    #: Changes that nothing tells of any more.
    missing: int = 0
    #: What does not agree with the row; empty: the row is what its events make of it.
    disagreements: list[str] = []


class RowState(msgspec.Struct, kw_only=True):
    """A row as it was at some time."""

    #: None: not known any more.
    status: int | None
    facts: int | None
    version: int | None
    #: Arrival of the event that made it so, seconds since 1970.
    updated_at: float


def as_waiting(steps: Iterable[ExplanationStep]) -> list[ExplanationStep]:
    """Return steps marked as not yet in the row."""
    result = list(steps)
    for step in result:
        step.waiting = True
    return result


def differences(row: Row, status: int, facts: int) -> list[str]:
    """Return what the stored row shows otherwise than its events make of it."""
    if (status, facts) == (row.status, row.facts):
        return []
    again = f"status {STATUS_NAME[status]} and facts {names_of_facts(facts)}"
    return [
        f"folding its events again gives {again}; the row has {STATUS_NAME[row.status]} and {names_of_facts(row.facts)}"
    ]
