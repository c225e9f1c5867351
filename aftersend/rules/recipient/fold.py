"""One event into one row (`docs/domain.md §2`): the only place where a row changes.

Functions of (row, event) and of times that come with the event. They change the row that they are given, which the
caller owns: a copy that becomes visible when its batch has been committed.
"""

from __future__ import annotations

from typing import Final

from aftersend.rules.recipient.history import MAX_BYTES, NO_ID, find_entry, pack_entry, with_repeat
from aftersend.rules.recipient.lifecycle import (
    CLICKED,
    CLICKED_MACHINE,
    COMPLAINED,
    DEFERRED,
    DELIVERED,
    EXPIRED,
    EXPIRED_STATUSES,
    EXPIRES_TO,
    HARD_BOUNCE,
    KIND_FACTS,
    KIND_RANK,
    KIND_STATUS,
    NOT_SENT,
    NOT_SENT_DUPLICATE_ADDRESS,
    OPENED,
    OPENED_MACHINE,
    SENT,
    SOFT_BOUNCE,
    STATUS_RANK,
    STATUS_TERMINAL,
    STATUS_WAITS,
    UNKNOWN,
    UNSUBSCRIBED,
    UNSUBSCRIBED_ONE_CLICK,
    Decision,
    Fact,
)
from aftersend.schemas.event import MESSAGE_TYPES, FoldEvent
from aftersend.schemas.recipient import Failure, Row

_APPLIED: Final = Decision.APPLIED
_DUPLICATE: Final = Decision.DUPLICATE
_LOWER_PRIORITY: Final = Decision.LOWER_PRIORITY
_TERMINAL_LOCKED: Final = Decision.TERMINAL_LOCKED
_LATE: Final = Decision.LATE
_TEST: Final = Decision.TEST
_UNATTRIBUTED: Final = Decision.UNATTRIBUTED
_FACT_TEST: Final = Fact.TEST
_FACT_DELIVERED: Final = Fact.DELIVERED
_FACT_EXPIRED: Final = Fact.EXPIRED
_FACT_GIVEN_UP: Final = Fact.GIVEN_UP
_FACTS_OF_EXPIRY: Final = Fact.EXPIRED | Fact.GIVEN_UP
_FACT_BOUNCED_AFTER_DELIVERY: Final = Fact.BOUNCED_AFTER_DELIVERY
_UNSUBSCRIBES: Final = frozenset({UNSUBSCRIBED, UNSUBSCRIBED_ONE_CLICK})
#: Kinds after which a row waits for an outcome.
_PENDING: Final = frozenset({SENT, DEFERRED, SOFT_BOUNCE})
_TEMPORARY_FAILURES: Final = frozenset({DEFERRED, SOFT_BOUNCE})
#: Kinds that say why in `Row.failure`, as temporary failures do too: failures for good, and every reason for not
#: sending but that of an extra copy.
_FAILURES: Final = frozenset(range(HARD_BOUNCE, UNKNOWN + 1)) | frozenset(range(NOT_SENT, 64)) - {
    NOT_SENT_DUPLICATE_ADDRESS
}

#: Numbers of the message types, as rows hold them; 0: not known.
MESSAGE_TYPE_NUMBER: Final = {name: i for i, name in enumerate(("", *MESSAGE_TYPES))}
#: Failures keep at most this many characters of what the other side said; the raw record has all of it.
MAX_DIAGNOSTIC: Final = 250


def fold(  # noqa: C901, PLR0912, PLR0913, PLR0915, PLR0917 - the hot path: calls and packing of arguments would cost more than they tell
    row: Row,
    event: FoldEvent,
    kind: int,
    received_at: float,
    tick: float,
    digest: bytes,
    place: int,
    source: int,
    windows: tuple[float, ...],
) -> int:
    """Fold one event into its row and return the `Decision`.

    Args:
        row: changed in place.
        event: not after its delivery's freeze (that is `remember_late`).
        kind: of the event (`lifecycle.kind_of`).
        received_at: arrival of its raw record, seconds since 1970.
        tick: the last tick that came before it, seconds since 1970.
        digest: of its id (`history.digest_of`).
        place: of its raw record (`history.pack_raw_position`).
        source: its source's number.
        windows: by the source's number, how long a row waits for an outcome, seconds.
    """
    status = row.status
    if STATUS_WAITS[status]:
        due = expires_at(row, windows[row.source])
        if due is not None and (due <= received_at or due <= tick):
            expire(row, due)
            status = row.status
    history = row.history
    # Looked for twice where it is found, so that all others pay for no call.
    if history.find(digest) >= 0 and (at := find_entry(history, digest)) >= 0:
        row.history = with_repeat(history, at)
        return _DUPLICATE
    if status in EXPIRED_STATUSES and row.facts & _FACTS_OF_EXPIRY:
        _revert_expiry(row, received_at, windows)
        status = row.status

    if not event.recipient or not event.delivery_id:
        decision = _UNATTRIBUTED
    elif STATUS_TERMINAL[status]:
        decision = _TERMINAL_LOCKED
    elif KIND_RANK[kind] > STATUS_RANK[status]:
        row.previous = status
        row.status = status = KIND_STATUS[kind]
        if row.pending_since is not None and not STATUS_WAITS[status]:
            row.pending_since = None  # no status that waits ever comes back
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
        if STATUS_WAITS[status] and (row.pending_since is None or received_at < row.pending_since):
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
    elif kind in _TEMPORARY_FAILURES:
        if STATUS_WAITS[status] and (row.pending_since is None or received_at < row.pending_since):
            row.pending_since = received_at
        row.failure = _later_failure(row.failure, event, at_provider)
    elif kind in _FAILURES:
        if kind == HARD_BOUNCE and row.facts & _FACT_DELIVERED:
            row.facts |= _FACT_BOUNCED_AFTER_DELIVERY
        row.failure = _later_failure(row.failure, event, at_provider)
    elif kind in _UNSUBSCRIBES:
        if row.unsubscribed_at is None or at_provider < row.unsubscribed_at:
            row.unsubscribed_at = at_provider
    elif kind == COMPLAINED:
        if row.complained_at is None or at_provider < row.complained_at:
            row.complained_at = at_provider
    elif kind == CLICKED_MACHINE:
        row.machine_clicks += 1

    facts = row.facts | KIND_FACTS[kind]
    if event.test or facts & _FACT_TEST:
        facts |= _FACT_TEST
        decision = _TEST
    row.facts = facts
    row.version += 1
    row.updated_at = received_at
    if (
        source != row.source
        and ((kind in _PENDING and not facts & _FACT_GIVEN_UP) or not STATUS_WAITS[status])
        and not facts & _FACT_EXPIRED
    ):
        row.source = source  # a row that waits, or did in vain, keeps the source that has it sent: whose window counts
    row.cause = event.event_id
    if event.message_type and not row.message_type:
        row.message_type = MESSAGE_TYPE_NUMBER.get(event.message_type, 0)
    if event.address and row.address is None:
        row.address = event.address
    history += pack_entry(digest, int(received_at * 1000 + 0.5) << 16 | kind << 10 | decision << 6, place)
    if len(history) > MAX_BYTES:
        history = history[-MAX_BYTES:]
    row.history = history
    return decision


def _later_failure(old: Failure | None, event: FoldEvent, at_provider: float) -> Failure:
    """Return the later of two failures by the provider's clock, whatever the order of arrival."""
    new = Failure(at_provider, event.reason, event.code, event.enhanced_code, event.diagnostic[:MAX_DIAGNOSTIC])
    return new if old is None or _failure_order(new) > _failure_order(old) else old


def _failure_order(failure: Failure) -> tuple[float, int, str, str, str]:
    return failure.at, failure.code, failure.enhanced_code, failure.reason, failure.diagnostic


def _append_entry(history: bytes, entry: bytes) -> bytes:
    return (history + entry)[-MAX_BYTES:]


def _expiry_entry(due: float) -> bytes:
    return pack_entry(NO_ID, int(due * 1000 + 0.5) << 16 | EXPIRED << 10 | _APPLIED << 6, 0)


def remember_late(row: Row, kind: int, received_at: float, digest: bytes, place: int) -> bool:
    """Remember an event that came after its delivery's freeze; nothing but the history changes.

    Returns:
        Whether it is new, as far as the row remembers. A history that is full keeps what made the row what it is.
    """
    history = row.history
    if (at := find_entry(history, digest)) >= 0:
        row.history = with_repeat(history, at)
        return False
    if len(history) < MAX_BYTES:
        row.history = history + pack_entry(digest, int(received_at * 1000 + 0.5) << 16 | kind << 10 | _LATE << 6, place)
    return True


def expires_at(row: Row, window: float) -> float | None:
    """Return when a row that waits for an outcome expires (seconds since 1970), None if it waits for none."""
    if row.status in EXPIRES_TO and row.pending_since is not None and not row.facts & _FACT_GIVEN_UP:
        return row.pending_since + window
    return None


def expire(row: Row, due: float) -> None:
    """End a row's wait for an outcome.

    The row then looks as if this had been done at the very moment `due`, however late it is done: a sweep may take its
    time, and a replay with other sweeps gives the same rows.
    """
    status = EXPIRES_TO[row.status]
    if status == row.status:
        row.facts |= _FACT_GIVEN_UP
    else:
        row.previous, row.status = row.status, status
        row.facts |= _FACT_EXPIRED
    row.version += 1
    row.updated_at = due
    row.cause = ""
    row.history = _append_entry(row.history, _expiry_entry(due))


def _revert_expiry(row: Row, received_at: float, windows: tuple[float, ...]) -> None:
    """Take an expiry back if something arrived before it was due that only now gets here.

    Ticks overtake records that wait to be parsed, as after an outage. What was in time is in time.
    """
    if row.pending_since is None or received_at >= row.pending_since + windows[row.source]:
        return
    if row.status in EXPIRES_TO:
        row.facts &= ~_FACT_GIVEN_UP
    elif row.facts & _FACT_EXPIRED:
        row.status = row.previous
        row.previous = 0
        row.facts &= ~_FACT_EXPIRED
