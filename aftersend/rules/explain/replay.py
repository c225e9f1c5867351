"""A row's events folded again, one at a time, with a note of what each of them did and why."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from msgspec.structs import replace

from aftersend.rules.explain import wording as words
from aftersend.rules.explain.explanation import ExplanationStep, LoggedEvent
from aftersend.rules.recipient.decisions import Decision
from aftersend.rules.recipient.facts import Fact
from aftersend.rules.recipient.fold import expire, expires_at, fold, remember_late
from aftersend.rules.recipient.history import digest_of, find_entry, unpack_history
from aftersend.rules.recipient.kinds import EXPIRED, kind_of
from aftersend.rules.recipient.statuses import EXPIRED_STATUSES
from aftersend.rules.recipient.timing import Timing, closing_times, newer_terms, windows_of
from aftersend.schemas.delivery import DeliveryTerms
from aftersend.schemas.packing import pack_raw_position
from aftersend.schemas.recipient import Row


class Replay:
    """Folds a row's events again, one at a time, as the tables did.

    Args:
        delivery_id: of the row.
        partition: of the events topic.
        numbers: of the sources, by name.
        timing: of the installation.
        started_at: when the delivery started in this partition, seconds since 1970; None: with the first event.
        terms: what was declared of the delivery before the first event that is taken; None: nothing.
    """

    def __init__(
        self,
        delivery_id: str,
        partition: int,
        numbers: Mapping[str, int],
        timing: Timing,
        started_at: float | None = None,
        terms: DeliveryTerms | None = None,
    ) -> None:
        self._terms = terms
        self.row: Row | None = None
        self._delivery = delivery_id
        self._partition = partition
        self._numbers = numbers
        self._timing = timing
        self._started_at = started_at

    def take(self, told: LoggedEvent) -> list[ExplanationStep]:
        """Fold an event; return what it did, after the end of a wait if that came first."""
        event, received_at, tick = told.event, told.received_at, told.tick
        if self._started_at is None:
            self._started_at = received_at
        source = self._numbers.get(event.source, 0)
        if source and event.raw_offset >= 0 <= event.raw_partition:
            place = source, event.raw_partition, event.raw_offset
        else:
            place = 0, self._partition, told.offset
        step = ExplanationStep(
            kind=kind_of(event),
            decision=Decision.LATE,
            rule="",
            reference="",
            before=0,
            after=0,
            received_at=received_at,
            digest=digest_of(event.event_id),
            place=place,
            told=told,
        )
        freeze_at, gone_at = self._closes_at(self._started_at)
        past = tick >= gone_at
        if received_at >= freeze_at or (tick >= freeze_at and past):
            steps = self._late(step, freeze_at, gone=past)
        else:
            if self.row is None or (not self._delivery and self.row.updated_at + self._timing.retention <= tick):
                self.row = Row()
            steps = self._fold(self.row, step, source, min(tick, freeze_at))
        return steps

    def declare(self, told: LoggedEvent) -> list[ExplanationStep]:
        """Take what the sender declares of the delivery: from now on the row goes by that.

        Waits that are over by what was in force until now end first.
        """
        terms = newer_terms(told.event, told.received_at, self._terms)
        if terms is None:
            return []
        steps = []
        freeze_at, gone_at = (inf, inf) if self._started_at is None else self._closes_at(self._started_at)
        if told.tick >= gone_at:
            return []
        due = self.due()
        if not terms.same_times(self._terms) and due is not None and due <= min(told.tick, freeze_at):
            steps.append(expire_step(self.row or Row(), due))
        self._terms = terms
        return steps

    def _closes_at(self, started_at: float) -> tuple[float, float]:
        """Return when the delivery freezes and when its rows are forgotten, seconds since 1970."""
        return closing_times(started_at, self._terms, self._timing) if self._delivery else (inf, inf)

    def due(self) -> float | None:
        """Return when the row's wait ends, seconds since 1970; None if it waits for nothing."""
        windows = windows_of(self._terms, self._timing)
        return None if self.row is None else expires_at(self.row, windows[self.row.source])

    def expired(self) -> tuple[Row, ExplanationStep] | None:
        """Return the row as it is when its wait has ended, and that step; None if it waits for nothing."""
        due = self.due()
        if due is None or self.row is None:
            return None
        row = replace(self.row)
        return row, expire_step(row, due)

    def _late(self, step: ExplanationStep, freeze_at: float, *, gone: bool) -> list[ExplanationStep]:
        steps = []
        row = None if gone else self.row
        step.reference = words.reference(step.kind, Decision.LATE, None)
        step.rule = words.forgotten() if gone else words.late(self._started_at, freeze_at)
        if row is not None and step.place is not None:
            due = self.due()
            if due is not None and due <= freeze_at:
                steps.append(expire_step(row, due))
            remember_late(row, step.kind, step.received_at, step.digest, pack_raw_position(*step.place))
        step.before = step.after = row.status if row is not None else 0
        step.facts_before = step.facts_after = row.facts if row is not None else 0
        step.new_facts = 0
        return [*steps, step]

    def _fold(self, row: Row, step: ExplanationStep, source: int, limit: float) -> list[ExplanationStep]:
        steps = []
        due = self.due()
        if due is not None and (due <= step.received_at or due <= limit):
            steps.append(expire_step(row, due))
        fold_step(row, step, source, limit, windows_of(self._terms, self._timing))
        return [*steps, step]


def expire_step(row: Row, due: float) -> ExplanationStep:
    """End a row's wait; return the step."""
    before, facts, since = row.status, row.facts, row.pending_since
    expire(row, due)
    return ExplanationStep(
        kind=EXPIRED,
        decision=Decision.APPLIED,
        rule=words.expired(before, row.status, since, due),
        reference=words.EXPIRY_SECTION,
        before=before,
        after=row.status,
        new_facts=row.facts & ~facts,
        facts_before=facts,
        facts_after=row.facts,
        received_at=due,
    )


def fold_step(row: Row, step: ExplanationStep, source: int, limit: float, windows: tuple[float, ...]) -> None:
    """Fold a step's event into the row, and note in the step what it did."""
    if step.told is None or step.place is None:  # pragma: no cover - the caller has them
        raise TypeError("a step that is folded has an event")
    before, facts, previous = row.status, row.facts, row.previous
    waited_until = row.updated_at
    expired = before in EXPIRED_STATUSES and bool(facts & Fact.EXPIRED)
    at = find_entry(row.history, step.digest)
    event = step.told.event
    place = pack_raw_position(*step.place)
    step.decision = fold(row, event, step.kind, step.received_at, limit, step.digest, place, source, windows)
    taken_back = expired and not row.facts & Fact.EXPIRED
    step.before = previous if taken_back else before
    step.after = row.status
    step.new_facts, step.lost_facts = row.facts & ~facts, facts & ~row.facts
    # Before an expiry that is taken back, as the status before.
    step.facts_before, step.facts_after = (facts & row.facts if taken_back else facts), row.facts
    first_at = unpack_history(row.history[at : at + 32])[0].received_at if at >= 0 else None
    due = _last_expiry(row.history) or waited_until
    delivery = bool(event.delivery_id) if event.type else None  # a stand-in does not tell
    step.rule = (words.taken_back(due) if taken_back else "") + sentence(
        step.kind, step.decision, step.before, first_at=first_at, delivery=delivery
    )
    step.reference = words.reference(step.kind, step.decision, step.before)


def sentence(
    kind: int, decision: int, before: int | None, *, first_at: float | None = None, delivery: bool | None = None
) -> str:
    """Return the rule behind a decision.

    Args:
        kind: of the event.
        decision: what was done with it.
        before: the row's status before, None if it is not known.
        first_at: of a duplicate, when the row took the event, seconds since 1970.
        delivery: whether the event names its delivery; None: not known.
    """
    match decision:
        case Decision.APPLIED:
            told = words.applied(kind, before)
        case Decision.DUPLICATE:
            told = words.duplicate(first_at)
        case Decision.LOWER_PRIORITY:
            told = words.lower_priority(kind, before)
        case Decision.TERMINAL_LOCKED:
            told = words.terminal_locked(before)
        case Decision.TEST:
            told = words.test()
        case Decision.UNATTRIBUTED:
            told = words.unattributed(delivery=delivery)
        case _:
            told = words.late(None, None)
    return told


def _last_expiry(history: bytes) -> float | None:
    """Return when the last wait that a history tells of ended, seconds since 1970."""
    return next((entry.received_at for entry in reversed(unpack_history(history)) if entry.kind == EXPIRED), None)
