"""Folding one event into one row (`docs/domain.md §2`): the only place where a row changes.

Functions of a row, an event and the times that arrive with it. They change the row in place: the caller owns it, a copy
that becomes visible when its batch has been committed.
"""

from __future__ import annotations

from math import inf
from typing import Final

from aftersend.rules.recipient.arrival import PLANS, insert, insert_among_open, is_open, place_of
from aftersend.rules.recipient.decisions import Decision
from aftersend.rules.recipient.facts import Fact
from aftersend.rules.recipient.history import MAX_BYTES, NO_ID, find_entry, pack_entry, unpack_history, with_repeat
from aftersend.rules.recipient.kinds import (
    CLICKED,
    CLICKED_MACHINE,
    COMPLAINED,
    DEFERRED,
    DELIVERED,
    EXPIRED,
    HARD_BOUNCE,
    KIND_FACTS,
    KIND_RANK,
    KIND_STATUS,
    NOT_SENT_DUPLICATE_ADDRESS,
    OPENED,
    OPENED_MACHINE,
    SENT,
    SOFT_BOUNCE,
    SOFT_BOUNCE_EXHAUSTED,
    UNKNOWN,
    UNSUBSCRIBED,
    UNSUBSCRIBED_ONE_CLICK,
)
from aftersend.rules.recipient.statuses import (
    EXPIRED_STATUSES,
    EXPIRES_TO,
    NOT_SENT,
    NOT_SENT_EXPIRED,
    STATUS_EXPIRES,
    STATUS_RANK,
    STATUS_TERMINAL,
    STATUS_WAITS,
)
from aftersend.rules.recipient.timing import SEND_START, TIME_TO_SEND
from aftersend.schemas.event import MESSAGE_TYPES, FoldEvent
from aftersend.schemas.packing import pack_history_word
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
_FACT_VALIDITY_OVER: Final = Fact.VALIDITY_OVER
_FACTS_OF_EXPIRY: Final = Fact.EXPIRED | Fact.GIVEN_UP | Fact.VALIDITY_OVER
#: A row with one of them waits for no outcome any more, whatever its status.
_FACTS_OF_NO_WAIT: Final = Fact.GIVEN_UP | Fact.RETRIES_EXHAUSTED
_FACT_BOUNCED_AFTER_DELIVERY: Final = Fact.BOUNCED_AFTER_DELIVERY
_UNSUBSCRIBES: Final = frozenset({UNSUBSCRIBED, UNSUBSCRIBED_ONE_CLICK})
_TEMPORARY_FAILURES: Final = frozenset({DEFERRED, SOFT_BOUNCE, SOFT_BOUNCE_EXHAUSTED})
#: Kinds that set `Row.failure`, besides temporary failures: permanent failures, and every reason for not sending except
#: that of an extra copy.
_FAILURES: Final = frozenset(range(HARD_BOUNCE, UNKNOWN + 1)) | frozenset(range(NOT_SENT, 64)) - {
    NOT_SENT_DUPLICATE_ADDRESS
}

#: Numbers of the message types in rows; 0: unknown.
MESSAGE_TYPE_NUMBER: Final = {name: i for i, name in enumerate(("", *MESSAGE_TYPES))}
#: Characters of a diagnostic text that a failure keeps; the raw record has the complete text.
MAX_DIAGNOSTIC: Final = 250


def fold(  # noqa: C901, PLR0912, PLR0913, PLR0915, PLR0917 - the hot path: calls and argument objects would cost more than they clarify
    row: Row,
    event: FoldEvent,
    kind: int,
    received_at: float,
    tick: float,
    digest: bytes,
    raw_position: int,
    source: int,
    windows: tuple[float, ...],
) -> int:
    """Fold one event into its row and return the `Decision`.

    Args:
        row: changed in place.
        event: arrived before its delivery's freeze; later ones go to `remember_late`.
        kind: of the event (`kinds.kind_of`).
        received_at: arrival of its raw record, seconds since 1970.
        tick: the last tick before it in the partition, seconds since 1970.
        digest: of its id (`history.digest_of`).
        raw_position: of its raw record (`aftersend.schemas.packing.pack_raw_position`).
        source: number of its source.
        windows: of its delivery (`aftersend.rules.recipient.timing.windows_of`).
    """
    status = row.status
    if STATUS_EXPIRES[status]:
        expiry = expires_at(row, windows)
        if expiry is not None and (expiry <= received_at or expiry <= tick):
            expire(row, expiry)
            status = row.status
    history = row.history
    # A duplicate is searched twice, so that no other event costs a call.
    if history.find(digest) >= 0 and (at := find_entry(history, digest)) >= 0:
        row.history = with_repeat(history, at)
        return _DUPLICATE
    # Read after an event that arrived later, or after the end of a wait that it is in time for: its status is decided
    # below, by the order of arrival.
    earlier, place = False, 0
    if received_at <= row.updated_at and history:
        place = place_of(history, received_at, kind, digest)
        earlier = place < len(history)
    if status in EXPIRED_STATUSES and row.facts & _FACTS_OF_EXPIRY and _is_in_time(row, received_at, windows):
        earlier = True
    if not event.recipient or not event.delivery_id:
        decision = _UNATTRIBUTED
    elif earlier:
        decision = _LOWER_PRIORITY
    elif STATUS_TERMINAL[status]:
        decision = _TERMINAL_LOCKED
    elif KIND_RANK[kind] > STATUS_RANK[status]:
        row.previous = status
        row.status = status = KIND_STATUS[kind]
        if row.pending_since is not None and not STATUS_WAITS[status]:
            row.pending_since = None  # a row that has left the waiting statuses never returns to one
        decision = _APPLIED
    else:
        decision = _LOWER_PRIORITY

    at_provider = event.occurred_at or received_at
    starts_wait = False
    if kind == DELIVERED:
        if row.delivered_at is None or at_provider < row.delivered_at:
            row.delivered_at = at_provider
    elif kind == SENT:
        if row.sent_at is None or at_provider < row.sent_at:
            row.sent_at = at_provider
        if STATUS_WAITS[status] and row.pending_since is None:
            row.pending_since, starts_wait = received_at, True
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
        if STATUS_WAITS[status] and row.pending_since is None:
            row.pending_since, starts_wait = received_at, True
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
    if event.message_type and not row.message_type:
        row.message_type = MESSAGE_TYPE_NUMBER.get(event.message_type, 0)
    if event.address and row.address is None:
        row.address = event.address
    # `pack_history_word`, inlined.
    entry = pack_entry(digest, int(received_at * 1000 + 0.5) << 16 | kind << 10 | decision << 6, raw_position)
    if earlier:
        attributed = bool(event.recipient and event.delivery_id)
        changes_plan = kind in PLANS and windows[TIME_TO_SEND] < inf
        if attributed and not changes_plan and is_open(row, status, kind, received_at, windows[source]):
            return insert_among_open(row, place, entry, kind, received_at, source)
        return insert(row, entry, source, event.event_id, received_at, tick, windows, attributed=attributed)
    row.updated_at = received_at
    if source != row.source and (starts_wait or not STATUS_WAITS[status]) and not facts & _FACT_EXPIRED:
        # A row that waits, or has expired, keeps the source that started the wait: its response window applies.
        row.source = source
    row.cause = event.event_id
    history += entry
    if len(history) > MAX_BYTES:
        history = history[-MAX_BYTES:]
    row.history = history
    return decision


def _later_failure(old: Failure | None, event: FoldEvent, at_provider: float) -> Failure:
    """Return the later of two failures by the provider's clock, independent of the order of arrival."""
    new = Failure(at_provider, event.reason, event.code, event.enhanced_code, event.diagnostic[:MAX_DIAGNOSTIC])
    return new if old is None or _failure_order(new) > _failure_order(old) else old


def _failure_order(failure: Failure) -> tuple[float, int, str, str, str]:
    return failure.at, failure.code, failure.enhanced_code, failure.reason, failure.diagnostic


def _append_entry(history: bytes, entry: bytes) -> bytes:
    return (history + entry)[-MAX_BYTES:]


def _expiry_entry(expiry: float) -> bytes:
    return pack_entry(NO_ID, pack_history_word(expiry, EXPIRED, _APPLIED), 0)


def remember_late(row: Row, kind: int, received_at: float, digest: bytes, raw_position: int) -> bool:
    """Remember an event that arrived after its delivery's freeze; only the history changes.

    Returns:
        Whether the event is new, as far as the row remembers. A full history is not changed, so that it keeps the
        events that made the row's status.
    """
    history = row.history
    if (at := find_entry(history, digest)) >= 0:
        row.history = with_repeat(history, at)
        return False
    if len(history) < MAX_BYTES:
        row.history = history + pack_entry(digest, pack_history_word(received_at, kind, _LATE), raw_position)
    return True


def expires_at(row: Row, windows: tuple[float, ...]) -> float | None:
    """Return when a row's wait ends (seconds since 1970); None: it does not wait.

    Args:
        row: of the recipient.
        windows: of its delivery (`aftersend.rules.recipient.timing.windows_of`).
    """
    if not STATUS_WAITS[row.status]:
        return _sent_until(row, windows) if STATUS_EXPIRES[row.status] and windows[TIME_TO_SEND] < inf else None
    if row.pending_since is not None and not row.facts & _FACTS_OF_NO_WAIT:
        return row.pending_since + windows[row.source]
    return None


def _sent_until(row: Row, windows: tuple[float, ...]) -> float | None:
    """Return when the time to send to a planned recipient is over (seconds since 1970); None: nobody planned it.

    The validity counts from the arrival of the first `planned` or `ready`, and from the declared start at the earliest:
    an audience may be planned long before it, and an automation plans recipients for as long as it runs.
    """
    planned = [e.received_at for e in unpack_history(row.history) if e.kind in PLANS and e.decision != _LATE]
    return max(min(planned), windows[SEND_START]) + windows[TIME_TO_SEND] if planned else None


def expire(row: Row, expiry: float) -> None:
    """End a row's wait for an outcome, or to be sent to (`docs/domain.md §2.7`).

    The result does not depend on when this is called, so a late sweep or a replay gives the same row.

    Args:
        row: changed in place.
        expiry: the end of the wait, seconds since 1970.
    """
    status = EXPIRES_TO[row.status]
    if status == row.status:
        row.facts |= _FACT_GIVEN_UP
    else:
        row.previous, row.status = row.status, status
        row.facts |= _FACT_VALIDITY_OVER if status == NOT_SENT_EXPIRED else _FACT_EXPIRED
    row.version += 1
    row.updated_at = expiry
    row.history = _append_entry(row.history, _expiry_entry(expiry))


def _is_in_time(row: Row, received_at: float, windows: tuple[float, ...]) -> bool:
    """Return whether an event arrived before the end of the wait of a row that has expired.

    Ticks may overtake records that wait to be parsed, for example after an outage, and a declaration may have changed
    the window. The time of arrival decides.
    """
    if row.facts & _FACT_VALIDITY_OVER:
        until = _sent_until(row, windows)
        return until is not None and received_at < until
    return row.pending_since is not None and received_at < row.pending_since + windows[row.source]
