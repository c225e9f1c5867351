"""What becomes of rows by the mere passing of time: waits that are over, rows that are forgotten.

A tick looks at a bounded number of rows of each partition; the rest waits for the next one. Since a wait ends dated at
the moment it was due, it makes no difference when it is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Final

from aftersend.rules.recipient.fold import expire, expires_at
from aftersend.rules.recipient.lifecycle import STATUS_WAITS
from aftersend.rules.recipient.timing import Timing, closing_times
from aftersend.schemas.delivery import DeliveryTerms
from aftersend.tables import codec
from aftersend.tables.codec import decode_row
from aftersend.tables.delivery import OpenDelivery
from aftersend.tables.stores.base import PartitionStore

#: A delivery is looked through again at the earliest after this share of the shortest window.
_SWEEP_SHARE: Final = 0.005
_DAY: Final = 86_400.0
#: Rows that are looked at in one go when other terms come.
_SETTLE_ROWS: Final = 50_000


class Sweeper:
    """Looks through the rows of one partition.

    Args:
        store: the partition's committed state.
        timing: of the installation.
        rows: how many of them one tick may look at.
        due: when the first row of each delivery expires, as far as is known; changed when a batch is committed.
    """

    def __init__(self, store: PartitionStore, timing: Timing, rows: int, due: dict[str, float]) -> None:
        self._store = store
        self._timing = timing
        self._rows = rows
        # Nobody knows yet when the rows are due that were there before: all of them are looked at by the next tick.
        due.update((delivery_id, 0.0) for delivery_id, _ in store.partials())
        self._due = due
        #: Deliveries that are being looked through: the last recipient seen, and the first due time so far.
        self._scans: dict[str, tuple[str | None, float]] = {}

    def settle(self, delivery: OpenDelivery, tick: float) -> None:
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

    def heard(self, delivery_id: str, due: float) -> None:
        """Take note of when the first row expires that a batch has changed: a scan may have been past it."""
        if delivery_id in self._scans:
            after, due_so_far = self._scans[delivery_id]
            self._scans[delivery_id] = after, min(due_so_far, due)

    def sweep(
        self, tick: float, changed: Mapping[str, DeliveryTerms | None], delivery_of: Callable[[str], OpenDelivery]
    ) -> list[str]:
        """End the waits that are over and forget the rows that are past their retention, as far as time allows.

        Args:
            tick: seconds since 1970.
            changed: terms that the batch under way has changed.
            delivery_of: opens a delivery for that batch, unless it is open.

        Returns:
            Deliveries whose terms go with the last of their rows.
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
            elif not past and self._due.get(delivery_id, 0.0) <= tick:
                left -= self._look_through(delivery_of(delivery_id), tick, left)
        return ended

    def _look_through(self, delivery: OpenDelivery, tick: float, limit: int) -> int:
        """Look at the next page of a delivery's rows; return how many that were."""
        delivery_id = delivery.id
        after, first_due = self._scans.pop(delivery_id, (None, inf))
        page = self._store.scan(delivery_id, after, limit)
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

    def _expire(self, delivery: OpenDelivery, recipient: str, stored: bytes, now: float) -> float | None:
        """End a row's wait if it is over by now; return when it will be if it is not."""
        row = delivery.live.get(recipient)
        if row is None:
            if not STATUS_WAITS[stored[codec.STATUS_AT]]:
                return None
            row = decode_row(stored)
        due = expires_at(row, delivery.windows[row.source])
        if due is None or due > now:
            return due
        if recipient not in delivery.live:
            delivery.touch(recipient, row)
        expire(row, due)
        return None

    def _forget_if_old(self, delivery: OpenDelivery, recipient: str, stored: bytes, tick: float) -> bool:
        """Forget a row that belongs to no delivery when nothing was heard of it for the whole retention."""
        row = delivery.live.get(recipient) or decode_row(stored)
        if row.updated_at + self._timing.retention > tick:
            return False
        delivery.forgotten.append(recipient)
        return True

    def _forget(self, delivery: OpenDelivery, tick: float, limit: int) -> int:
        """Forget the next page of a delivery's rows; return how many that were."""
        page = self._store.scan(delivery.id, None, limit)
        now = min(tick, delivery.freeze_at)
        delivery.archived = len(page) < limit
        going = dict(page)
        if delivery.archived:  # with the rows that this very batch has made
            going |= dict.fromkeys(delivery.live, b"")
        for recipient, stored in going.items():
            self._expire(delivery, recipient, stored, now)
            delivery.forgotten.append(recipient)
        return len(page)
