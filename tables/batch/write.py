"""What a batch writes: changelog records, and the same values as the store will hold them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Any, Final

from aftersend.engine.transaction import Output
from aftersend.rules.kpi.indicators import KpiTotals, merged, totals_of
from aftersend.rules.recipient.facts import Fact
from aftersend.rules.recipient.fold import expires_at
from aftersend.rules.recipient.history import ENTRY_BYTES, ID_BYTES
from aftersend.rules.recipient.statuses import STATUS_EXPIRES
from aftersend.schemas.contact import Contact
from aftersend.schemas.delivery import DeliveryTerms
from aftersend.schemas.kpi import KpiPartial
from aftersend.tables.batch.delivery import NO_BUCKET, OpenDelivery
from aftersend.tables.codec.keys import CLOCK_KEY, HEADER, SEPARATOR, kpi_key, terms_key
from aftersend.tables.codec.public import Codec, encode_clock, encode_json
from aftersend.tables.codec.stored import encode_row, pack_contact
from aftersend.tables.stores.base import Changes

_FACT_TEST: Final = Fact.TEST

#: Takes key, value, timestamp in milliseconds and headers of a record (`aftersend.engine.transaction.Channel.append`).
Append = Callable[..., Any]


class BatchWriter:
    """Writes what a batch has changed, and gathers it for the store.

    Args:
        codec: how things are written.
        partition: its number.
        output: of the batch.
        tick: the last tick folded, seconds since 1970.
    """

    def __init__(self, codec: Codec, partition: int, output: Output, tick: float) -> None:
        topics = codec.topics
        self._codec = codec
        self._partition = partition
        self._output = output
        self._append_kpis: Append = output.channel(topics.kpis, partition).append
        self._append_row: Append = output.channel(topics.status, partition).append
        self.changes = Changes(tick=tick)
        self.totals: dict[str, KpiTotals] = {}
        #: Sums over the deliveries, as in `BatchResult`.
        self.events: dict[int, int] = {}
        self.buckets: dict[int, int] = {}
        self.first_expiries: dict[str, float] = {}

    def write_deliveries(self, deliveries: Iterable[OpenDelivery]) -> None:
        """Write rows and KPIs."""
        for delivery in deliveries:
            buckets, first_expiry = write_rows(delivery, self._codec, self._append_row, self.changes)
            events = count_keys(delivery.event_counters)
            partial = advance_partial(delivery, buckets, events)
            if partial is None or partial is delivery.partial:
                continue
            _add(self.events, events)
            _add(self.buckets, buckets)
            self._write_kpis(delivery.id, partial)
            if first_expiry < inf:
                self.first_expiries[delivery.id] = first_expiry

    def _write_kpis(self, delivery_id: str, partial: KpiPartial) -> None:
        totals = totals_of(partial)
        self.changes.partials[delivery_id] = partial
        self.totals[delivery_id] = totals
        value, header = self._codec.kpis(delivery_id, self._partition, partial, totals)
        key = kpi_key(delivery_id, self._partition)
        self._append_kpis(key, value, int(partial.updated_at * 1000), [(HEADER, header)])

    def write_contacts(self, contacts: Mapping[str, Contact]) -> None:
        """Write contacts, by recipient."""
        if not contacts:
            return
        append: Append = self._output.channel(self._codec.topics.contacts, self._partition).append
        for recipient, contact in contacts.items():
            self.changes.contacts[recipient] = pack_contact(contact)
            append(recipient.encode(), encode_json(contact), int(contact.updated_at * 1000))

    def write_terms(self, changed: Mapping[str, DeliveryTerms | None], tick: float) -> None:
        """Write the terms of deliveries; None: they are forgotten with the rows."""
        for delivery_id, terms in changed.items():
            self.changes.terms[delivery_id] = terms
            value = None if terms is None else encode_json(terms)
            self._append_kpis(terms_key(delivery_id), value, int((tick if terms is None else terms.at) * 1000))
            self.first_expiries[delivery_id] = 0.0  # other terms: its rows have to be scanned again

    def write_clock(self, tick: float) -> None:
        """Write the last tick folded, seconds since 1970."""
        self._append_kpis(CLOCK_KEY, encode_clock(self._partition, tick), int(tick * 1000))


def write_rows(delivery: OpenDelivery, codec: Codec, append: Append, changes: Changes) -> tuple[dict[int, int], float]:
    """Write the rows that a batch has changed.

    Args:
        delivery: whose rows.
        codec: how they are written.
        append: takes records for the status topic.
        changes: take the rows as the store holds them.

    Returns:
        How many rows each KPI bucket has gained or lost, and when the first of the rows expires, seconds since 1970.
    """
    encode_state = codec.state
    delivery_id = delivery.id
    prefix = f"{delivery_id}{SEPARATOR}"
    attributed = bool(delivery_id)
    windows = delivery.windows
    gained: list[int] = []
    lost: list[int] = []
    first_expiry = inf
    rows: dict[str, bytes | None] = {}
    for (recipient, row), before in zip(delivery.rows.items(), delivery.buckets_before, strict=True):
        facts, status = row.facts, row.status
        # `bucket_of`, inlined.
        after = NO_BUCKET if facts & _FACT_TEST else facts << 8 | status or NO_BUCKET
        if after != before and attributed and recipient:
            gained.append(after)
            lost.append(before)
        if STATUS_EXPIRES[status]:
            expiry = expires_at(row, windows)
            if expiry is not None and expiry < first_expiry:
                first_expiry = expiry
        state = encode_state(delivery_id, recipient, row)
        cause = row.cause
        if cause and cause == row.history[-ENTRY_BYTES : ID_BYTES - ENTRY_BYTES].hex():
            row.cause = ""  # not stored, since the history ends with the same id
            packed = rows[recipient] = encode_row(row)
            row.cause = cause
        else:
            packed = rows[recipient] = encode_row(row)
        append((prefix + recipient).encode(), state, int(row.updated_at * 1000), [(HEADER, packed)])
    buckets = count_keys(gained)
    for bucket, number in count_keys(lost).items():
        buckets[bucket] = buckets.get(bucket, 0) - number
    buckets.pop(NO_BUCKET, None)
    for recipient in delivery.forgotten:
        rows[recipient] = None
        append((prefix + recipient).encode(), None, int(delivery.last_at * 1000))
    if rows:
        changes.rows[delivery_id] = rows
    return buckets, first_expiry


def count_keys(keys: list[int]) -> dict[int, int]:
    """Return how often each key occurs."""
    return dict(Counter(keys))  # which counts in C


def advance_partial(delivery: OpenDelivery, buckets: dict[int, int], events: dict[int, int]) -> KpiPartial | None:
    """Return a delivery's KPIs after the batch; the same object as before if nothing changed."""
    old = delivery.partial
    if not buckets and not events and (old is None or delivery.archived == old.archived):
        return old
    if old is None:
        old = KpiPartial()
    return KpiPartial(
        merged(old.buckets, buckets),
        merged(old.events, events),
        delivery.started_at,
        delivery.last_at,
        old.version + 1,
        delivery.archived,
    )


def _add(sums: dict[int, int], numbers: Mapping[int, int]) -> None:
    """Add numbers to sums, in place."""
    for key, number in numbers.items():
        sums[key] = sums.get(key, 0) + number
