"""A batch of events into rows, contacts and KPIs: the hot path, and what it writes.

Nothing here changes the store: all that a batch changes is gathered in `Changes` and becomes visible when the batch's
transaction has been committed.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any, Final

import msgspec

from aftersend.engine import dead_letters
from aftersend.engine.partitions.batch import Batch
from aftersend.engine.transaction import Output
from aftersend.rules.contact import fold as contact_rules
from aftersend.rules.contact.fold import CONTACT_EFFECT, UPDATES_EXISTING, is_lasting
from aftersend.rules.contact.validity import DEFAULT_POLICY, VALIDITY_POLICIES
from aftersend.rules.recipient.fold import MESSAGE_TYPE_NUMBER, expire, expires_at, fold, remember_late
from aftersend.rules.recipient.history import digest_of
from aftersend.rules.recipient.lifecycle import (
    DECLARED,
    DEFERRED,
    KIND_OF_TYPE,
    RELEASED,
    TICK,
    UNKNOWN,
    Decision,
    Fact,
    refine_kind,
)
from aftersend.rules.recipient.timing import Timing, newer_terms
from aftersend.schemas.contact import Contact
from aftersend.schemas.delivery import DeliveryTerms
from aftersend.schemas.event import FoldEvent
from aftersend.schemas.recipient import Row
from aftersend.tables import codec
from aftersend.tables.batch import declarations
from aftersend.tables.batch.sweep import Sweeper
from aftersend.tables.batch.write import advance_partial, count_keys, write_contacts, write_rows
from aftersend.tables.codec import CLOCK_KEY, HEADER, SEPARATOR, Codec, decode_row, encode_json, unpack_contact
from aftersend.tables.delivery import NO_BUCKET, NOT_STARTED, OpenDelivery
from aftersend.tables.stores.base import Changes, PartitionStore

_decode_event: Final = msgspec.json.Decoder(FoldEvent).decode
#: Events that are decoded and folded in one go: so many fit into a core's own cache, and waiting for memory is what
#: costs most here (measured with `benchmarks/folding.py`).
_CHUNK: Final = 256
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
    #: Hard bounces in a row after which an address is not valid (`aftersend.rules.contact.validity`).
    invalid_after: int = VALIDITY_POLICIES[DEFAULT_POLICY]
    #: Of the events topic: which of them shows a delivery to the world depends on it.
    partitions: int = 1


class BatchResult(msgspec.Struct):
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
        self._store = store
        self._partition = partition
        self._codec = codec
        self._options = options
        self._sweeper = Sweeper(store, options.timing, options.sweep_rows, due)
        self._deliveries: dict[str, OpenDelivery] = {}
        self._contacts: dict[str, Contact] = {}
        self._errors: dict[str, int] = {}
        #: What this batch changes of `PartitionStore.terms`.
        self._terms: dict[str, DeliveryTerms | None] = {}

    def fold(self, batch: Batch, output: Output, source_topic: str) -> BatchResult:
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
            self._terms |= dict.fromkeys(self._sweeper.sweep(tick, self._terms, self._delivery))
        return self._finish(output, tick, len(batch.records))

    def _decode_one_by_one(self, records: list[Any], output: Output, topic: str) -> tuple[list[FoldEvent], list[Any]]:
        events, readable = [], []
        for record in records:
            try:
                events.append(_decode_event(record.value))
            except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
                self._unreadable(record, error, output, topic)
            else:
                readable.append(record)
        return events, readable

    def _unreadable(self, record: Any, error: Exception, output: Output, topic: str) -> None:
        letters = output.channel(self._codec.topics.dead_letters, self._partition)
        dead_letters.write(letters, record, topic, self._partition, error)
        name = type(error).__name__
        self._errors[name] = self._errors.get(name, 0) + 1

    def _delivery(self, delivery_id: str) -> OpenDelivery:
        """Return a delivery as this batch has it, opened when first asked for."""
        return self._deliveries.get(delivery_id) or self._open(delivery_id)

    def _open(self, delivery_id: str) -> OpenDelivery:
        store = self._store
        delivery = self._deliveries[delivery_id] = OpenDelivery(
            delivery_id,
            store.partial(delivery_id),
            store.terms.get(delivery_id),
            self._options.timing,
            store.rows_of(delivery_id),
        )
        return delivery

    def _take(  # noqa: C901, PLR0912, PLR0915 - the hot path
        self, events: list[FoldEvent], records: list[Any], tick: float, output: Output, topic: str
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
                kind = refine_kind(kind, event)
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
                if freeze_at == NOT_STARTED:
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
                    delivery.before.append(NO_BUCKET)
                else:
                    row = decode_row(stored)
                    facts = row.facts
                    delivery.before.append(NO_BUCKET if facts & _FACT_TEST else facts << 8 | row.status)
                    if not delivery.id and row.updated_at + retention <= tick:
                        row = Row()  # past its retention, though no sweep has come round to it
                delivery.live[recipient] = row
            elif not delivery.id and row.updated_at + retention <= tick:
                row = delivery.live[recipient] = Row()
            decision = fold(row, event, kind, received_at, limit, digest, place, source, delivery.windows)
            delivery.counted.append(source << 12 | kind << 4 | decision)
            if CONTACT_EFFECT[kind] and decision != _DUPLICATE and decision != _TEST and recipient:  # noqa: PLR1714 - quicker
                if kind == DEFERRED and not is_lasting(row.pending_since, received_at):
                    continue
                self._contact(event, kind, received_at, row.facts, delivery.message_type)
        return tick

    def _late(  # noqa: PLR0913, PLR0917 - what is known of an event
        self,
        delivery: OpenDelivery,
        event: FoldEvent,
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
            due = expires_at(row, delivery.windows[row.source])
            if due is not None and due <= delivery.freeze_at:
                expire(row, due)
            new, facts = remember_late(row, kind, received_at, digest, place), row.facts
            pending_since = row.pending_since
        if kind == DEFERRED and not is_lasting(pending_since, received_at):
            return
        if new and CONTACT_EFFECT[kind] and event.recipient and not (event.test or facts & _FACT_TEST):
            # Statistics are closed, but who complains or unsubscribes must not be mailed again.
            usual = delivery.message_type if tick < delivery.gone_at else ""
            self._contact(event, kind, received_at, facts, usual)

    def _contact(self, event: FoldEvent, kind: int, received_at: float, facts: int, usual: str = "") -> None:
        """Tell an event to the contact that it concerns; `usual` is its message type unless it names one."""
        if usual and not event.message_type:
            event.message_type = usual
        recipient = event.recipient
        contact = self._contacts.get(recipient)
        if contact is None:
            stored = self._store.contact(recipient)
            if stored is not None:
                contact = unpack_contact(stored)
            elif CONTACT_EFFECT[kind] == UPDATES_EXISTING:
                return
        contact = contact_rules.update(contact, event, kind, received_at, facts, self._options.invalid_after)
        if contact is not None:
            self._contacts[recipient] = contact

    # Declarations.

    def _declare(self, record: Any, received_at: float, tick: float, output: Output, topic: str) -> None:
        """Take what a sender says of a delivery; from now on its rows go by that."""
        try:
            event = declarations.decode(record.value)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            self._unreadable(record, error, output, topic)
            return
        delivery = self._delivery(event.delivery_id)
        terms = newer_terms(event, received_at, delivery.terms)
        if terms is None or tick >= delivery.gone_at:
            return  # nothing new, or too late: nothing brings rows back
        if declarations.publishes(event.delivery_id, self._partition, self._options.partitions):
            declarations.write_delivery(
                output.channel(self._codec.topics.deliveries, self._partition), event, received_at
            )
        if not terms.same_times(delivery.terms):
            self._sweeper.settle(delivery, tick)
        self._terms[delivery.id] = terms
        delivery.go_by(terms, self._options.timing)

    # Output.

    def _finish(self, output: Output, tick: float, records: int) -> BatchResult:
        topics, partition = self._codec.topics, self._partition
        changes = Changes(tick=tick)
        totals: dict[int, int] = {}
        moved: dict[int, int] = {}
        due: dict[str, float] = {}
        kpis = output.channel(topics.kpis, partition)
        append_row = output.channel(topics.status, partition).append
        for delivery in self._deliveries.values():
            cells, first_due = write_rows(delivery, self._codec, append_row, changes)
            events = count_keys(delivery.counted)
            partial = advance_partial(delivery, cells, events)
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
            if first_due < inf:
                due[delivery.id] = first_due
                self._sweeper.heard(delivery.id, first_due)
        if self._contacts:
            write_contacts(self._contacts, output.channel(topics.contacts, partition).append, changes)
        for delivery_id, terms in self._terms.items():
            changes.terms[delivery_id] = terms
            value_or_none = None if terms is None else encode_json(terms)
            kpis.append(codec.terms_key(delivery_id), value_or_none, int((tick if terms is None else terms.at) * 1000))
            due[delivery_id] = 0.0  # its rows have to be looked at again
        if tick > self._store.tick:
            kpis.append(CLOCK_KEY, codec.encode_clock(partition, tick), int(tick * 1000))
        return BatchResult(changes, totals, due, records, self._errors, moved)
