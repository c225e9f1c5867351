"""The interface of the stores of a partition's rows, contacts and KPIs."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from aftersend.schemas.delivery import DeliveryTerms
from aftersend.schemas.event import FoldEvent
from aftersend.schemas.kpi import KpiPartial


class Changes(msgspec.Struct):
    """What one committed batch changed; None as a value: deleted."""

    #: delivery -> recipient -> encoded `Row`.
    rows: dict[str, dict[str, bytes | None]] = {}
    #: recipient -> encoded `Contact`.
    contacts: dict[str, bytes | None] = {}
    partials: dict[str, KpiPartial] = {}
    #: The last tick folded, seconds since 1970.
    tick: float = 0.0
    #: By delivery.
    terms: dict[str, DeliveryTerms | None] = {}


class PartitionStore(abc.ABC):
    """The committed state of one partition.

    All methods return the state of the last `apply`. Offsets are those of the changelog topics, by topic name: of the
    next record that the store does not contain.
    """

    #: The last tick folded.
    tick: float = 0.0
    #: Terms by delivery, of deliveries whose rows are not forgotten; callers do not change it.
    terms: dict[str, DeliveryTerms]

    @abc.abstractmethod
    def offsets(self) -> dict[str, int]:
        """Return the store's offset in each changelog; empty: the store is empty."""

    @abc.abstractmethod
    def prefetch(self, events: Iterable[FoldEvent]) -> None:
        """Read the rows and contacts of a batch's events together, ahead of their use."""

    @abc.abstractmethod
    def rows_of(self, delivery_id: str) -> Callable[[str], bytes | None]:
        """Return the function from a recipient to the encoded row of a delivery (None: no row)."""

    def peek(self, delivery_id: str, recipient: str) -> bytes | None:
        """Return an encoded row without caching it; None: no row."""
        return self.rows_of(delivery_id)(recipient)

    def deliveries(self) -> Iterator[str]:
        """Iterate over the ids of all deliveries; batches may be applied meanwhile."""
        return iter([delivery_id for delivery_id, _ in self.partials()])

    @abc.abstractmethod
    def contact(self, recipient: str) -> bytes | None:
        """Return the encoded contact of an address."""

    def peek_contacts(self, recipients: Sequence[str]) -> list[bytes | None]:
        """Return the encoded contacts of some addresses, in their order, without caching them."""
        return [self.contact(recipient) for recipient in recipients]

    @abc.abstractmethod
    def partial(self, delivery_id: str) -> KpiPartial | None:
        """Return a delivery's KPIs; callers do not change them."""

    @abc.abstractmethod
    def partials(self) -> Iterator[tuple[str, KpiPartial]]:
        """Iterate over the KPIs of all deliveries."""

    @abc.abstractmethod
    def scan(self, delivery_id: str, after: str | None, limit: int) -> list[tuple[str, bytes]]:
        """Return some rows of a delivery in a fixed order.

        Args:
            delivery_id: the delivery.
            after: the recipient after which to continue; None: from the first.
            limit: the largest number of rows; fewer are returned only at the end.
        """

    @abc.abstractmethod
    def apply(self, changes: Changes, offsets: dict[str, int]) -> None:
        """Make a committed batch's changes and the changelogs' offsets visible, in one step."""

    @abc.abstractmethod
    def clear(self, reason: str) -> None:
        """Delete everything, since it does not match the changelogs; the reason is logged."""

    @abc.abstractmethod
    def count(self) -> int:
        """Return the number of rows, or an estimate of it."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close files and free memory."""


T = TypeVar("T")


def merge(into: dict[str, T], changed: Mapping[str, T | None]) -> None:
    """Apply changes to a dict, in place; None as a value: deleted."""
    for key, value in changed.items():
        if value is None:
            into.pop(key, None)
        else:
            into[key] = value
