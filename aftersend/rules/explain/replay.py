"""Folding a row's events again, one at a time, as the tables did."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from msgspec.structs import replace

from aftersend.rules.explain import wording
from aftersend.rules.explain.explanation import ExplanationStep, LoggedEvent
from aftersend.rules.explain.steps import expire_step, fold_step
from aftersend.rules.recipient.decisions import Decision
from aftersend.rules.recipient.fold import expires_at, remember_late
from aftersend.rules.recipient.history import digest_of
from aftersend.rules.recipient.kinds import kind_of
from aftersend.rules.recipient.timing import Timing, closing_times, newer_terms, starts_at, windows_of
from aftersend.schemas.delivery import DeliveryTerms
from aftersend.schemas.packing import RawPosition, pack_raw_position
from aftersend.schemas.recipient import Row


class Replay:
    """Folds a row's events again, one at a time, and explains each.

    Args:
        delivery_id: of the row.
        partition: of the events topic.
        numbers: source numbers by name.
        timing: of the installation.
        started_at: when the delivery started in this partition, seconds since 1970; None: at the first event.
        terms: what was declared of the delivery before the first event; None: nothing.
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

    def take(self, logged: LoggedEvent) -> list[ExplanationStep]:
        """Fold an event; return its step, after the end of a wait if that came first."""
        event, received_at, tick = logged.event, logged.received_at, logged.tick
        if self._started_at is None:
            self._started_at = starts_at(received_at, tick, self._terms, self._timing)
        source = self._numbers.get(event.source, 0)
        if source and event.raw_offset >= 0 <= event.raw_partition:
            position = RawPosition(source, event.raw_partition, event.raw_offset)
        else:
            position = RawPosition(0, self._partition, logged.offset)
        step = ExplanationStep(
            kind=kind_of(event),
            decision=Decision.LATE,
            rule="",
            reference="",
            before=0,
            after=0,
            received_at=received_at,
            digest=digest_of(event.event_id),
            raw_position=position,
            logged=logged,
        )
        freeze_at, forget_at = self._closing_times(self._started_at)
        forgotten = tick >= forget_at
        if received_at >= freeze_at or (tick >= freeze_at and forgotten):
            steps = self._late(step, freeze_at, forgotten=forgotten)
        else:
            if self.row is None or (not self._delivery and self.row.updated_at + self._timing.retention <= tick):
                self.row = Row()
            steps = self._fold(self.row, step, source, min(tick, freeze_at))
        return steps

    def declare(self, logged: LoggedEvent) -> list[ExplanationStep]:
        """Apply a declaration, whose terms hold for the row from here on.

        A wait that is over by the terms before it ends first.
        """
        terms = newer_terms(logged.event, logged.received_at, self._terms)
        if terms is None:
            return []
        steps = []
        freeze_at, forget_at = (inf, inf) if self._started_at is None else self._closing_times(self._started_at)
        if logged.tick >= forget_at:
            return []
        expiry = self.expires_at()
        if not terms.same_times(self._terms) and expiry is not None and expiry <= min(logged.tick, freeze_at):
            steps.append(expire_step(self.row or Row(), expiry))
        self._terms = terms
        return steps

    def _closing_times(self, started_at: float) -> tuple[float, float]:
        """Return when the delivery freezes and when its rows are forgotten, seconds since 1970."""
        return closing_times(started_at, self._terms, self._timing) if self._delivery else (inf, inf)

    def expires_at(self) -> float | None:
        """Return when the row's wait ends, seconds since 1970; None: it does not wait."""
        return None if self.row is None else expires_at(self.row, windows_of(self._terms, self._timing))

    def expired(self) -> tuple[Row, ExplanationStep] | None:
        """Return a copy of the row after the end of its wait, and that step; None: it does not wait."""
        expiry = self.expires_at()
        if expiry is None or self.row is None:
            return None
        row = replace(self.row)
        return row, expire_step(row, expiry)

    def _late(self, step: ExplanationStep, freeze_at: float, *, forgotten: bool) -> list[ExplanationStep]:
        steps = []
        row = None if forgotten else self.row
        step.reference = wording.reference(step.kind, Decision.LATE, None)
        step.rule = wording.forgotten() if forgotten else wording.late(self._started_at, freeze_at)
        if row is not None and step.raw_position is not None:
            expiry = self.expires_at()
            if expiry is not None and expiry <= freeze_at:
                steps.append(expire_step(row, expiry))
            remember_late(row, step.kind, step.received_at, step.digest, pack_raw_position(*step.raw_position))
        step.before = step.after = row.status if row is not None else 0
        step.facts_before = step.facts_after = row.facts if row is not None else 0
        step.new_facts = 0
        return [*steps, step]

    def _fold(self, row: Row, step: ExplanationStep, source: int, limit: float) -> list[ExplanationStep]:
        steps = []
        expiry = self.expires_at()
        if expiry is not None and (expiry <= step.received_at or expiry <= limit):
            steps.append(expire_step(row, expiry))
        fold_step(row, step, source, limit, windows_of(self._terms, self._timing))
        return [*steps, step]
