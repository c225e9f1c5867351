"""Rows as they should be, and what one event changes in them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from aftersend.sandbox.reference import domain
from aftersend.schemas.event import MESSAGE_TYPES, FoldEvent

#: Number of events whose ids a row remembers (`docs/domain.md §2.5`), an expiry included.
REMEMBERED: Final = 33
#: Characters of a diagnostic text that a row keeps.
MAX_DIAGNOSTIC: Final = 250


class Arrival(NamedTuple):
    """An event in the memory of a row, or the end of a wait; they compare in the order of arrival."""

    milliseconds: int
    #: Of the kind; the end of a wait comes before the events of its millisecond.
    rank: int
    #: Sixteen bytes that stand for the event's id.
    digest: bytes
    event_id: str
    kind: str
    at: float
    source: str
    #: Position of the raw record, as a row shows it.
    cause: dict[str, Any]
    late: bool = False
    #: Whether the row knows the event's source, by the place of its raw record.
    placed: bool = True


def arrival_of(event: FoldEvent, kind: str, at: float, source: str, cause: dict[str, Any]) -> Arrival:
    """Return what a row remembers of an event that arrived at a time, seconds since 1970."""
    rank = domain.RANK_OF_KIND.get(kind, domain.rank_of(domain.STATUS_OF_KIND.get(kind, kind) or "none"))
    placed = bool(source) and event.raw_offset >= 0 and event.raw_partition >= 0
    digest = _digest(event.event_id)
    return Arrival(int(at * 1000 + 0.5), rank, digest, event.event_id, kind, at, source, cause, placed=placed)


def end_of_wait(at: float) -> Arrival:
    """Return the end of a wait at a time, seconds since 1970."""
    return Arrival(int(at * 1000 + 0.5), -2, b"", "", "expired", at, "", {"kind": "expired"})


def _digest(event_id: str) -> bytes:
    if len(event_id) == 32 and set(event_id.lower()) <= set("0123456789abcdef"):
        return bytes.fromhex(event_id)
    return hashlib.blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class WaitRules(NamedTuple):
    """How long the rows of a delivery wait."""

    #: Returns the response window of a source, seconds.
    window_of: Callable[[str], float]
    #: How long a planned recipient waits to be sent to, seconds; None: for ever.
    to_send: float | None
    #: Declared start, seconds since 1970; 0.0: none.
    start: float


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
    #: While the row waits for an outcome, or if it has expired: first arrival of `sent`, `deferred` or `soft_bounce`.
    pending_since: float | None = None
    #: When the delivery freezes.
    freeze_at: float = 0.0
    #: `sent_at`, `delivered_at`, …
    times: dict[str, float] = field(default_factory=dict)
    #: `opens`, `clicks`, …
    tallies: dict[str, int] = field(default_factory=dict)
    #: Time, SMTP code, enhanced code, reason, diagnostic text: the greatest stays.
    failure: tuple[float, int, str, str, str] | None = None
    address: str = ""
    cause: dict[str, Any] = field(default_factory=dict)
    #: The last events in the order of arrival, ends of waits included.
    remembered: list[Arrival] = field(default_factory=list)

    def waits(self) -> bool:
        """Return whether the row waits for an outcome, in time or not."""
        return self.status in domain.PENDING and not self.final

    def public(self, delivery_id: str, recipient: str) -> dict[str, Any]:
        """Return the row as the status topic shows it; the facts as a set."""
        failure = None
        if self.failure is not None:
            at, code, enhanced_code, reason, diagnostic = self.failure
            failure = {"at": at} | _without_defaults(
                {"reason": reason, "code": code, "enhanced_code": enhanced_code, "diagnostic": diagnostic}
            )
        fixed: dict[str, Any] = {"schema": 1, "delivery_id": delivery_id, "recipient": recipient}
        fixed |= {"status": self.status, "updated_at": self.updated_at}
        rest = {
            "previous": self.previous,
            "version": self.version,
            "source": self.source,
            "message_type": self.message_type,
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


def remembers(row: ExpectedRow, event_id: str) -> bool:
    """Return whether a row remembers an event."""
    return any(one.kind != "expired" and one.digest == _digest(event_id) for one in row.remembered)


def remember(row: ExpectedRow, arrival: Arrival) -> None:
    """Add an event to those that the row remembers, in place."""
    row.remembered.append(arrival)
    if len(row.remembered) > REMEMBERED:
        del row.remembered[0]


def change_row(row: ExpectedRow, event: FoldEvent, arrival: Arrival, rules: WaitRules, until: float) -> str:
    """Fold an event that is new to the row, in place; return the decision.

    Args:
        row: its row.
        event: the event.
        arrival: of the event.
        rules: how long rows of its delivery wait.
        until: the time by which a wait may have ended, seconds since 1970.
    """
    kind, now = arrival.kind, arrival.at
    overtaken = is_overtaken(row, arrival, rules)
    attributed = bool(event.recipient and event.delivery_id)
    decision = "unattributed" if overtaken else _change_status(row, kind, attributed=attributed)
    new_facts = domain.facts_of(kind)
    if kind == "hard_bounce" and "delivered" in row.facts:
        row.facts.add("bounced_after_delivery")
    row.facts |= new_facts
    if event.test or "test" in row.facts:
        row.facts.add("test")
        decision = "test"

    starts_wait = False
    if overtaken:
        pass  # see `put_in_order`
    elif decision in {"applied", "test"} and not row.waits() and "expired" not in row.facts:
        row.pending_since = None
    elif row.waits() and kind in domain.STARTS_WAIT and row.pending_since is None:
        row.pending_since, starts_wait = now, True
    _count(row, event, kind, event.occurred_at or now)

    row.version += 1
    if not row.message_type and event.message_type in MESSAGE_TYPES:
        row.message_type = event.message_type
    row.address = row.address or event.address
    if overtaken:
        derived = put_in_order(row, arrival, rules, until, attributed=attributed)
        return decision if decision == "test" else derived
    row.updated_at = now
    if (starts_wait or not row.waits()) and "expired" not in row.facts:
        # Else it keeps the source that started the wait, whose response window applies.
        row.source = arrival.source
    row.cause = arrival.cause
    remember(row, arrival)
    return decision


def _count(row: ExpectedRow, event: FoldEvent, kind: str, happened_at: float) -> None:
    """Change what no order matters to: times, numbers and the failure."""
    first, last, tally = domain.FIRST_TIME.get(kind), domain.LAST_TIME.get(kind), domain.TALLY.get(kind)
    if first is not None:
        row.times[first] = min(happened_at, row.times.get(first, happened_at))
    if last is not None:
        row.times[last] = max(happened_at, row.times.get(last, happened_at))
    if tally is not None:
        row.tallies[tally] = row.tallies.get(tally, 0) + 1
    if kind in domain.FAILURES or (kind.startswith("not_sent_") and kind != "not_sent_duplicate_address"):
        diagnostic = event.diagnostic[:MAX_DIAGNOSTIC]
        failure = (happened_at, event.code, event.enhanced_code, event.reason, diagnostic)
        row.failure = failure if row.failure is None else max(failure, row.failure)


def is_overtaken(row: ExpectedRow, arrival: Arrival, rules: WaitRules) -> bool:
    """Return whether an event arrived before another of its row, or before the end of a wait that was too early."""
    if "validity_over" in row.facts:
        until = _sent_until(row, rules)
        if until is not None and arrival.at < until:
            return True
    expired = "expired" in row.facts or (row.waits() and "given_up" in row.facts)
    if expired and row.pending_since is not None and arrival.at < row.pending_since + rules.window_of(row.source):
        return True
    return bool(row.remembered) and arrival.at <= row.updated_at and arrival[:3] <= row.remembered[-1][:3]


def put_in_order(row: ExpectedRow, arrival: Arrival, rules: WaitRules, until: float, *, attributed: bool) -> str:
    """Put an overtaken event where it belongs, and go through all events again; return the decision on it."""
    if len(row.remembered) >= REMEMBERED:
        return _put_into_full(row, arrival, attributed=attributed)
    events = sorted([*(one for one in row.remembered if one.kind != "expired"), arrival], key=lambda one: one[:3])
    # Without a raw record, a row does not remember whose an event was: it takes its own source for it.
    unknown = row.source
    row.remembered, row.status, row.final, row.previous, row.source, row.pending_since = [], "none", False, "", "", None
    row.facts -= {"expired", "given_up", "validity_over", "retries_exhausted", "bounced_after_delivery"}
    decisions, delivered = {}, False
    for one in events:
        if not one.late:
            end_wait(row, rules, one.at)
            decisions[one.digest] = _change_status(row, one.kind, attributed=attributed)
            starts_wait = row.waits() and one.kind in domain.STARTS_WAIT and row.pending_since is None
            if starts_wait:
                row.pending_since = one.at
            elif not row.waits() and "expired" not in row.facts:
                row.pending_since = None
            if one.kind == "hard_bounce" and delivered:
                row.facts.add("bounced_after_delivery")
            delivered |= "delivered" in domain.facts_of(one.kind)
            row.facts |= domain.facts_of(one.kind) & {"retries_exhausted"}
            if (starts_wait or not row.waits()) and "expired" not in row.facts:
                row.source = one.source if one.placed or one is arrival else unknown
            row.cause, row.updated_at = one.cause, one.at
        row.remembered.append(one)
    end_wait(row, rules, until)
    _forget_oldest(row, arrival)
    return decisions[arrival.digest]


def end_wait(row: ExpectedRow, rules: WaitRules, now: float) -> bool:
    """End the wait of a row that is over at a time, seconds since 1970; return whether it was."""
    expiry = wait_ends_at(row, rules)
    if expiry is None or expiry > now:
        return False
    if row.status == domain.GIVEN_UP_AS:
        row.facts.add("given_up")
    else:
        row.facts.add("validity_over" if row.status in domain.PLANS else "expired")
        row.previous, row.status, row.final = row.status, domain.EXPIRES_TO[row.status], True
    remember(row, end_of_wait(expiry))
    row.updated_at = expiry
    row.cause = {"kind": "expired"}
    return True


def wait_ends_at(row: ExpectedRow, rules: WaitRules) -> float | None:
    """Return when the wait of a row ends, seconds since 1970; None: it does not wait."""
    if row.status in domain.PLANS:
        return None if rules.to_send is None else _sent_until(row, rules)
    if not row.waits() or row.pending_since is None or row.facts & domain.NO_WAIT:
        return None
    return row.pending_since + rules.window_of(row.source)


def _sent_until(row: ExpectedRow, rules: WaitRules) -> float | None:
    """Return when the time to send to a planned recipient is over; None: nobody planned it."""
    planned = [one.milliseconds / 1000 for one in row.remembered if one.kind in domain.PLANS and not one.late]
    if not planned:
        return None
    return float("inf") if rules.to_send is None else max(min(planned), rules.start) + rules.to_send


def _put_into_full(row: ExpectedRow, arrival: Arrival, *, attributed: bool) -> str:
    """Put an overtaken event among as many others as a row remembers: a terminal status yields to an earlier one."""
    decision = "unattributed"
    if attributed:
        status = domain.STATUS_OF_KIND.get(arrival.kind, arrival.kind)
        terminal = bool(status) and domain.is_terminal(status)
        same = [o for o in row.remembered if not o.late and o.kind != "expired" and _status_of(o.kind) == row.status]
        decision = "terminal_locked" if row.final else "lower_priority"
        if row.final and terminal and same and arrival[:3] < min(one[:3] for one in same):
            row.status, decision = status, "applied"
        elif not row.final:
            decision = _change_status(row, arrival.kind, attributed=True)
            if decision == "applied" and not row.waits():
                row.pending_since = None
    if arrival.kind == "hard_bounce" and "delivered" in row.facts:
        row.facts.add("bounced_after_delivery")
    if arrival[:3] > max(one[:3] for one in row.remembered):
        row.cause, row.updated_at = arrival.cause, max(row.updated_at, arrival.at)
    row.remembered = sorted([*row.remembered, arrival], key=lambda one: one[:3])
    _forget_oldest(row, arrival)
    return decision


def _forget_oldest(row: ExpectedRow, new: Arrival) -> None:
    """Forget the oldest of too many, but not the new one."""
    while len(row.remembered) > REMEMBERED:
        del row.remembered[1 if row.remembered[0].digest == new.digest else 0]


def _status_of(kind: str) -> str:
    return domain.STATUS_OF_KIND.get(kind, kind)


def _change_status(row: ExpectedRow, kind: str, *, attributed: bool) -> str:
    if not attributed:
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
