"""A delivery while a batch is folded: the terms that its rows go by, and the rows that the batch touches."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

from aftersend.rules.kpi.indicators import bucket_of
from aftersend.rules.recipient.lifecycle import Fact
from aftersend.rules.recipient.timing import Timing, closing_times, windows_of
from aftersend.schemas.delivery import DeliveryTerms
from aftersend.schemas.kpi import KpiPartial
from aftersend.schemas.recipient import Row
from aftersend.tables.codec import decode_row

#: In the place of a KPI class: the row is in none.
NO_BUCKET: Final = -1
#: In the place of the freeze: nothing was heard of the delivery before.
NOT_STARTED: Final = -1.0


class OpenDelivery:
    """A delivery during one batch.

    Args:
        delivery_id: "" for what belongs to no delivery.
        partial: its KPIs before the batch; None: nothing was heard of it.
        terms: what was declared of it.
        timing: of the installation, where nothing was declared.
        stored: the look-up of its rows in the store.
    """

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
        terms: DeliveryTerms | None,
        timing: Timing,
        stored: Callable[[str], bytes | None],
    ) -> None:
        self.id = delivery_id
        self.partial = partial
        self.stored = stored
        #: Rows that this batch has touched, and the KPI class of each before, in the same order.
        self.live: dict[str, Row] = {}
        self.before: list[int] = []
        #: A key of `KpiPartial.events` for each event.
        self.counted: list[int] = []
        self.started_at = 0.0
        self.freeze_at = NOT_STARTED
        #: When its rows are forgotten.
        self.gone_at = inf
        self.last_at = partial.updated_at if partial is not None else 0.0
        #: Recipients whose rows are forgotten; `archived` with the last of them.
        self.forgotten: list[str] = []
        self.archived = partial is not None and partial.archived
        self.go_by(terms, timing)
        if partial is not None:
            self.start(partial.started_at, timing)

    def go_by(self, terms: DeliveryTerms | None, timing: Timing) -> None:
        """Go by what was declared from here on."""
        self.terms = terms
        #: As declared, "" if nobody said; of rows that begin from here on.
        self.message_type = "" if terms is None else terms.message_type
        #: By the source's number, how long a row waits for an outcome, seconds.
        self.windows = windows_of(terms, timing)
        if self.freeze_at != NOT_STARTED:
            self.start(self.started_at, timing)

    def start(self, started_at: float, timing: Timing) -> None:
        """Note when the delivery started: the arrival of its first event, in the order of the partition."""
        self.started_at = started_at
        if not self.id:
            self.freeze_at = inf
        elif self.archived:  # whatever may be declared now, its rows do not come back
            self.freeze_at = self.gone_at = 0.0
        else:
            self.freeze_at, self.gone_at = closing_times(started_at, self.terms, timing)

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
        self.before.append(_bucket_of(row))


def _bucket_of(row: Row) -> int:
    return NO_BUCKET if row.facts & Fact.TEST else bucket_of(row.status, row.facts)
