"""Folding events into rows, contacts and decisions, one at a time, as `docs/domain.md §2` describes it."""

from __future__ import annotations

from collections import Counter
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import msgspec

from aftersend.sandbox.reference import domain
from aftersend.sandbox.reference.contacts import Contacts
from aftersend.sandbox.reference.options import ReferenceOptions
from aftersend.sandbox.reference.rows import (
    REMEMBERED,
    ExpectedRow,
    WaitRules,
    arrival_of,
    change_row,
    end_wait,
    remember,
    remembers,
    wait_ends_at,
)
from aftersend.schemas.event import MESSAGE_TYPES, Feedback, FoldEvent
from aftersend.schemas.raw import RecordPosition


@dataclass(frozen=True, slots=True)
class ExpectedTerms:
    """A delivery's declared terms; times in seconds, None: the setting applies."""

    #: Arrival and event id.
    at: float
    event_id: str
    window: float | None = None
    freeze: float | None = None
    start: float | None = None
    message_type: str = ""

    def times(self) -> tuple[float | None, ...]:
        """Return the terms that change when rows expire, freeze and are forgotten."""
        return self.window, self.freeze, self.start


@dataclass(slots=True)
class ExpectedDelivery:
    """One delivery in one partition."""

    started_at: float
    updated_at: float
    rows: dict[str, ExpectedRow] = field(default_factory=dict)
    #: Recipients and rows past their retention: removed, but counted in KPIs.
    forgotten: list[tuple[str, ExpectedRow]] = field(default_factory=list)
    #: (source, kind, decision) -> events.
    decisions: Counter[tuple[str, str, str]] = field(default_factory=Counter)


class Reference:
    """One partition of the events topic.

    Args:
        options: of the installation.
        partition: its number.
    """

    def __init__(self, options: ReferenceOptions, partition: int) -> None:
        self.options = options
        self.partition = partition
        self.tick = 0.0
        self.deliveries: dict[str, ExpectedDelivery] = {}
        #: Terms of declared deliveries, with or without events.
        self.declared: dict[str, ExpectedTerms] = {}
        self.contacts = Contacts(options.address_validity)
        self.events = 0

    def fold(self, offset: int, timestamp_ms: int, event: FoldEvent) -> None:
        """Fold one event.

        Args:
            offset: of the event's record.
            timestamp_ms: of the event's record, which is its raw record's.
            event: decoded from the record.
        """
        if event.type == "tick":
            self._take_tick(timestamp_ms / 1000)
            return
        now = event.received_at or timestamp_ms / 1000
        self.events += 1
        kind = domain.kind_of(event)
        if kind == "released":  # concerns an address, not a message
            self.contacts.update(event, kind, now, confirmed=False)
            return
        if kind == "declared":
            self._declare(event, now)
            return
        delivery = self.deliveries.get(event.delivery_id)
        if delivery is None:
            # Whatever an old first event says, half of the statistics period lies ahead, unless it is a short one.
            oldest = self.tick - max(self._period(event.delivery_id) / 2, 3 * 86_400)
            started_at = max(now, oldest)
            delivery = self.deliveries[event.delivery_id] = ExpectedDelivery(started_at, now)
        elif now < delivery.started_at and not self._is_past_retention(event.delivery_id, delivery):
            self._start_earlier(event.delivery_id, delivery, now)
        delivery.updated_at = max(delivery.updated_at, now)
        forgotten = self._is_past_retention(event.delivery_id, delivery)
        if now >= self._freeze_at(event.delivery_id, delivery) or forgotten:
            decision = "late"
            default_type = "" if forgotten else self._message_type(event.delivery_id)
            self._take_late(delivery, _with_message_type(event, default_type), kind, now)
        else:
            decision = self._take_in_time(delivery, event, kind, now, offset)
        delivery.decisions[self._source(event), kind, decision] += 1

    def _take_in_time(self, delivery: ExpectedDelivery, event: FoldEvent, kind: str, now: float, offset: int) -> str:
        """Fold an event before the freeze into its row and its contact; return the decision."""
        delivery_id, default_type = event.delivery_id, self._message_type(event.delivery_id)
        row = delivery.rows.get(event.recipient)
        if row is not None and not delivery_id and row.updated_at + self.options.retention <= self.tick:
            # Its events arrived so long ago that it was past its retention from the start.
            delivery.forgotten.append((event.recipient, delivery.rows.pop(event.recipient)))
            row = None
        if row is None:
            row = ExpectedRow(freeze_at=self._freeze_at(delivery_id, delivery), message_type=default_type)
            delivery.rows[event.recipient] = row
        self._expire_if_over(delivery_id, row, max(now, self.tick))
        if remembers(row, event.event_id):
            return "duplicate"
        arrival = arrival_of(event, kind, now, self._source(event), self._cause(event, kind, offset))
        until = min(self.tick, self._freeze_at(delivery_id, delivery))
        decision = change_row(row, event, arrival, self._rules(delivery_id), until)
        if decision != "test":
            self._update_contact(_with_message_type(event, default_type), kind, now, row)
        return decision

    def _source(self, event: FoldEvent) -> str:
        return event.source if event.source in self.options.raw_topics else ""

    def _message_type(self, delivery_id: str) -> str:
        """Return the declared message type of a delivery, "" if there is none."""
        declared = self.declared.get(delivery_id)
        return "" if declared is None else declared.message_type

    def _take_tick(self, at: float) -> None:
        """Pass the time up to a tick; one that leaps counts for a tenth of a step."""
        step = self.options.clock_max_step
        self.pass_time(self.tick + step * 0.1 if self.tick and at > self.tick + step else at)

    def pass_time(self, now: float) -> None:
        """Set the time to `now` (seconds since 1970) if it is later, and forget rows past their retention.

        A wait that is over ends when its row is read next. An expiry is dated at the end of the wait, so the result
        does not depend on when that is.
        """
        self.tick = max(self.tick, now)
        for delivery_id, delivery in self.deliveries.items():
            if not delivery_id:
                old = [r for r, row in delivery.rows.items() if row.updated_at + self.options.retention <= self.tick]
                delivery.forgotten += [(recipient, delivery.rows.pop(recipient)) for recipient in old]
            elif delivery.rows and self._is_past_retention(delivery_id, delivery):
                delivery.forgotten += delivery.rows.items()
                delivery.rows = {}

    def settled(self, delivery_id: str, row: ExpectedRow) -> ExpectedRow:
        """Return a row as it is after its wait, if that is over by now; the row itself does not change."""
        if not self.is_overdue(delivery_id, row):
            return row
        result = copy(row)
        result.facts = set(row.facts)
        self._expire_if_over(delivery_id, result, self.tick)
        return result

    def is_overdue(self, delivery_id: str, row: ExpectedRow) -> bool:
        """Return whether a row's wait is over but has not been ended yet."""
        expiry = self._expires_at(delivery_id, row)
        return expiry is not None and expiry <= min(self.tick, row.freeze_at)

    def _declare(self, event: FoldEvent, now: float) -> None:
        """Apply a declaration: it holds from here on, and changes nothing that has happened."""
        declaration = event.declaration if isinstance(event, Feedback) else None
        current = self.declared.get(event.delivery_id)
        if declaration is None or not event.delivery_id:
            return
        if current is not None and current.event_id == event.event_id:  # a repetition
            return
        if current is not None and (current.at, current.event_id) > (now, event.event_id):  # declared earlier
            return
        hours, days = declaration.validity_hours, declaration.statistics_update_period_days
        terms = ExpectedTerms(
            at=now,
            event_id=event.event_id,
            window=None if hours is None else hours * 3600,
            freeze=None if days is None else days * 86_400,
            start=declaration.start,
            message_type=event.message_type if event.message_type in MESSAGE_TYPES else "",
        )
        delivery = self.deliveries.get(event.delivery_id)
        if delivery is not None:
            if self._is_past_retention(event.delivery_id, delivery):
                return
            ends = [] if terms.times() == (current or ExpectedTerms(0.0, "")).times() else delivery.rows.values()
            for row in ends:  # by the terms before this declaration
                self._expire_if_over(event.delivery_id, row, self.tick)
        self.declared[event.delivery_id] = terms
        if delivery is not None:
            for row in delivery.rows.values():
                row.freeze_at = self._freeze_at(event.delivery_id, delivery)
            self.pass_time(self.tick)  # by the new terms, its rows may be past their retention

    def _window(self, delivery_id: str, source: str) -> float:
        declared = self.declared.get(delivery_id)
        if declared is not None and declared.window is not None:
            return declared.window
        return self.options.windows.get(source, self.options.window)

    def _rules(self, delivery_id: str) -> WaitRules:
        declared = self.declared.get(delivery_id)
        start = 0.0 if declared is None else declared.start or 0.0
        return WaitRules(
            lambda source: self._window(delivery_id, source), None if declared is None else declared.window, start
        )

    def _expires_at(self, delivery_id: str, row: ExpectedRow) -> float | None:
        return wait_ends_at(row, self._rules(delivery_id))

    def _expire_if_over(self, delivery_id: str, row: ExpectedRow, now: float) -> None:
        if end_wait(row, self._rules(delivery_id), min(now, row.freeze_at)):
            row.version += 1

    def _freeze_at(self, delivery_id: str, delivery: ExpectedDelivery) -> float:
        """Return when a delivery freezes; events without a delivery never do."""
        if not delivery_id:
            return float("inf")
        return self._start(delivery_id, delivery) + self._period(delivery_id)

    def _start_earlier(self, delivery_id: str, delivery: ExpectedDelivery, now: float) -> None:
        """Start a delivery at an event that arrived before those read so far."""
        latest = max(self.tick, delivery.updated_at)
        started_at = max(now, latest - max(self._period(delivery_id) / 2, 3 * 86_400))
        if started_at < delivery.started_at:
            delivery.started_at = started_at
            for row in delivery.rows.values():
                row.freeze_at = self._freeze_at(delivery_id, delivery)

    def _period(self, delivery_id: str) -> float:
        """Return the statistics period of a delivery."""
        declared = self.declared.get(delivery_id)
        return self.options.freeze if declared is None or declared.freeze is None else declared.freeze

    def _start(self, delivery_id: str, delivery: ExpectedDelivery) -> float:
        declared = self.declared.get(delivery_id)
        return delivery.started_at if declared is None or declared.start is None else declared.start

    def _is_past_retention(self, delivery_id: str, delivery: ExpectedDelivery) -> bool:
        """Return whether a delivery is past its retention; no event creates a row of it any more."""
        if not delivery_id:
            return False
        kept_until = self._start(delivery_id, delivery) + self.options.retention
        return max(kept_until, self._freeze_at(delivery_id, delivery)) <= self.tick

    def _take_late(self, delivery: ExpectedDelivery, event: FoldEvent, kind: str, now: float) -> None:
        """Fold an event after the freeze: statistics are closed, but a complaint still changes the contact."""
        row = delivery.rows.get(event.recipient)
        if row is not None:
            self._expire_if_over(event.delivery_id, row, now)
            if remembers(row, event.event_id):
                return
            if len(row.remembered) < REMEMBERED:
                remember(row, arrival_of(event, kind, now, "", {})._replace(late=True))
        if not event.test and (row is None or "test" not in row.facts):
            self._update_contact(event, kind, now, row)

    def _update_contact(self, event: FoldEvent, kind: str, now: float, row: ExpectedRow | None) -> None:
        confirmed = row is not None and "confirmed" in row.facts
        waits_since = None if row is None else row.pending_since
        self.contacts.update(event, kind, now, confirmed=confirmed, waits_since=waits_since)

    def _cause(self, event: FoldEvent, kind: str, offset: int) -> dict[str, Any]:
        raw_topic = self.options.raw_topics.get(event.source)
        if event.raw_offset >= 0 and event.raw_partition >= 0 and raw_topic is not None:
            position = RecordPosition(raw_topic, event.raw_partition, event.raw_offset)
        else:
            position = RecordPosition(self.options.events_topic, self.partition, offset)
        return dict(
            zip(("event_id", "kind", "topic", "partition", "offset"), (event.event_id, kind, *position), strict=True)
        )


def _with_message_type(event: FoldEvent, default_type: str) -> FoldEvent:
    """Return an event with the message type of its delivery, unless it names one."""
    if event.message_type or not default_type:
        return event
    return msgspec.structs.replace(event, message_type=default_type)
