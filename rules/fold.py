"""Events into one row (`semantics.md` section 2): the only place where a row changes.

Functions of (row, events) and of times that come with the events. They change the row that they are given, which the
caller owns: a copy that becomes visible when its batch has been committed.
"""

from __future__ import annotations

from typing import Final

from rules.contacts import CONCERNS
from rules.history import ENTRY_BYTES, MAX_BYTES, find, pack, repeated
from rules.lifecycle import (
    CLICKED,
    CLICKED_MACHINE,
    COMPLAINED,
    DEFERRED,
    DELIVERED,
    EXPIRED,
    EXPIRES_TO,
    HARD_BOUNCE,
    KIND_FACTS,
    KIND_RANK,
    KIND_STATUS,
    OPENED,
    OPENED_MACHINE,
    SENT,
    SOFT_BOUNCE,
    STATUS_RANK,
    STATUS_TERMINAL,
    UNKNOWN,
    UNSUBSCRIBED,
    UNSUBSCRIBED_ONE_CLICK,
    Decision,
    Fact,
)
from schemas.feedback import MESSAGE_TYPES, Folded
from schemas.state import Failure, Row

_APPLIED: Final = Decision.APPLIED
_DUPLICATE: Final = Decision.DUPLICATE
_LOWER_PRIORITY: Final = Decision.LOWER_PRIORITY
_TERMINAL_LOCKED: Final = Decision.TERMINAL_LOCKED
_LATE: Final = Decision.LATE
_TEST: Final = Decision.TEST
_UNATTRIBUTED: Final = Decision.UNATTRIBUTED
_FACT_TEST: Final = Fact.TEST
_NEVER: Final = float("inf")
_FIRST_WAITING: Final = min(EXPIRES_TO)
_LAST_WAITING: Final = max(EXPIRES_TO)

#: Numbers of the message types, as rows hold them; 0: not known.
MESSAGE_TYPE_NUMBER: Final = {name: i for i, name in enumerate(("", *MESSAGE_TYPES))}
#: Failures keep at most this many characters of what the other side said; the raw record has all of it.
MAX_DIAGNOSTIC: Final = 250

#: An event on its way into its row: the event, its kind (`lifecycle.kind_of`), the arrival of its raw record (seconds
#: since 1970), the digest of its id (`history.digest_of`), the place of the raw record (`history.place_of`), the
#: source's number, and its number in the order of arrival.
Item = tuple[Folded, int, float, int, int, int, int]
#: What concerns the contact too: number in the order of arrival, event, kind, arrival, the row's facts after it.
Concern = tuple[int, Folded, int, float, int]


def fold(
    row: Row,
    items: list[Item],
    tick: float,
    windows: tuple[float, ...],
    counted: list[int],
    concerns: list[Concern],
    has_contact: bool,  # noqa: FBT001 - called for every row: by position it costs less
) -> None:
    """Fold the events of one row, in order.

    Folding them one by one gives the same as folding them at once; together they cost less.

    Args:
        row: changed in place.
        items: the events, none of them after the delivery's freeze (`late`).
        tick: the last tick that came before them, seconds since 1970.
        windows: by the source's number, how long a row waits for an outcome, seconds.
        counted: gets (source << 12 | kind << 4 | decision) for each event.
        concerns: gets what `rules.contacts` should hear of.
        has_contact: something is held against the address already, so deliveries count there too.
    """
    status, facts, version, history = row.status, row.facts, row.version, row.history
    event = items[0][0]
    attributed = bool(event.recipient and event.delivery_id)
    concerned = 1 if has_contact else 2
    for event, kind, received_at, digest, place, source, number in items:
        if _FIRST_WAITING <= status <= _LAST_WAITING:
            pending_since = row.pending_since
            due = pending_since + windows[row.source] if pending_since is not None else _NEVER
            if due <= received_at or due <= tick:
                row.status, row.facts, row.version, row.history = status, facts, version, history
                expire(row, due)
                status, facts, version, history = row.status, row.facts, row.version, row.history
        if history and (at := find(history, digest)) >= 0:
            history = repeated(history, at)
            counted.append(source << 12 | kind << 4 | _DUPLICATE)
            continue

        if not attributed:
            decision = _UNATTRIBUTED
        elif STATUS_TERMINAL[status]:
            decision = _TERMINAL_LOCKED
        elif KIND_RANK[kind] > STATUS_RANK[status]:
            row.previous = status
            status = KIND_STATUS[kind]
            decision = _APPLIED
        else:
            decision = _LOWER_PRIORITY

        at_provider = event.occurred_at or received_at
        if kind == DELIVERED:
            if row.delivered_at is None or at_provider < row.delivered_at:
                row.delivered_at = at_provider
        elif kind == SENT:
            if row.sent_at is None or at_provider < row.sent_at:
                row.sent_at = at_provider
            if row.pending_since is None or received_at < row.pending_since:
                row.pending_since = received_at
        elif kind == OPENED:
            row.opens += 1
            if row.opened_at is None or at_provider < row.opened_at:
                row.opened_at = at_provider
            if row.last_opened_at is None or at_provider > row.last_opened_at:
                row.last_opened_at = at_provider
        elif kind == CLICKED:
            row.clicks += 1
            if row.clicked_at is None or at_provider < row.clicked_at:
                row.clicked_at = at_provider
            if row.last_clicked_at is None or at_provider > row.last_clicked_at:
                row.last_clicked_at = at_provider
        elif kind == OPENED_MACHINE:
            row.machine_opens += 1
        else:
            facts |= _fold_rarer(row, event, kind, received_at, at_provider, facts)

        facts |= KIND_FACTS[kind]
        if event.test or facts & _FACT_TEST:
            facts |= _FACT_TEST
            decision = _TEST
        elif CONCERNS[kind] >= concerned and event.recipient:
            concerned = 1
            concerns.append((number, event, kind, received_at, facts))
        version += 1
        row.updated_at = received_at
        row.source = source
        row.cause = event.event_id
        if event.message_type and not row.message_type:
            row.message_type = MESSAGE_TYPE_NUMBER.get(event.message_type, 0)
        if event.address and row.address is None:
            row.address = event.address
        history += pack(digest, int(received_at * 1000 + 0.5) << 16 | kind << 10 | decision << 6, place)
        if len(history) > MAX_BYTES:
            history = history[ENTRY_BYTES:]
        counted.append(source << 12 | kind << 4 | decision)
    row.status, row.facts, row.version, row.history = status, facts, version, history


def _fold_rarer(
    row: Row, event: Folded, kind: int, received_at: float, at_provider: float, facts: int
) -> int:
    """Fold what is particular to the kinds that come less often; return facts beyond the kind's own."""
    if kind in {DEFERRED, SOFT_BOUNCE}:
        if row.pending_since is None or received_at < row.pending_since:
            row.pending_since = received_at
        _remember_failure(row, event, at_provider)
    elif HARD_BOUNCE <= kind <= UNKNOWN:
        _remember_failure(row, event, at_provider)
        if kind == HARD_BOUNCE and facts & Fact.DELIVERED:
            return Fact.BOUNCED_AFTER_DELIVERY
    elif kind in {UNSUBSCRIBED, UNSUBSCRIBED_ONE_CLICK}:
        if row.unsubscribed_at is None or at_provider < row.unsubscribed_at:
            row.unsubscribed_at = at_provider
    elif kind == COMPLAINED:
        if row.complained_at is None or at_provider < row.complained_at:
            row.complained_at = at_provider
    elif kind == CLICKED_MACHINE:
        row.machine_clicks += 1
    elif event.type == "not_sent":
        _remember_failure(row, event, at_provider)
    return 0


def _remember_failure(row: Row, event: Folded, at_provider: float) -> None:
    """Keep the latest failure by the provider's clock, whatever the order of arrival."""
    new = Failure(at_provider, event.reason, event.code, event.enhanced_code, event.diagnostic[:MAX_DIAGNOSTIC])
    old = row.failure
    if old is None or _order(new) > _order(old):
        row.failure = new


def _order(failure: Failure) -> tuple[float, int, str, str, str]:
    return failure.at, failure.code, failure.enhanced_code, failure.reason, failure.diagnostic


def late(row: Row, kind: int, received_at: float, digest: int, place: int) -> None:
    """Remember an event that came after its delivery's freeze; nothing but the history changes."""
    remembered = row.history
    if remembered and (at := find(remembered, digest)) >= 0:
        row.history = repeated(remembered, at)
    else:
        entry = pack(digest, int(received_at * 1000 + 0.5) << 16 | kind << 10 | _LATE << 6, place)
        row.history = (remembered + entry)[-MAX_BYTES:]


def due_at(row: Row, window: float) -> float | None:
    """Return when a row that waits for an outcome expires (seconds since 1970), None if it waits for none."""
    if row.status in EXPIRES_TO and row.pending_since is not None:
        return row.pending_since + window
    return None


def expire(row: Row, due: float) -> None:
    """End a row's wait for an outcome.

    The row then looks as if this had been done at the very moment `due`, however late it is done: a sweep may take its
    time, and a replay with other sweeps gives the same rows.
    """
    row.previous = row.status
    row.status = EXPIRES_TO[row.status]
    row.facts |= Fact.EXPIRED
    row.version += 1
    row.updated_at = due
    row.cause = ""
    entry = pack(0, int(due * 1000 + 0.5) << 16 | EXPIRED << 10 | _APPLIED << 6, 0)
    row.history = (row.history + entry)[-MAX_BYTES:]
