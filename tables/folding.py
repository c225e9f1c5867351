"""A batch of events into rows, contacts and KPIs: the hot path, and what it writes.

Nothing here changes the store: all that a batch changes is gathered in `Changes` and becomes visible when the batch's
transaction has been committed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from engine import dead_letters
from engine.transport import Batch
from engine.writer import Output
from rules import contacts as contact_rules
from rules.contacts import CONCERNS, CONCERNS_KNOWN, is_lasting
from rules.fold import MESSAGE_TYPE_NUMBER, due_at, expire, fold, late
from rules.history import ENTRY_BYTES, ID_BYTES, digest_of
from rules.indicators import merged
from rules.lifecycle import (
    DECLARED,
    DEFERRED,
    KIND_OF_TYPE,
    RELEASED,
    STATUS_WAITS,
    TICK,
    UNKNOWN,
    Decision,
    Fact,
    second_look,
)
from rules.timing import Timing, closes_at, windows_of
from rules.validity import DEFAULT_POLICY, VALIDITY_POLICIES
from schemas.delivery import Terms
from schemas.feedback import Folded
from schemas.state import Contact, KpiPartial, Row
from tables import codec, declarations
from tables.codec import (
    CLOCK_KEY,
    HEADER,
    SEPARATOR,
    Codec,
    decode_row,
    encode_json,
    encode_row,
    pack_contact,
    unpack_contact,
)
from tables.store import Changes, PartitionStore

_decode_event: Final = msgspec.json.Decoder(Folded).decode
_NO_CELL: Final = -1
#: Events that are decoded and folded in one go: so many fit into a core's own cache, and waiting for memory is what
#: costs most here (measured with `benchmarks/folding.py`).
_CHUNK: Final = 256
_FOREVER: Final = float("inf")
#: Nothing was heard of the delivery before.
_UNHEARD: Final = -1.0
_FACT_TEST: Final = Fact.TEST
_DUPLICATE: Final = Decision.DUPLICATE
_TEST: Final = Decision.TEST


class FoldOptions(msgspec.Struct, frozen=True):
    """What folding needs to know of the installation."""

    timing: Timing
    #: Of the sources, by name.
    numbers: Mapping[str, int]
    #: Rows that one tick may look at, for each partition; the rest waits for the next tick.
    sweep_rows: int = 50_000
    #: Hard bounces in a row after which an address is not valid (`rules.validity`).
    invalid_after: int = VALIDITY_POLICIES[DEFAULT_POLICY]
    #: Of the events topic: which of them shows a delivery to the world depends on it.
    partitions: int = 1


class Fold(msgspec.Struct):
    """What came of a batch."""

    changes: Changes
    #: (source << 12 | kind << 4 | decision) -> events.
    events: dict[int, int]
    #: Deliveries with rows that may expire, and when the first does.
    due: dict[str, float]
    records: int
    #: Records that could not be read, by the class of the error.
    errors: dict[str, int]
    #: How the rows of all deliveries together moved between KPI classes (`KpiPartial.cells`).
    cells: dict[int, int]

    @property
    def dead(self) -> int:
        """How many records could not be read."""
        return sum(self.errors.values())


class _Delivery:
    """A delivery during one batch."""

    __slots__ = (
        "archived",
        "before",
        "counted",
        "forgotten",
        "freeze_at",
        "gone_at",
        "id",
        "last_at",
        "live",
        "message_type",
        "partial",
        "started_at",
        "stored",
        "terms",
        "windows",
    )

    def __init__(
        self,
        delivery_id: str,
        partial: KpiPartial | None,
        terms: Terms | None,
        windows: tuple[float, ...],
        stored: Callable[[str], bytes | None],
    ) -> None:
        self.id = delivery_id
        self.partial = partial
        self.terms = terms
        #: As declared, "" if nobody said; of rows that begin from here on.
        self.message_type = "" if terms is None else terms.message_type
        #: By the source's number, how long a row waits for an outcome, seconds.
        self.windows = windows
        self.stored = stored
        #: Rows that this batch has touched, and the KPI class of each before, in the same order.
        self.live: dict[str, Row] = {}
        self.before: list[int] = []
        #: A key of `KpiPartial.events` for each event.
        self.counted: list[int] = []
        self.started_at = 0.0
        self.freeze_at = _UNHEARD
        #: When its rows are forgotten.
        self.gone_at = _FOREVER
        self.last_at = partial.updated_at if partial is not None else 0.0
        #: Recipients whose rows are forgotten; `archived` with the last of them.
        self.forgotten: list[str] = []
        self.archived = partial is not None and partial.archived

    def start(self, started_at: float, timing: Timing) -> None:
        """Note when the delivery started: the arrival of its first event, in the order of the partition."""
        self.started_at = started_at
        if not self.id:
            self.freeze_at = _FOREVER
        elif self.archived:  # whatever may be declared now, its rows do not come back
            self.freeze_at = self.gone_at = 0.0
        else:
            self.freeze_at, self.gone_at = closes_at(started_at, self.terms, timing)

    def row(self, recipient: str) -> Row | None:
        """Return the row of a recipient as this batch has it, None if there is none."""
        row = self.live.get(recipient)
        if row is None:
            stored = self.stored(recipient)
            if stored is None:
                return None
            row = decode_row(stored)
            self.touch(recipient, row)
        return row

    def touch(self, recipient: str, row: Row) -> None:
        """Have a stored row among those that this batch writes."""
        self.live[recipient] = row
        self.before.append(_cell(row))


def _cell(row: Row) -> int:
    facts = row.facts
    return _NO_CELL if facts & Fact.TEST else facts << 8 | row.status


class BatchFold:
    """Folds the batches of one partition.

    Args:
        store: the partition's committed state.
        partition: its number.
        codec: how things are written.
        options: of the installation.
        due: when the first row of each delivery expires, as far as is known; changed when a batch is committed.
    """

    def __init__(
        self, store: PartitionStore, partition: int, codec: Codec, options: FoldOptions, due: dict[str, float]
    ) -> None:
        """Keep what all batches share."""
        self._store = store
        self._partition = partition
        self._codec = codec
        self._options = options
        # Nobody knows yet when the rows are due that were there before: all of them are looked at by the next tick.
        due.update((delivery_id, 0.0) for delivery_id, _ in store.partials())
        self._due = due
        self._deliveries: dict[str, _Delivery] = {}
        self._contacts: dict[str, Contact] = {}
        self._errors: dict[str, int] = {}
        #: What this batch changes of `PartitionStore.terms`.
        self._terms: dict[str, Terms | None] = {}
        #: Deliveries that are being looked through: the last recipient seen, and the first due time so far.
        self._scans: dict[str, tuple[str | None, float]] = {}

    def fold(self, batch: Batch, output: Output, source_topic: str) -> Fold:
        """Fold a batch and write what comes of it to the output."""
        self._deliveries, self._contacts, self._errors, self._terms = {}, {}, {}, {}
        tick = self._store.tick
        for at in range(0, len(batch.records), _CHUNK):
            records = batch.records[at : at + _CHUNK]
            try:
                events = [_decode_event(record.value or b"") for record in records]
            except (msgspec.MsgspecError, TypeError, ValueError, RecursionError):
                events, records = self._decode_one_by_one(records, output, source_topic)
            self._store.prefetch(events)
            tick = self._take(events, records, tick, output, source_topic)
        if tick > self._store.tick:
            self._sweep(tick)
        return self._finish(output, tick, len(batch.records))

    def _decode_one_by_one(self, records: list[Any], output: Output, topic: str) -> tuple[list[Folded], list[Any]]:
        events, readable = [], []
        for record in records:
            try:
                events.append(_decode_event(record.value))
            except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
                self._unreadable(record, error, output, topic)
            else:
                readable.append(record)
        return events, readable

    def _unreadable(self, record: Any, error: Exception, output: Output, topic: str) -> None:  # noqa: ANN401 - as fetched
        letters = output.channel(self._codec.topics.dead_letters, self._partition)
        dead_letters.write(letters, record, topic, self._partition, error)
        name = type(error).__name__
        self._errors[name] = self._errors.get(name, 0) + 1

    def _open(self, delivery_id: str) -> _Delivery:
        store, timing = self._store, self._options.timing
        terms = store.terms.get(delivery_id)
        delivery = self._deliveries[delivery_id] = _Delivery(
            delivery_id, store.partial(delivery_id), terms, windows_of(terms, timing), store.rows_of(delivery_id)
        )
        if delivery.partial is not None:
            delivery.start(delivery.partial.started_at, timing)
        return delivery

    def _take(  # noqa: C901, PLR0912, PLR0915 - the hot path
        self, events: list[Folded], records: list[Any], tick: float, output: Output, topic: str
    ) -> float:
        """Fold events in order; return the last tick so far."""
        deliveries_get = self._deliveries.get
        numbers_get = self._options.numbers.get
        kinds_get = KIND_OF_TYPE.get
        timing = self._options.timing
        retention = timing.retention
        own_partition = self._partition
        for event, record in zip(events, records, strict=True):
            received_at = event.received_at or record.timestamp / 1000
            kind = kinds_get(event.type, UNKNOWN)
            if kind <= TICK:
                if kind == TICK:
                    tick = max(tick, received_at)
                    continue
                kind = second_look(kind, event)
                if RELEASED <= kind <= DECLARED:
                    if kind == DECLARED:
                        self._declare(record, received_at, tick, output, topic)
                    elif event.recipient:
                        # About an address, not about a message: there is no row that it could change.
                        self._contact(event, kind, received_at, 0)
                    continue
            delivery = deliveries_get(event.delivery_id) or self._open(event.delivery_id)
            source = numbers_get(event.source, 0)
            raw_offset = event.raw_offset
            if raw_offset >= 0 and source and event.raw_partition >= 0:
                place = raw_offset << 20 | source << 14 | event.raw_partition
            else:
                place = record.offset << 20 | own_partition
            if received_at > delivery.last_at:  # noqa: PLR1730 - quicker than max()
                delivery.last_at = received_at
            recipient = event.recipient
            digest = digest_of(event.event_id)
            limit, freeze_at = tick, delivery.freeze_at
            if received_at >= freeze_at or tick >= freeze_at:
                if freeze_at == _UNHEARD:
                    delivery.start(received_at, timing)
                    freeze_at = delivery.freeze_at
                if received_at >= freeze_at or tick >= delivery.gone_at:
                    self._late(delivery, event, kind, received_at, tick, digest, place, source)
                    continue
                limit = min(tick, freeze_at)
            row = delivery.live.get(recipient)
            if row is None:
                stored = delivery.stored(recipient)
                if stored is None:
                    row = Row()
                    if delivery.message_type:
                        row.message_type = MESSAGE_TYPE_NUMBER.get(delivery.message_type, 0)
                    delivery.before.append(_NO_CELL)
                else:
                    row = decode_row(stored)
                    facts = row.facts
                    delivery.before.append(_NO_CELL if facts & _FACT_TEST else facts << 8 | row.status)
                    if not delivery.id and row.updated_at + retention <= tick:
                        row = Row()  # past its retention, though no sweep has come round to it
                delivery.live[recipient] = row
            elif not delivery.id and row.updated_at + retention <= tick:
                row = delivery.live[recipient] = Row()
            decision = fold(row, event, kind, received_at, limit, digest, place, source, delivery.windows)
            delivery.counted.append(source << 12 | kind << 4 | decision)
            if CONCERNS[kind] and decision != _DUPLICATE and decision != _TEST and recipient:  # noqa: PLR1714 - quicker
                if kind == DEFERRED and not is_lasting(row.pending_since, received_at):
                    continue
                self._contact(event, kind, received_at, row.facts, delivery.message_type)
        return tick

    def _late(  # noqa: PLR0913, PLR0917 - what is known of an event
        self,
        delivery: _Delivery,
        event: Folded,
        kind: int,
        received_at: float,
        tick: float,
        digest: bytes,
        place: int,
        source: int,
    ) -> None:
        """Take an event after the freeze, or of rows that are gone: remembered while there is a row, counted anyway."""
        delivery.counted.append(source << 12 | kind << 4 | Decision.LATE)
        row = delivery.row(event.recipient) if tick < delivery.gone_at else None
        new, facts, pending_since = True, 0, None
        if row is not None:
            due = due_at(row, delivery.windows[row.source])
            if due is not None and due <= delivery.freeze_at:
                expire(row, due)
            new, facts = late(row, kind, received_at, digest, place), row.facts
            pending_since = row.pending_since
        if kind == DEFERRED and not is_lasting(pending_since, received_at):
            return
        if new and CONCERNS[kind] and event.recipient and not (event.test or facts & _FACT_TEST):
            # Statistics are closed, but who complains or unsubscribes must not be mailed again.
            usual = delivery.message_type if tick < delivery.gone_at else ""
            self._contact(event, kind, received_at, facts, usual)

    def _contact(self, event: Folded, kind: int, received_at: float, facts: int, usual: str = "") -> None:
        """Tell an event to the contact that it concerns; `usual` is its message type unless it names one."""
        if usual and not event.message_type:
            event.message_type = usual
        recipient = event.recipient
        contact = self._contacts.get(recipient)
        if contact is None:
            stored = self._store.contact(recipient)
            if stored is not None:
                contact = unpack_contact(stored)
            elif CONCERNS[kind] == CONCERNS_KNOWN:
                return
        contact = contact_rules.update(contact, event, kind, received_at, facts, self._options.invalid_after)
        if contact is not None:
            self._contacts[recipient] = contact

    # Declarations.

    def _declare(self, record: Any, received_at: float, tick: float, output: Output, topic: str) -> None:  # noqa: ANN401 - as fetched
        """Take what a sender says of a delivery; from now on its rows go by that."""
        try:
            event = declarations.decode(record.value)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            self._unreadable(record, error, output, topic)
            return
        delivery = self._deliveries.get(event.delivery_id) or self._open(event.delivery_id)
        terms = declarations.newer(event, received_at, delivery.terms)
        if terms is None or tick >= delivery.gone_at:
            return  # nothing new, or too late: nothing brings rows back
        if declarations.is_home(event.delivery_id, self._partition, self._options.partitions):
            declarations.show(output.channel(self._codec.topics.deliveries, self._partition), event, received_at)
        if not terms.same_times(delivery.terms):
            self._settle(delivery, tick)
        delivery.terms = self._terms[delivery.id] = terms
        delivery.message_type = terms.message_type
        delivery.windows = windows_of(terms, self._options.timing)
        if delivery.freeze_at != _UNHEARD:
            delivery.start(delivery.started_at, self._options.timing)

    def _settle(self, delivery: _Delivery, tick: float) -> None:
        """End all waits of a delivery that are over by the terms that were in force up to now.

        Sweeps come when they come; this way nothing depends on whether they have come before other terms did.
        """
        now, after = min(tick, delivery.freeze_at), None
        while page := self._store.scan(delivery.id, after, _SETTLE_ROWS) if delivery.partial is not None else []:
            for recipient, stored in page:
                self._expire(delivery, recipient, stored, now)
            after = page[-1][0]
        for recipient in delivery.live:
            self._expire(delivery, recipient, b"", now)
        self._scans.pop(delivery.id, None)

    # Ticks.

    def _sweep(self, tick: float) -> None:
        """End the waits that are over and forget the rows that are past their retention, as far as time allows."""
        left = self._options.sweep_rows
        timing = self._options.timing
        terms_of, changed = self._store.terms.get, self._terms
        for delivery_id, partial in self._store.partials():
            if left <= 0:
                return
            terms = changed.get(delivery_id) or terms_of(delivery_id)
            past = bool(delivery_id) and closes_at(partial.started_at, terms, timing)[1] <= tick
            if past and not partial.archived:
                left -= self._forget(delivery_id, tick, left)
            elif not past and self._due.get(delivery_id, 0.0) <= tick:
                left -= self._look_through(delivery_id, tick, left)

    def _look_through(self, delivery_id: str, tick: float, limit: int) -> int:
        """Look at the next page of a delivery's rows; return how many that were."""
        after, first_due = self._scans.pop(delivery_id, (None, _FOREVER))
        page = self._store.scan(delivery_id, after, limit)
        delivery = self._deliveries.get(delivery_id) or self._open(delivery_id)
        now = min(tick, delivery.freeze_at)
        for recipient, stored in page:
            if not delivery_id and self._forget_if_old(delivery, recipient, stored, tick):
                continue
            due = self._expire(delivery, recipient, stored, now)
            if due is not None and due <= delivery.freeze_at:
                first_due = min(first_due, due)
        if len(page) == limit:
            self._scans[delivery_id] = page[-1][0], first_due
            return limit
        again = tick + (_DAY if not delivery_id else min(delivery.windows) * _SWEEP_SHARE)
        self._due[delivery_id] = again if not delivery_id else max(first_due, again)
        return len(page)

    def _expire(self, delivery: _Delivery, recipient: str, stored: bytes, now: float) -> float | None:
        """End a row's wait if it is over by now; return when it will be if it is not."""
        row = delivery.live.get(recipient)
        if row is None:
            if not STATUS_WAITS[stored[codec.STATUS_AT]]:
                return None
            row = decode_row(stored)
        due = due_at(row, delivery.windows[row.source])
        if due is None or due > now:
            return due
        if recipient not in delivery.live:
            delivery.touch(recipient, row)
        expire(row, due)
        return None

    def _forget_if_old(self, delivery: _Delivery, recipient: str, stored: bytes, tick: float) -> bool:
        """Forget a row that belongs to no delivery when nothing was heard of it for the whole retention."""
        row = delivery.live.get(recipient) or decode_row(stored)
        if row.updated_at + self._options.timing.retention > tick:
            return False
        delivery.forgotten.append(recipient)
        return True

    def _forget(self, delivery_id: str, tick: float, limit: int) -> int:
        """Forget the next page of a delivery's rows; return how many that were."""
        delivery = self._deliveries.get(delivery_id) or self._open(delivery_id)
        page = self._store.scan(delivery_id, None, limit)
        now = min(tick, delivery.freeze_at)
        delivery.archived = len(page) < limit
        if delivery.archived and delivery.terms is not None:
            self._terms[delivery_id] = None
        going = dict(page)
        if delivery.archived:  # with the rows that this very batch has made
            going |= dict.fromkeys(delivery.live, b"")
        for recipient, stored in going.items():
            self._expire(delivery, recipient, stored, now)
            delivery.forgotten.append(recipient)
        return len(page)

    # Output.

    def _finish(self, output: Output, tick: float, records: int) -> Fold:
        topics, partition = self._codec.topics, self._partition
        changes = Changes(tick=tick)
        totals: dict[int, int] = {}
        moved: dict[int, int] = {}
        due: dict[str, float] = {}
        kpis = output.channel(topics.kpis, partition)
        for delivery in self._deliveries.values():
            cells, first_due = self._write_rows(delivery, output, changes)
            events = _tally(delivery.counted)
            partial = _advanced(delivery, cells, events)
            if partial is None or partial is delivery.partial:
                continue
            for key, number in events.items():
                totals[key] = totals.get(key, 0) + number
            for key, number in cells.items():
                moved[key] = moved.get(key, 0) + number
            changes.partials[delivery.id] = partial
            value, header = self._codec.kpis(delivery.id, partition, partial)
            key_bytes = f"{delivery.id}{SEPARATOR}{partition}".encode()
            kpis.append(key_bytes, value, int(partial.updated_at * 1000), [(HEADER, header)])
            if first_due < _FOREVER:
                due[delivery.id] = first_due
                if delivery.id in self._scans:  # a scan has been past these rows perhaps
                    after, due_so_far = self._scans[delivery.id]
                    self._scans[delivery.id] = after, min(due_so_far, first_due)
        if self._contacts:
            self._write_contacts(output, changes)
        for delivery_id, terms in self._terms.items():
            changes.terms[delivery_id] = terms
            value_or_none = None if terms is None else encode_json(terms)
            kpis.append(codec.terms_key(delivery_id), value_or_none, int((tick if terms is None else terms.at) * 1000))
            due[delivery_id] = 0.0  # its rows have to be looked at again
        if tick > self._store.tick:
            kpis.append(CLOCK_KEY, codec.encode_clock(partition, tick), int(tick * 1000))
        return Fold(changes, totals, due, records, self._errors, moved)

    def _write_rows(self, delivery: _Delivery, output: Output, changes: Changes) -> tuple[dict[int, int], float]:
        """Write the rows that a batch has touched; return how the KPI classes moved, and when the first row is due."""
        append = output.channel(self._codec.topics.status, self._partition).append
        encode_state = self._codec.state
        delivery_id = delivery.id
        prefix = f"{delivery_id}{SEPARATOR}"
        attributed = bool(delivery_id)
        windows = delivery.windows
        cells: dict[int, int] = {}
        cells_get = cells.get
        first_due = _FOREVER
        rows: dict[str, bytes | None] = {}
        for (recipient, row), before in zip(delivery.live.items(), delivery.before, strict=True):
            facts, status = row.facts, row.status
            after = _NO_CELL if facts & _FACT_TEST else facts << 8 | status
            if after != before and attributed and recipient:
                cells[after] = cells_get(after, 0) + 1
                cells[before] = cells_get(before, 0) - 1
            if STATUS_WAITS[status]:
                row_due = due_at(row, windows[row.source])
                if row_due is not None and row_due < first_due:
                    first_due = row_due
            history = row.history
            state = encode_state(delivery_id, recipient, row)
            if row.cause and row.cause == history[-ENTRY_BYTES : ID_BYTES - ENTRY_BYTES].hex():
                row.cause = ""  # the history says it
            packed = rows[recipient] = encode_row(row)
            append(
                (prefix + recipient).encode(),
                state,
                int(row.updated_at * 1000),
                [(HEADER, packed)],
            )
        cells.pop(_NO_CELL, None)
        for recipient in delivery.forgotten:
            rows[recipient] = None
            append((prefix + recipient).encode(), None, int(delivery.last_at * 1000))
        if rows:
            changes.rows[delivery_id] = rows
        return cells, first_due

    def _write_contacts(self, output: Output, changes: Changes) -> None:
        append = output.channel(self._codec.topics.contacts, self._partition).append
        for recipient, contact in self._contacts.items():
            changes.contacts[recipient] = pack_contact(contact)
            append(recipient.encode(), encode_json(contact), int(contact.updated_at * 1000))


#: A delivery is looked through again at the earliest after this share of the shortest window.
_SWEEP_SHARE: Final = 0.005
_DAY: Final = 86_400.0
#: Rows that are looked at in one go when other terms come.
_SETTLE_ROWS: Final = 50_000


def _tally(keys: list[int]) -> dict[int, int]:
    return dict(Counter(keys))  # which counts in C


def _advanced(delivery: _Delivery, cells: dict[int, int], events: dict[int, int]) -> KpiPartial | None:
    """Return a delivery's KPIs after the batch; the same object as before if nothing changed."""
    old = delivery.partial
    if not cells and not events and (old is None or delivery.archived == old.archived):
        return old
    if old is None:
        old = KpiPartial()
    return KpiPartial(
        merged(old.cells, cells),
        merged(old.events, events),
        delivery.started_at,
        delivery.last_at,
        old.version + 1,
        delivery.archived,
    )
