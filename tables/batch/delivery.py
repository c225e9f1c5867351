"""A delivery during one batch: the terms that apply to its rows, and the rows that the batch changes."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

from aftersend.rules.recipient.facts import Fact
from aftersend.rules.recipient.timing import Timing, closing_times, starts_at, windows_of
from aftersend.schemas.delivery import DeliveryTerms
from aftersend.schemas.kpi import KpiPartial
from aftersend.schemas.packing import pack_bucket
from aftersend.schemas.recipient import Row
from aftersend.tables.codec.stored import decode_row

#: In place of a bucket: the row is counted in none.
NO_BUCKET: Final = -1
#: In place of the freeze: the delivery has no events yet. Every arrival is later, so the hot loop has no extra branch.
NOT_STARTED: Final = -1.0


class OpenDelivery:
    """A delivery during one batch.

    Args:
        delivery_id: "" for events without a delivery.
        partial: its KPIs before the batch; None: it has no events yet.
        terms: what was declared of it; None: nothing.
        timing: of the installation.
        stored: returns a recipient's row from the store.
    """

    __slots__ = (
        "archived",
        "buckets_before",
        "event_counters",
        "forget_at",
        "forgotten",
        "freeze_at",
        "id",
        "last_at",
        "message_type",
        "partial",
        "rows",
        "started_at",
        "stored",
        "terms",
        "windows",
    )

    def __init__(
        self,
        delivery_id: str,
        partial: KpiPartial | None,
        terms: DeliveryTerms | None,
        timing: Timing,
        stored: Callable[[str], bytes | None],
    ) -> None:
        self.id = delivery_id
        self.partial = partial
        self.stored = stored
        #: Rows that this batch changes, and the KPI bucket of each before the batch, in the same order.
        self.rows: dict[str, Row] = {}
        self.buckets_before: list[int] = []
        #: A key of `KpiPartial.events` for each event.
        self.event_counters: list[int] = []
        self.started_at = 0.0
        self.freeze_at = NOT_STARTED
        #: When its rows are forgotten, seconds since 1970.
        self.forget_at = inf
        self.last_at = partial.updated_at if partial is not None else 0.0
        #: Recipients whose rows are forgotten; `archived` once all of them are.
        self.forgotten: list[str] = []
        self.archived = partial is not None and partial.archived
        self.apply_terms(terms, timing)
        if partial is not None:
            self.start(partial.started_at, timing)

    def apply_terms(self, terms: DeliveryTerms | None, timing: Timing) -> None:
        """Set the terms that apply from here on."""
        self.terms = terms
        #: Message type of rows that are created from here on, "" if none was declared.
        self.message_type = "" if terms is None else terms.message_type
        #: Response windows by source number, seconds.
        self.windows = windows_of(terms, timing)
        if self.freeze_at != NOT_STARTED:
            self.start(self.started_at, timing)

    def begin(self, received_at: float, now: float, timing: Timing) -> None:
        """Start the delivery with its first event, in the order of the partition.

        Args:
            received_at: arrival of the event, seconds since 1970.
            now: the partition's time, seconds since 1970.
            timing: of the installation.
        """
        self.start(starts_at(received_at, now, self.terms, timing), timing)

    def begin_earlier(self, received_at: float, now: float, timing: Timing) -> None:
        """Start the delivery with an event that arrived before those read so far; as for `begin`.

        Half of the statistics period lies ahead of the latest arrival in any case: one wrong timestamp freezes nothing.
        """
        started_at = starts_at(received_at, max(now, self.last_at), self.terms, timing)
        if now < self.forget_at and started_at < self.started_at:
            self.start(started_at, timing)

    def start(self, started_at: float, timing: Timing) -> None:
        """Set when the delivery started, seconds since 1970."""
        self.started_at = started_at
        if not self.id:
            self.freeze_at = inf
        elif self.archived:  # no declaration restores its rows
            self.freeze_at = self.forget_at = 0.0
        else:
            self.freeze_at, self.forget_at = closing_times(started_at, self.terms, timing)

    def row(self, recipient: str) -> Row | None:
        """Return the row of a recipient as this batch has it, None if there is none."""
        row = self.rows.get(recipient)
        if row is None:
            stored = self.stored(recipient)
            if stored is None:
                return None
            row = decode_row(stored)
            self.add(recipient, row)
        return row

    def add(self, recipient: str, row: Row) -> None:
        """Add a stored row to those that this batch changes."""
        self.rows[recipient] = row
        self.buckets_before.append(bucket_of(row))


def bucket_of(row: Row) -> int:
    """Return the KPI bucket of a row, `NO_BUCKET` for a test message and for a row of which nothing is known."""
    return NO_BUCKET if row.facts & Fact.TEST else pack_bucket(row.status, row.facts) or NO_BUCKET
