"""What the passing of time does to rows: waits end, rows are forgotten (`docs/domain.md §2.7`, `docs/domain.md §6`).

A tick scans a bounded number of rows of each partition; the next tick continues. An expiry is dated at the end of the
wait, so the result does not depend on when a row is scanned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Final

from aftersend.rules.recipient.fold import expire, expires_at
from aftersend.rules.recipient.statuses import STATUS_EXPIRES, STATUS_WAITS
from aftersend.rules.recipient.timing import TIME_TO_SEND, Timing, closing_times
from aftersend.schemas.delivery import DeliveryTerms
from aftersend.tables.batch.delivery import OpenDelivery
from aftersend.tables.codec.stored import STATUS_AT, decode_row
from aftersend.tables.stores.base import PartitionStore

#: A delivery is scanned again after this share of its shortest response window at the earliest.
_RESCAN_SHARE: Final = 0.005
_DAY: Final = 86_400.0
#: Rows that are read together when a delivery's terms change.
_PAGE: Final = 50_000


class Sweeper:
    """Scans the rows of one partition.

    Args:
        store: the partition's committed state.
        timing: of the installation.
        rows: how many of them one tick may scan.
        first_expiries: by delivery, when the first of its rows expires, as far as is known; updated after each commit.
    """

    def __init__(self, store: PartitionStore, timing: Timing, rows: int, first_expiries: dict[str, float]) -> None:
        self._store = store
        self._timing = timing
        self._rows = rows
        # The expiries of restored rows are unknown: the next tick scans all of them.
        first_expiries.update((delivery_id, 0.0) for delivery_id, _ in store.partials())
        self._first_expiries = first_expiries
        #: Unfinished scans by delivery: the last recipient scanned, and the first expiry so far.
        self._scans: dict[str, tuple[str | None, float]] = {}

    def end_waits(self, delivery: OpenDelivery, tick: float) -> None:
        """End all waits of a delivery that are over by its present terms, before other terms replace them.

        So the result does not depend on whether a sweep has reached a row before its terms change.
        """
        now, after = min(tick, delivery.freeze_at), None
        while page := self._store.scan(delivery.id, after, _PAGE) if delivery.partial is not None else []:
            for recipient, stored in page:
                self._expire(delivery, recipient, stored, now)
            after = page[-1][0]
        for recipient in delivery.rows:
            self._expire(delivery, recipient, b"", now)
        self._scans.pop(delivery.id, None)

    def note_expiry(self, delivery_id: str, first_expiry: float) -> None:
        """Take note of the first expiry of the rows that a batch has changed: an unfinished scan may be past them."""
        if delivery_id in self._scans:
            after, first_so_far = self._scans[delivery_id]
            self._scans[delivery_id] = after, min(first_so_far, first_expiry)

    def sweep(
        self, tick: float, changed: Mapping[str, DeliveryTerms | None], delivery_of: Callable[[str], OpenDelivery]
    ) -> list[str]:
        """End the waits that are over and forget the rows that are past their retention, up to the limit of rows.

        Args:
            tick: seconds since 1970.
            changed: terms that the current batch has changed.
            delivery_of: returns a delivery of the current batch, opened if need be.

        Returns:
            Deliveries whose terms are forgotten with the last of their rows.
        """
        left, ended = self._rows, []
        timing, terms_of = self._timing, self._store.terms.get
        for delivery_id, partial in self._store.partials():
            if left <= 0:
                break
            terms = changed.get(delivery_id) or terms_of(delivery_id)
            past = bool(delivery_id) and closing_times(partial.started_at, terms, timing)[1] <= tick
            if past and not partial.archived:
                delivery = delivery_of(delivery_id)
                left -= self._forget(delivery, tick, left)
                if delivery.archived and delivery.terms is not None:
                    ended.append(delivery_id)
            elif not past and self._first_expiries.get(delivery_id, 0.0) <= tick:
                left -= self._scan(delivery_of(delivery_id), tick, left)
        return ended

    def _scan(self, delivery: OpenDelivery, tick: float, limit: int) -> int:
        """Scan the next page of a delivery's rows; return the number of rows."""
        delivery_id = delivery.id
        after, first_expiry = self._scans.pop(delivery_id, (None, inf))
        page = self._store.scan(delivery_id, after, limit)
        now = min(tick, delivery.freeze_at)
        for recipient, stored in page:
            if not delivery_id and self._forget_if_old(delivery, recipient, stored, tick):
                continue
            expiry = self._expire(delivery, recipient, stored, now)
            if expiry is not None and expiry <= delivery.freeze_at:
                first_expiry = min(first_expiry, expiry)
        if len(page) == limit:
            self._scans[delivery_id] = page[-1][0], first_expiry
            return limit
        again = tick + (_DAY if not delivery_id else min(delivery.windows[:TIME_TO_SEND]) * _RESCAN_SHARE)
        self._first_expiries[delivery_id] = again if not delivery_id else max(first_expiry, again)
        return len(page)

    def _expire(self, delivery: OpenDelivery, recipient: str, stored: bytes, now: float) -> float | None:
        """End a row's wait if it is over by now, else return when it ends; None: the row does not wait any more."""
        row = delivery.rows.get(recipient)
        if row is None:
            # Planned recipients are decoded only if they have to be sent to in time.
            waits = STATUS_WAITS if delivery.windows[TIME_TO_SEND] == inf else STATUS_EXPIRES
            if not waits[stored[STATUS_AT]]:
                return None
            row = decode_row(stored)
        expiry = expires_at(row, delivery.windows)
        if expiry is None or expiry > now:
            return expiry
        if recipient not in delivery.rows:
            delivery.add(recipient, row)
        expire(row, expiry)
        return None

    def _forget_if_old(self, delivery: OpenDelivery, recipient: str, stored: bytes, tick: float) -> bool:
        """Forget a row without a delivery whose last event is older than the retention; return whether it was."""
        row = delivery.rows.get(recipient) or decode_row(stored)
        if row.updated_at + self._timing.retention > tick:
            return False
        delivery.forgotten.append(recipient)
        return True

    def _forget(self, delivery: OpenDelivery, tick: float, limit: int) -> int:
        """Forget the next page of a delivery's rows; return the number of rows."""
        page = self._store.scan(delivery.id, None, limit)
        now = min(tick, delivery.freeze_at)
        delivery.archived = len(page) < limit
        recipients = dict(page)
        if delivery.archived:  # together with the rows that this batch has created
            recipients |= dict.fromkeys(delivery.rows, b"")
        for recipient, stored in recipients.items():
            self._expire(delivery, recipient, stored, now)
            delivery.forgotten.append(recipient)
        return len(page)
