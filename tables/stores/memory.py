"""The memory store: rows as encoded bytes in dicts, which the garbage collector does not traverse."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from aftersend.schemas.delivery import DeliveryTerms
from aftersend.schemas.event import FoldEvent
from aftersend.schemas.kpi import KpiPartial
from aftersend.tables.stores.base import Changes, PartitionStore, merge


class MemoryStore(PartitionStore):
    """A partition's state in memory; restored from the changelogs after a restart."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, bytes]] = {}
        self._contacts: dict[str, bytes] = {}
        self._partials: dict[str, KpiPartial] = {}
        self.terms: dict[str, DeliveryTerms] = {}
        self._offsets: dict[str, int] = {}
        #: The scan under way: its delivery, the last recipient returned, all recipients, and how many were returned.
        self._scanned: tuple[str, str, list[str], int] | None = None

    def offsets(self) -> dict[str, int]:
        """Return the store's offset in each changelog."""
        return dict(self._offsets)

    def prefetch(self, events: Iterable[FoldEvent]) -> None:
        """Do nothing: everything is in memory."""

    def rows_of(self, delivery_id: str) -> Callable[[str], bytes | None]:
        """Return the look-up of a delivery's rows."""
        return self._rows.get(delivery_id, _NO_ROWS).get

    def deliveries(self) -> Iterator[str]:
        """Iterate over the ids of all deliveries, as of now."""
        return iter(list(self._partials))

    def contact(self, recipient: str) -> bytes | None:
        """Return the encoded contact of an address."""
        return self._contacts.get(recipient)

    def partial(self, delivery_id: str) -> KpiPartial | None:
        """Return a delivery's KPIs."""
        return self._partials.get(delivery_id)

    def partials(self) -> Iterator[tuple[str, KpiPartial]]:
        """Iterate over the KPIs of all deliveries."""
        return iter(self._partials.items())

    def scan(self, delivery_id: str, after: str | None, limit: int) -> list[tuple[str, bytes]]:
        """Return some rows of a delivery, in the order of their creation."""
        rows = self._rows.get(delivery_id, _NO_ROWS)
        scanned = self._scanned
        if scanned is not None and after is not None and (delivery_id, after) == scanned[:2]:
            recipients, at = scanned[2:]
        else:
            recipients = list(rows)
            at = recipients.index(after) + 1 if after in rows else 0
        page: list[tuple[str, bytes]] = []
        self._scanned = None
        for recipient in islice(recipients, at, None):
            at += 1
            row = rows.get(recipient)
            if row is not None:
                page.append((recipient, row))
                if len(page) == limit:
                    self._scanned = (delivery_id, recipient, recipients, at)
                    break
        return page

    def apply(self, changes: Changes, offsets: dict[str, int]) -> None:
        """Make a committed batch's changes visible."""
        for delivery_id, changed in changes.rows.items():
            rows = self._rows.setdefault(delivery_id, {})
            if None in changed.values():
                merge(rows, changed)
                if not rows:
                    del self._rows[delivery_id]
            else:
                rows.update(changed)  # type: ignore[arg-type]  # no None among them
        merge(self._contacts, changes.contacts)
        self._partials.update(changes.partials)
        merge(self.terms, changes.terms)
        self.tick = max(self.tick, changes.tick)
        self._offsets.update(offsets)

    def clear(self, reason: str) -> None:  # noqa: ARG002 - nothing to log: a memory store starts empty anyway
        """Delete everything."""
        self._rows, self._contacts, self._partials, self.terms = {}, {}, {}, {}
        self._offsets, self.tick = {}, 0.0

    def count(self) -> int:
        """Return the number of rows."""
        return sum(map(len, self._rows.values()))

    def close(self) -> None:
        """Free the memory."""
        self._rows, self._contacts, self._partials, self.terms = {}, {}, {}, {}


_NO_ROWS: dict[str, bytes] = {}
