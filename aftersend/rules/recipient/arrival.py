"""The order of arrival: a row is the same whatever order its events are read in (`docs/domain.md §2.4`).

Events are read in nearly the order in which they arrived. One that arrived before another that was read already goes to
its place in the history, and what depends on the order is derived from the history again: status, previous status,
waiting and expiry.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Final, NamedTuple

from aftersend.rules.recipient.decisions import Decision
from aftersend.rules.recipient.facts import Fact
from aftersend.rules.recipient.history import (
    ENTRY_BYTES,
    ID_BYTES,
    MAX_BYTES,
    NO_ID,
    iter_entries,
    pack_entry,
    unpack_entry,
)
from aftersend.rules.recipient.kinds import (
    DEFERRED,
    EXPIRED,
    HARD_BOUNCE,
    KIND_FACTS,
    KIND_RANK,
    KIND_STATUS,
    PLANNED,
    READY,
    SENT,
    SOFT_BOUNCE,
    SOFT_BOUNCE_EXHAUSTED,
)
from aftersend.rules.recipient.statuses import EXPIRES_TO, STATUS_EXPIRES, STATUS_RANK, STATUS_TERMINAL, STATUS_WAITS
from aftersend.rules.recipient.timing import SEND_START, TIME_TO_SEND
from aftersend.schemas.packing import pack_history_word, unpack_history_word, unpack_raw_position, with_decision
from aftersend.schemas.recipient import Row

#: Kinds that start a wait to be sent to.
PLANS: Final = frozenset({PLANNED, READY})
#: Kinds that start a wait for an outcome.
PENDING: Final = frozenset({SENT, DEFERRED, SOFT_BOUNCE, SOFT_BOUNCE_EXHAUSTED})
#: Before every event that arrived in the same millisecond: an event that arrives when a wait ends is too late.
_RANK_OF_EXPIRY: Final = -2
_DERIVED_FACTS: Final = Fact.EXPIRED | Fact.GIVEN_UP | Fact.VALIDITY_OVER | Fact.BOUNCED_AFTER_DELIVERY
_FACTS_OF_ENDS: Final = Fact.EXPIRED | Fact.GIVEN_UP | Fact.RETRIES_EXHAUSTED
_APPLIED: Final = Decision.APPLIED
_LOWER_PRIORITY: Final = Decision.LOWER_PRIORITY
_DECIDED_BY_STATUS: Final = frozenset({Decision.APPLIED, Decision.LOWER_PRIORITY, Decision.TERMINAL_LOCKED})


class Entry(NamedTuple):
    """An entry of a history; they compare in the order of arrival."""

    #: Milliseconds since 1970.
    arrived: int
    rank: int
    digest: bytes
    word: int
    raw_position: int

    @property
    def kind(self) -> int:
        """Kind of the event."""
        return unpack_history_word(self.word).kind

    @property
    def decision(self) -> int:
        """Decision on the event."""
        return unpack_history_word(self.word).decision

    @property
    def source(self) -> int:
        """Number of the event's source, 0 if its raw record is unknown."""
        return unpack_raw_position(self.raw_position).source

    def decided(self, decision: int) -> Entry:
        """Return the entry with another decision."""
        return self._replace(word=with_decision(self.word, decision))


def _entry_of(digest: bytes, word: int, raw_position: int) -> Entry:
    arrived, kind, _, _ = unpack_history_word(word)
    return Entry(arrived, _RANK_OF_EXPIRY if kind == EXPIRED else KIND_RANK[kind], digest, word, raw_position)


def entries_of(history: bytes) -> Iterator[Entry]:
    """Yield the entries of a packed history."""
    return (_entry_of(*fields) for fields in iter_entries(history))


def place_of(history: bytes, received_at: float, kind: int, digest: bytes) -> int:
    """Return the byte offset at which an event stands in a history; its length if the event comes behind all others.

    The order is that of arrival in milliseconds, then of the kind's rank, then of the bytes that stand for the id.
    """
    arrived, rank, at = int(received_at * 1000 + 0.5), KIND_RANK[kind], len(history)
    while at:
        other_digest, word, _ = unpack_entry(history, at - ENTRY_BYTES)
        if word >> 16 < arrived:
            break
        if word >> 16 == arrived:
            other = word >> 10 & 63
            other_rank = _RANK_OF_EXPIRY if other == EXPIRED else KIND_RANK[other]
            if (other_rank, other_digest) < (rank, digest):
                break
        at -= ENTRY_BYTES
    return at


def insert_among_open(row: Row, at: int, entry: bytes, kind: int, received_at: float, source: int) -> int:
    """Put an event into a row's history whose events are all compatible: no terminal status, no end of a wait.

    The quick path of `insert`, for rows that `is_open` accepts.

    Args:
        row: changed in place.
        at: place of the event.
        entry: of the event, packed.
        kind: of the event.
        received_at: arrival, seconds since 1970.
        source: number of the event's source.
    """
    history = row.history[:at] + entry + row.history[at:]
    status = previous = new_decision = place = 0
    patched: bytearray | None = None
    for _, word, _ in iter_entries(history):
        kind_there, decision = word >> 10 & 63, word >> 6 & 15
        if KIND_RANK[kind_there] > STATUS_RANK[status]:
            previous, status, now = status, KIND_STATUS[kind_there], _APPLIED
        else:
            now = _LOWER_PRIORITY
        if decision != now and decision in _DECIDED_BY_STATUS:
            if patched is None:
                patched = bytearray(history)
            patched[place + ID_BYTES : place + ID_BYTES + 8] = with_decision(word, now).to_bytes(8, "little")
            decision = now
        if place == at:
            new_decision = decision
        place += ENTRY_BYTES
    row.status, row.previous = status, previous
    row.history = history if patched is None else bytes(patched)
    if kind in PENDING and row.pending_since is not None and received_at < row.pending_since:
        row.pending_since, row.source = received_at, source
    return new_decision


def is_open(row: Row, status: int, kind: int, received_at: float, window: float) -> bool:
    """Return whether an event can be put among a row's other events by `insert_among_open`: it changes no status.

    Args:
        row: of the recipient.
        status: of the row.
        kind: of the event, which arrived before others.
        received_at: arrival, seconds since 1970.
        window: response window of the event's source, seconds.
    """
    history = row.history
    return (
        KIND_RANK[kind] <= STATUS_RANK[status]
        and not STATUS_TERMINAL[status]
        and not STATUS_TERMINAL[KIND_STATUS[kind]]
        and not row.facts & _FACTS_OF_ENDS
        and len(history) < MAX_BYTES
        and unpack_entry(history, len(history) - ENTRY_BYTES)[1] >> 6 & 15 != Decision.LATE
        and (kind not in PENDING or (received_at != row.pending_since and received_at + window > row.updated_at))
    )


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000 + 0.5)


def insert(  # noqa: PLR0913 - what `fold` has of the event; an object for it would be made for every event
    row: Row,
    entry: bytes,
    source: int,
    event_id: str,
    received_at: float,
    tick: float,
    windows: tuple[float, ...],
    *,
    attributed: bool,
) -> int:
    """Put an event that arrived before others into a row's history, and derive again what depends on the order.

    Counts, times and facts that do not depend on the order have been changed already.

    Args:
        row: changed in place.
        entry: of the event, packed; its decision is that of a row without status, `TEST` or `UNATTRIBUTED`.
        source: number of the event's source.
        event_id: of the event.
        received_at: arrival, seconds since 1970.
        tick: the last tick before it in the partition, seconds since 1970.
        windows: of the delivery (`aftersend.rules.recipient.timing.windows_of`).
        attributed: whether the event names a delivery and a recipient; a test message may not either.

    Returns:
        The `Decision` on the event.
    """
    (new,) = entries_of(entry)
    old = list(entries_of(row.history))
    if len(row.history) >= MAX_BYTES:
        # Earlier events may be forgotten, so nothing can be derived from the history alone.
        decision = _insert_into_full(row, old, new)
        if new[:3] > max(old)[:3]:
            row.cause, row.updated_at = event_id, max(row.updated_at, received_at)
        return decision
    events = [one for one in old if one.kind != EXPIRED]
    events.append(new)
    events.sort()
    derivation = _Derivation(windows, attributed=attributed)
    for one in events:
        # Without a raw record, an entry does not name its source; the row's is the best that is known.
        derivation.take(one, one.source or (source if one is new else row.source))
    derivation.end(tick)
    _apply(row, derivation, new, received_at)
    now_last = _last_in_time(derivation.entries)
    if now_last is not None and now_last.digest == new.digest:
        row.cause = event_id
    return next(one.decision for one in derivation.entries if one.digest == new.digest)


def _last_in_time(entries: list[Entry]) -> Entry | None:
    """Return the last event that was not late."""
    return next((one for one in reversed(entries) if one.kind != EXPIRED and one.decision != Decision.LATE), None)


def _apply(row: Row, derivation: _Derivation, new: Entry, received_at: float) -> None:
    """Change a row to what was derived."""
    row.status, row.previous = derivation.status, derivation.previous
    row.facts = row.facts & ~_DERIVED_FACTS | derivation.facts
    row.source = derivation.source
    exact = {_milliseconds(one): one for one in (row.pending_since, row.updated_at, received_at) if one is not None}
    pending = derivation.pending
    row.pending_since = None if pending is None else exact.get(pending, pending / 1000)
    row.updated_at = exact.get(derivation.updated, derivation.updated / 1000)
    if derivation.sent_until is not None:
        row.updated_at = derivation.sent_until
    elif derivation.window is not None:
        row.updated_at = (row.pending_since or 0.0) + derivation.window
    row.history = _packed(derivation.entries, new)


class _Derivation:
    """Derives what depends on the order of arrival, entry by entry: the rules of `fold`, without counts and times.

    Args:
        windows: response windows by source number, seconds.
        attributed: whether the row has a delivery and a recipient.
    """

    def __init__(self, windows: tuple[float, ...], *, attributed: bool) -> None:
        self._windows = windows
        self._attributed = attributed
        self.status = self.previous = self.source = self.facts = 0
        #: Arrival of the first event of the wait, milliseconds since 1970.
        self.pending: int | None = None
        #: Length of the wait for an outcome, seconds, if it has ended and nothing has happened since.
        self.window: float | None = None
        #: Arrival of the first `planned` or `ready`, milliseconds since 1970.
        self._planned: int | None = None
        #: When the time to send was over, seconds since 1970, if nothing has happened since.
        self.sent_until: float | None = None
        #: Time of the last change, milliseconds since 1970.
        self.updated = 0
        self.entries: list[Entry] = []
        self._delivered = self._exhausted = False

    def take(self, entry: Entry, source: int) -> None:
        """Take the next event; `source` is the number of its source."""
        if entry.decision == Decision.LATE:
            self.entries.append(entry)
            return
        self._expire(entry.arrived)
        kind = entry.kind
        if kind in PLANS and self._planned is None:
            self._planned = entry.arrived
        decision = self._change_status(kind)
        starts_wait = kind in PENDING and STATUS_WAITS[self.status] and self.pending is None
        if starts_wait:
            self.pending = entry.arrived
        facts = KIND_FACTS[kind]
        if kind == HARD_BOUNCE and self._delivered:
            self.facts |= Fact.BOUNCED_AFTER_DELIVERY
        self._delivered |= bool(facts & Fact.DELIVERED)
        self._exhausted |= bool(facts & Fact.RETRIES_EXHAUSTED)
        waits = STATUS_WAITS[self.status]
        if (starts_wait or not waits) and not self.facts & Fact.EXPIRED:
            self.source = source
        self.updated, self.window, self.sent_until = entry.arrived, None, None
        if entry.decision in _DECIDED_BY_STATUS:
            entry = entry.decided(decision)
        self.entries.append(entry)

    def _change_status(self, kind: int) -> int:
        status = self.status
        if not self._attributed:
            return Decision.UNATTRIBUTED
        if STATUS_TERMINAL[status]:
            return Decision.TERMINAL_LOCKED
        if KIND_RANK[kind] <= STATUS_RANK[status]:
            return Decision.LOWER_PRIORITY
        self.previous, self.status = status, KIND_STATUS[kind]
        if not STATUS_WAITS[self.status]:
            self.pending = None
        return Decision.APPLIED

    def end(self, tick: float) -> None:
        """End the wait if it is over by the last tick, seconds since 1970."""
        self._expire(_milliseconds(tick))

    def _expire(self, now: int) -> None:
        if STATUS_EXPIRES[self.status] and not STATUS_WAITS[self.status]:
            self._stop(now)
        if not STATUS_WAITS[self.status] or self.pending is None or self.facts & Fact.GIVEN_UP or self._exhausted:
            return
        window = self._windows[self.source]
        expiry = _milliseconds(self.pending / 1000 + window)
        if expiry > now:
            return
        status = EXPIRES_TO[self.status]
        if status == self.status:
            self.facts |= Fact.GIVEN_UP
        else:
            self.previous, self.status = self.status, status
            self.facts |= Fact.EXPIRED
        self.window = window
        self._end_wait(expiry)

    def _stop(self, now: int) -> None:
        """Stop a planned recipient if the time to send is over."""
        if self._planned is None or self._windows[TIME_TO_SEND] == inf:
            return
        until = max(self._planned / 1000, self._windows[SEND_START]) + self._windows[TIME_TO_SEND]
        if _milliseconds(until) > now:
            return
        self.previous, self.status = self.status, EXPIRES_TO[self.status]
        self.facts |= Fact.VALIDITY_OVER
        self.sent_until = until
        self._end_wait(_milliseconds(until))

    def _end_wait(self, expiry: int) -> None:
        self.updated = expiry
        word = pack_history_word(expiry / 1000, EXPIRED, Decision.APPLIED)
        self.entries.append(_entry_of(NO_ID, word, 0))


def _insert_into_full(row: Row, old: list[Entry], new: Entry) -> int:
    """Put an event into a history that may lack earlier ones: only a terminal status yields to an earlier one."""
    status, kind = row.status, new.kind
    decision = new.decision
    if decision in _DECIDED_BY_STATUS:
        decision = Decision.TERMINAL_LOCKED if STATUS_TERMINAL[status] else Decision.LOWER_PRIORITY
        winners = [one for one in old if KIND_STATUS[one.kind] == status and one.decision != Decision.LATE]
        yields = STATUS_TERMINAL[status] and STATUS_TERMINAL[KIND_STATUS[kind]] and winners and new < min(winners)
        if yields or (not STATUS_TERMINAL[status] and KIND_RANK[kind] > STATUS_RANK[status]):
            if not yields:
                row.previous = status
            row.status, decision = KIND_STATUS[kind], Decision.APPLIED
            if not STATUS_WAITS[row.status]:
                row.pending_since = None
    if kind == HARD_BOUNCE and row.facts & Fact.DELIVERED:
        row.facts |= Fact.BOUNCED_AFTER_DELIVERY
    row.history = _packed(sorted([*old, new.decided(decision)]), new)
    return decision


def _packed(entries: list[Entry], new: Entry) -> bytes:
    """Return entries packed, without the oldest of too many; the new one stays, so that its repeats are duplicates."""
    surplus = len(entries) - MAX_BYTES // ENTRY_BYTES
    if surplus > 0:
        oldest = [one for one in entries if one.digest != new.digest][:surplus]
        entries = [one for one in entries if one not in oldest]
    return b"".join(pack_entry(one.digest, one.word, one.raw_position) for one in entries)
