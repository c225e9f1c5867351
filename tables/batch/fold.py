"""Folding a batch of events into rows, contacts and KPIs: the hot path.

Nothing here changes the store: all changes of a batch are gathered in a `BatchResult` and become visible when the
batch's transaction has been committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from aftersend.engine.partitions.batch import Batch
from aftersend.engine.transaction import Output
from aftersend.rules.contact.fold import CONTACT_EFFECT, UPDATES_EXISTING, is_lasting
from aftersend.rules.recipient.decisions import Decision
from aftersend.rules.recipient.facts import Fact
from aftersend.rules.recipient.fold import MESSAGE_TYPE_NUMBER, fold
from aftersend.rules.recipient.history import digests_of
from aftersend.rules.recipient.kinds import DECLARED, DEFERRED, KIND_OF_TYPE, RELEASED, TICK, UNRECOGNISED, refine_kind
from aftersend.rules.recipient.timing import PartitionClock, newer_terms
from aftersend.schemas.delivery import DeliveryTerms
from aftersend.schemas.event import FoldEvent
from aftersend.schemas.recipient import Row
from aftersend.tables.batch import declarations
from aftersend.tables.batch.contacts import BatchContacts
from aftersend.tables.batch.decoding import EventDecoder
from aftersend.tables.batch.delivery import NO_BUCKET, NOT_STARTED, OpenDelivery
from aftersend.tables.batch.late import LateEvent, fold_late
from aftersend.tables.batch.result import BatchResult, FoldOptions
from aftersend.tables.batch.sweep import Sweeper
from aftersend.tables.batch.write import BatchWriter
from aftersend.tables.codec.public import Codec
from aftersend.tables.codec.stored import decode_row
from aftersend.tables.stores.base import PartitionStore

#: Events that are decoded and folded together: so many fit into a core's own cache, and waiting for memory costs most
#: here (measured with `benchmarks/folding.py`).
_CHUNK: Final = 256
_FACT_TEST: Final = Fact.TEST
_DUPLICATE: Final = Decision.DUPLICATE
_TEST: Final = Decision.TEST
_LATE: Final = Decision.LATE


class BatchFold:
    """Folds the batches of one partition.

    Args:
        store: the partition's committed state.
        partition: its number.
        codec: how things are written.
        options: of the installation.
        first_expiries: by delivery, when the first of its rows expires, as far as is known; updated after each commit.
    """

    def __init__(
        self,
        store: PartitionStore,
        partition: int,
        codec: Codec,
        options: FoldOptions,
        first_expiries: dict[str, float],
    ) -> None:
        self._store = store
        self._partition = partition
        self._codec = codec
        self._options = options
        self._sweeper = Sweeper(store, options.timing, options.sweep_rows, first_expiries)
        self._deliveries: dict[str, OpenDelivery] = {}
        self._contacts = BatchContacts(store, options.invalid_after)
        self._clock = PartitionClock(store.tick, options.timing.clock_step)
        #: What this batch changes of `PartitionStore.terms`.
        self._terms: dict[str, DeliveryTerms | None] = {}

    def fold(self, batch: Batch, output: Output, source_topic: str) -> BatchResult:
        """Fold a batch and write the changes to the output."""
        self._deliveries, self._terms = {}, {}
        self._contacts = BatchContacts(self._store, self._options.invalid_after)
        decoder = EventDecoder(self._codec, source_topic, self._partition, output)
        tick, refused = self._store.tick, self._clock.refused
        for at in range(0, len(batch.records), _CHUNK):
            events, records = decoder.decode(batch.records[at : at + _CHUNK])
            self._store.prefetch(events)
            tick = self._fold_events(events, records, tick, decoder, output)
        if tick > self._store.tick:
            self._terms |= dict.fromkeys(self._sweeper.sweep(tick, self._terms, self._delivery))
        result = self._write(output, tick, len(batch.records), decoder.errors)
        result.refused_ticks = self._clock.refused - refused
        return result

    def set_aside(self, batch: Batch, error: Exception, output: Output, source_topic: str) -> BatchResult:
        """Write the only record of a batch to the dead letters instead of folding it."""
        self._deliveries, self._terms = {}, {}
        self._contacts = BatchContacts(self._store, self._options.invalid_after)
        decoder = EventDecoder(self._codec, source_topic, self._partition, output)
        decoder.reject(batch.records[0], error)
        return self._write(output, self._store.tick, 1, decoder.errors)

    def _delivery(self, delivery_id: str) -> OpenDelivery:
        """Return a delivery as this batch has it, opened on the first call."""
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

    def _fold_events(  # noqa: C901, PLR0912, PLR0915 - the hot path
        self, events: list[FoldEvent], records: Sequence[Any], tick: float, decoder: EventDecoder, output: Output
    ) -> float:
        """Fold events in order; return the last tick so far."""
        deliveries_get = self._deliveries.get
        numbers_get = self._options.numbers.get
        kinds_get = KIND_OF_TYPE.get
        timing = self._options.timing
        retention = timing.retention
        own_partition = self._partition
        contacts = self._contacts
        changed_contacts = contacts.changed
        contact_of = self._store.contact
        digests = digests_of([event.event_id for event in events])
        for event, record, digest in zip(events, records, digests, strict=True):
            received_at = event.received_at or record.timestamp / 1000
            kind = kinds_get(event.type, UNRECOGNISED)
            if kind <= TICK:
                if kind == TICK:
                    # By the record's timestamp, which the broker bounds, whatever the event says.
                    tick = self._clock.tick(record.timestamp / 1000)
                    continue
                kind = refine_kind(kind, event)
                if RELEASED <= kind <= DECLARED:
                    if kind == DECLARED:
                        self._declare(record, received_at, tick, decoder, output)
                    elif event.recipient:
                        # Concerns an address, not a message: no row changes.
                        contacts.update(event, kind, received_at, 0)
                    continue
            delivery = deliveries_get(event.delivery_id) or self._open(event.delivery_id)
            source = numbers_get(event.source, 0)
            raw_offset = event.raw_offset
            # `pack_raw_position`, inlined.
            if raw_offset >= 0 and source and event.raw_partition >= 0:
                raw_position = raw_offset << 20 | source << 14 | event.raw_partition
            else:
                raw_position = record.offset << 20 | own_partition
            if received_at > delivery.last_at:
                delivery.last_at = received_at
            elif received_at < delivery.started_at:
                delivery.begin_earlier(received_at, tick, timing)
            recipient = event.recipient
            limit, freeze_at = tick, delivery.freeze_at
            if received_at >= freeze_at or tick >= freeze_at:
                if freeze_at == NOT_STARTED:
                    delivery.begin(received_at, tick, timing)
                    freeze_at = delivery.freeze_at
                if received_at >= freeze_at or tick >= delivery.forget_at:
                    delivery.event_counters.append(source << 12 | kind << 4 | _LATE)
                    fold_late(LateEvent(event, kind, received_at, tick, digest, raw_position), delivery, contacts)
                    continue
                limit = min(tick, freeze_at)
            row = delivery.rows.get(recipient)
            if row is None:
                stored = delivery.stored(recipient)
                if stored is None:
                    row = Row()
                    if delivery.message_type:
                        row.message_type = MESSAGE_TYPE_NUMBER.get(delivery.message_type, 0)
                    delivery.buckets_before.append(NO_BUCKET)
                else:
                    row = decode_row(stored)
                    facts = row.facts
                    # `bucket_of`, inlined.
                    delivery.buckets_before.append(
                        NO_BUCKET if facts & _FACT_TEST else facts << 8 | row.status or NO_BUCKET
                    )
                    if not delivery.id and row.updated_at + retention <= tick:
                        row = Row()  # past its retention, but not swept yet
                delivery.rows[recipient] = row
            elif not delivery.id and row.updated_at + retention <= tick:
                row = delivery.rows[recipient] = Row()
            decision = fold(row, event, kind, received_at, limit, digest, raw_position, source, delivery.windows)
            # `pack_event_counter`, inlined.
            delivery.event_counters.append(source << 12 | kind << 4 | decision)
            effect = CONTACT_EFFECT[kind]
            if effect and decision != _DUPLICATE and decision != _TEST and recipient:  # noqa: PLR1714 - quicker
                if effect == UPDATES_EXISTING:
                    if recipient not in changed_contacts and contact_of(recipient) is None:
                        continue  # as `update` does; most deliveries are to addresses without a contact
                elif kind == DEFERRED and not is_lasting(row.pending_since, received_at):
                    continue
                contacts.update(event, kind, received_at, row.facts, delivery.message_type)
        return tick

    def _declare(self, record: Any, received_at: float, tick: float, decoder: EventDecoder, output: Output) -> None:
        """Apply a declaration to its delivery: its terms hold for what is folded from here on."""
        try:
            event = declarations.decode(record.value)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            decoder.reject(record, error)
            return
        delivery = self._delivery(event.delivery_id)
        terms = newer_terms(event, received_at, delivery.terms)
        if terms is None or tick >= delivery.forget_at:
            return  # nothing new, or too late: no declaration restores rows
        if declarations.publishes(event.delivery_id, self._partition, self._options.partitions):
            channel = output.channel(self._codec.topics.deliveries, self._partition)
            declarations.write_delivery(channel, event, received_at)
        if not terms.same_times(delivery.terms):
            self._sweeper.end_waits(delivery, tick)
        self._terms[delivery.id] = terms
        delivery.apply_terms(terms, self._options.timing)

    def _write(self, output: Output, tick: float, records: int, errors: dict[str, int]) -> BatchResult:
        writer = BatchWriter(self._codec, self._partition, output, tick)
        writer.write_deliveries(self._deliveries.values())
        for delivery_id, first_expiry in writer.first_expiries.items():
            self._sweeper.note_expiry(delivery_id, first_expiry)
        writer.write_contacts(self._contacts.changed)
        writer.write_terms(self._terms, tick)
        if tick > self._store.tick:
            writer.write_clock(tick)
        return BatchResult(
            writer.changes, writer.totals, writer.events, writer.buckets, writer.first_expiries, records, errors
        )
