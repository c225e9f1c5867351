"""Events into rows, contacts and decisions, one at a time, as the description of the domain has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from aftersend.sandbox.reference import domain
from aftersend.sandbox.reference.contacts import Contacts
from aftersend.schemas.event import MESSAGE_TYPES, Feedback, FoldEvent

#: Events of a row by whose ids the same event is known again.
REMEMBERED: Final = 33
#: Rows keep at most so many characters of what the other side said.
MAX_DIAGNOSTIC: Final = 250


@dataclass(frozen=True, slots=True)
class ReferenceOptions:
    """What an installation has set; times in seconds."""

    freeze: float
    retention: float
    #: How long a row waits for an outcome, and by source where that differs.
    window: float
    windows: Mapping[str, float]
    #: Sources that the installation knows, with their raw topics.
    raw_topics: Mapping[str, str]
    events_topic: str
    #: When hard bounces prove an address bad.
    address_validity: str = "five-in-a-row"


@dataclass(slots=True)
class ExpectedRow:
    """One recipient of one delivery."""

    status: str = "none"
    final: bool = False
    previous: str = ""
    version: int = 0
    facts: set[str] = field(default_factory=set)
    source: str = ""
    message_type: str = ""
    updated_at: float = 0.0
    #: While the row waits for an outcome, or did in vain: the first arrival of what it waits for an outcome of.
    pending_since: float | None = None
    #: When the delivery's statistics are closed.
    freeze_at: float = 0.0
    #: `sent_at`, `delivered_at`, …
    times: dict[str, float] = field(default_factory=dict)
    #: `opens`, `clicks`, …
    tallies: dict[str, int] = field(default_factory=dict)
    #: At, SMTP code, enhanced code, reason, diagnostic text: the greatest stays.
    failure: tuple[float, int, str, str, str] | None = None
    address: str = ""
    cause: dict[str, Any] = field(default_factory=dict)
    #: Ids of the last events, oldest first; None for the end of a wait.
    remembered: list[str | None] = field(default_factory=list)

    def waits(self) -> bool:
        """Say whether an outcome is still to come, in time or not."""
        return self.status in domain.PENDING and not self.final

    def public(self, delivery_id: str, recipient: str) -> dict[str, Any]:
        """Return the row as the status topic shows it; the facts as a set."""
        failure = None
        if self.failure is not None:
            at, code, enhanced_code, reason, diagnostic = self.failure
            failure = {"at": at} | _without_defaults(
                {"reason": reason, "code": code, "enhanced_code": enhanced_code, "diagnostic": diagnostic}
            )
        fixed = {"schema": 1, "delivery_id": delivery_id, "recipient": recipient, "status": self.status}
        rest = {
            "previous": self.previous,
            "version": self.version,
            "source": self.source,
            "message_type": self.message_type,
            "updated_at": self.updated_at,
            **self.tallies,
            "failure": failure,
            "address": self.address,
            "cause": _without_defaults(self.cause),
            "final": self.final,
        }
        times = self.times if self.pending_since is None else {"pending_since": self.pending_since, **self.times}
        return fixed | _without_defaults(rest) | times | {"facts": self.facts}


def _without_defaults(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


@dataclass(frozen=True, slots=True)
class ExpectedTerms:
    """What a sender has said of a delivery, as far as its rows go by it; times in seconds, None: as is usual."""

    #: Arrival and event id.
    at: float
    event_id: str
    window: float | None = None
    freeze: float | None = None
    start: float | None = None
    message_type: str = ""

    def times(self) -> tuple[float | None, ...]:
        """Return what rows fare by."""
        return self.window, self.freeze, self.start


@dataclass(slots=True)
class ExpectedDelivery:
    """What one partition knows of one delivery."""

    started_at: float
    updated_at: float
    rows: dict[str, ExpectedRow] = field(default_factory=dict)
    #: Rows past their retention, with their recipients: gone, but their KPIs stay.
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
        #: Deliveries that were declared, whether anything was heard of them or not.
        self.declared: dict[str, ExpectedTerms] = {}
        self.contacts = Contacts(options.address_validity)
        self.events = 0

    def take(self, offset: int, timestamp_ms: int, event: FoldEvent) -> None:
        """Fold one event.

        Args:
            offset: of the event's record.
            timestamp_ms: of the event's record, which is its raw record's.
            event: what the record says.
        """
        now = event.received_at or timestamp_ms / 1000
        if event.type == "tick":
            self.pass_time(now)
            return
        self.events += 1
        kind = domain.kind_of(event)
        if kind == "released":  # about an address, not about a message
            self.contacts.hear(event, kind, now, confirmed=False)
            return
        if kind == "declared":
            self._declare(event, now)
            return
        delivery = self.deliveries.get(event.delivery_id)
        if delivery is None:
            delivery = self.deliveries[event.delivery_id] = ExpectedDelivery(now, now)
        delivery.updated_at = max(delivery.updated_at, now)
        source = event.source if event.source in self.options.raw_topics else ""
        freeze_at = self._freeze_at(event.delivery_id, delivery)
        gone = self._is_gone(event.delivery_id, delivery)
        declared = None if gone else self.declared.get(event.delivery_id)
        usual = "" if declared is None else declared.message_type
        if now >= freeze_at or gone:
            decision = "late"
            self._take_late(delivery, _typed(event, usual), kind, now)
        else:
            row = delivery.rows.get(event.recipient)
            if row is None:
                row = delivery.rows[event.recipient] = ExpectedRow(freeze_at=freeze_at, message_type=usual)
            self._end_wait(event.delivery_id, row, max(now, self.tick))
            if event.event_id in row.remembered:
                decision = "duplicate"
            else:
                self._reconsider(event.delivery_id, row, now)
                decision = _change(row, event, kind, now)
                keeps = row.waits() and (kind not in domain.PENDING or "given_up" in row.facts)
                if not keeps and "expired" not in row.facts:
                    row.source = source  # else it keeps the source that has it sent, whose window counts
                row.cause = self._cause(event, kind, offset)
                if decision != "test":
                    self._tell_contact(_typed(event, usual), kind, now, row)
        delivery.decisions[source, kind, decision] += 1

    def pass_time(self, now: float) -> None:
        """Note that it is at least so late (seconds since 1970).

        Waits that are over are ended when their row is next looked at, which makes no difference: the row then looks
        as if they had been ended at the very moment when they were over.
        """
        self.tick = max(self.tick, now)
        for delivery_id, delivery in self.deliveries.items():
            if not delivery_id:
                old = [r for r, row in delivery.rows.items() if row.updated_at + self.options.retention <= self.tick]
                delivery.forgotten += [(recipient, delivery.rows.pop(recipient)) for recipient in old]
            elif delivery.rows and self._is_gone(delivery_id, delivery):
                delivery.forgotten += delivery.rows.items()
                delivery.rows = {}

    def settled(self, delivery_id: str, row: ExpectedRow) -> ExpectedRow:
        """Return a row with its wait ended, if that is over by now; the row itself stays as it is."""
        if not self.is_overdue(delivery_id, row):
            return row
        result = copy(row)
        result.facts = set(row.facts)
        self._end_wait(delivery_id, result, self.tick)
        return result

    def is_overdue(self, delivery_id: str, row: ExpectedRow) -> bool:
        """Say whether a row's wait is over, though nobody has ended it yet."""
        due = self._due(delivery_id, row)
        return due is not None and due <= min(self.tick, row.freeze_at)

    def _declare(self, event: FoldEvent, now: float) -> None:
        """Take what a sender says of a delivery; it holds from here on, and does not undo what was."""
        said = event.declaration if isinstance(event, Feedback) else None
        known = self.declared.get(event.delivery_id)
        if said is None or not event.delivery_id:
            return
        if known is not None and known.event_id == event.event_id:  # the same again
            return
        if known is not None and (known.at, known.event_id) > (now, event.event_id):  # overtaken
            return
        hours, days = said.validity_hours, said.statistics_update_period_days
        said_now = ExpectedTerms(
            at=now,
            event_id=event.event_id,
            window=None if hours is None else hours * 3600,
            freeze=None if days is None else days * 86_400,
            start=said.start,
            message_type=event.message_type if event.message_type in MESSAGE_TYPES else "",
        )
        delivery = self.deliveries.get(event.delivery_id)
        if delivery is not None:
            if self._is_gone(event.delivery_id, delivery):
                return
            ends = [] if said_now.times() == (known or ExpectedTerms(0.0, "")).times() else delivery.rows.values()
            for row in ends:  # by the terms that were in force up to now
                self._end_wait(event.delivery_id, row, self.tick)
        self.declared[event.delivery_id] = said_now
        if delivery is not None:
            for row in delivery.rows.values():
                row.freeze_at = self._freeze_at(event.delivery_id, delivery)
            self.pass_time(self.tick)  # by what is said now, it may be long ago

    def _window(self, delivery_id: str, row: ExpectedRow) -> float:
        declared = self.declared.get(delivery_id)
        if declared is not None and declared.window is not None:
            return declared.window
        return self.options.windows.get(row.source, self.options.window)

    def _due(self, delivery_id: str, row: ExpectedRow) -> float | None:
        if not row.waits() or row.pending_since is None or "given_up" in row.facts:
            return None
        return row.pending_since + self._window(delivery_id, row)

    def _end_wait(self, delivery_id: str, row: ExpectedRow, now: float) -> None:
        due = self._due(delivery_id, row)
        if due is None or due > min(now, row.freeze_at):
            return
        if row.status == domain.GIVEN_UP_AS:
            row.facts.add("given_up")
        else:
            row.previous = row.status
            row.status = domain.EXPIRES_TO[row.status]
            row.final = True
            row.facts.add("expired")
        _remember(row, None)
        row.version += 1
        row.updated_at = due
        row.cause = {"kind": "expired"}

    def _reconsider(self, delivery_id: str, row: ExpectedRow, now: float) -> None:
        """Take an end of a wait back if something arrived in time that a tick has overtaken."""
        if row.pending_since is None or now >= row.pending_since + self._window(delivery_id, row):
            return
        if "expired" in row.facts:
            row.status, row.final, row.previous = row.previous, False, ""
            row.facts.discard("expired")
        elif row.waits():
            row.facts.discard("given_up")

    def _freeze_at(self, delivery_id: str, delivery: ExpectedDelivery) -> float:
        """Return when a delivery's statistics are closed; those of no delivery never are."""
        if not delivery_id:
            return float("inf")
        declared = self.declared.get(delivery_id)
        freeze = self.options.freeze if declared is None or declared.freeze is None else declared.freeze
        return self._start(delivery_id, delivery) + freeze

    def _start(self, delivery_id: str, delivery: ExpectedDelivery) -> float:
        declared = self.declared.get(delivery_id)
        return delivery.started_at if declared is None or declared.start is None else declared.start

    def _is_gone(self, delivery_id: str, delivery: ExpectedDelivery) -> bool:
        """Say whether a delivery is past its retention; nothing makes rows of it any more."""
        if not delivery_id:
            return False
        kept_until = self._start(delivery_id, delivery) + self.options.retention
        return max(kept_until, self._freeze_at(delivery_id, delivery)) <= self.tick

    def _take_late(self, delivery: ExpectedDelivery, event: FoldEvent, kind: str, now: float) -> None:
        """Take an event after the freeze: statistics are closed, but who complains must not be mailed again."""
        row = delivery.rows.get(event.recipient)
        if row is not None:
            self._end_wait(event.delivery_id, row, now)
            if event.event_id in row.remembered:
                return
            if len(row.remembered) < REMEMBERED:
                _remember(row, event.event_id)
        if not event.test and (row is None or "test" not in row.facts):
            self._tell_contact(event, kind, now, row)

    def _tell_contact(self, event: FoldEvent, kind: str, now: float, row: ExpectedRow | None) -> None:
        confirmed = row is not None and "confirmed" in row.facts
        waits_since = None if row is None else row.pending_since
        self.contacts.hear(event, kind, now, confirmed=confirmed, waits_since=waits_since)

    def _cause(self, event: FoldEvent, kind: str, offset: int) -> dict[str, Any]:
        raw_topic = self.options.raw_topics.get(event.source)
        if event.raw_offset >= 0 and event.raw_partition >= 0 and raw_topic is not None:
            place: tuple[str, int, int] = raw_topic, event.raw_partition, event.raw_offset
        else:
            place = self.options.events_topic, self.partition, offset
        return dict(
            zip(("event_id", "kind", "topic", "partition", "offset"), (event.event_id, kind, *place), strict=True)
        )


def _typed(event: FoldEvent, usual: str) -> FoldEvent:
    """Return an event with the message type of its delivery, unless it names one."""
    return event if event.message_type or not usual else msgspec.structs.replace(event, message_type=usual)


def _remember(row: ExpectedRow, event_id: str | None) -> None:
    row.remembered.append(event_id)
    if len(row.remembered) > REMEMBERED:
        del row.remembered[0]


def _change(row: ExpectedRow, event: FoldEvent, kind: str, now: float) -> str:
    """Change a row by an event that it has not seen; return the decision."""
    happened_at = event.occurred_at or now
    decision = _change_status(row, event, kind)
    new_facts = domain.facts_of(kind)
    if kind == "hard_bounce" and "delivered" in row.facts:
        row.facts.add("bounced_after_delivery")
    row.facts |= new_facts
    if event.test or "test" in row.facts:
        row.facts.add("test")
        decision = "test"

    if decision in {"applied", "test"} and not row.waits() and "expired" not in row.facts:
        row.pending_since = None
    elif row.waits() and kind in domain.PENDING and (row.pending_since is None or now < row.pending_since):
        row.pending_since = now
    first, last, tally = domain.FIRST_TIME.get(kind), domain.LAST_TIME.get(kind), domain.TALLY.get(kind)
    if first is not None:
        row.times[first] = min(happened_at, row.times.get(first, happened_at))
    if last is not None:
        row.times[last] = max(happened_at, row.times.get(last, happened_at))
    if tally is not None:
        row.tallies[tally] = row.tallies.get(tally, 0) + 1
    if kind in domain.FAILURES or (kind.startswith("not_sent_") and kind != "not_sent_duplicate_address"):
        said = event.diagnostic[:MAX_DIAGNOSTIC]
        failure = (happened_at, event.code, event.enhanced_code, event.reason, said)
        row.failure = failure if row.failure is None else max(failure, row.failure)

    row.version += 1
    row.updated_at = now
    if not row.message_type and event.message_type in MESSAGE_TYPES:
        row.message_type = event.message_type
    row.address = row.address or event.address
    _remember(row, event.event_id)
    return decision


def _change_status(row: ExpectedRow, event: FoldEvent, kind: str) -> str:
    if not (event.recipient and event.delivery_id):
        return "unattributed"
    if row.final:
        return "terminal_locked"
    status = domain.STATUS_OF_KIND.get(kind, kind)
    rank = domain.RANK_OF_KIND.get(kind, domain.rank_of(status))
    if not status or rank <= domain.rank_of(row.status):
        return "lower_priority"
    row.previous = "" if row.status == "none" else row.status
    row.status = status
    row.final = domain.is_terminal(status)
    return "applied"
