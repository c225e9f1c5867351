"""Where a partition's rows, contacts and KPIs live: one interface, two stores (`memory`, `rocks`)."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from aftersend.schemas.delivery import DeliveryTerms
from aftersend.schemas.event import FoldEvent
from aftersend.schemas.kpi import KpiPartial


class Changes(msgspec.Struct):
    """What one committed batch changed; None as a value: gone."""

    #: delivery -> recipient -> encoded `Row`.
    rows: dict[str, dict[str, bytes | None]] = {}
    #: recipient -> encoded `Contact`.
    contacts: dict[str, bytes | None] = {}
    partials: dict[str, KpiPartial] = {}
    #: The last tick folded, seconds since 1970.
    tick: float = 0.0
    #: Of declared deliveries.
    terms: dict[str, DeliveryTerms | None] = {}


class PartitionStore(abc.ABC):
    """The committed state of one partition.

    What it returns is as of the last `apply`. Offsets are those of the changelog topics, by topic name: the offset of
    the next record that the store has not seen.
    """

    #: The last tick folded.
    tick: float = 0.0
    #: What was declared of deliveries whose rows have not been forgotten; not to be changed.
    terms: dict[str, DeliveryTerms]

    @abc.abstractmethod
    def offsets(self) -> dict[str, int]:
        """Return how far into each changelog the store reaches; empty: it has nothing."""

    @abc.abstractmethod
    def prefetch(self, events: Iterable[FoldEvent]) -> None:
        """Announce the events of a batch, so that their rows can be read together."""

    @abc.abstractmethod
    def rows_of(self, delivery_id: str) -> Callable[[str], bytes | None]:
        """Return the function from a recipient to the encoded row of a delivery (None: no row)."""

    def peek(self, delivery_id: str, recipient: str) -> bytes | None:
        """Return an encoded row without a trace in what is kept for the next batch; None: no row."""
        return self.rows_of(delivery_id)(recipient)

    def deliveries(self) -> Iterator[str]:
        """Iterate over the ids of all deliveries; batches may be applied meanwhile."""
        return iter([delivery_id for delivery_id, _ in self.partials()])

    @abc.abstractmethod
    def contact(self, recipient: str) -> bytes | None:
        """Return the encoded contact of an address."""

    def peek_contacts(self, recipients: Sequence[str]) -> list[bytes | None]:
        """Return the encoded contacts of some addresses, in their order, without a trace as `peek`."""
        return [self.contact(recipient) for recipient in recipients]

    @abc.abstractmethod
    def partial(self, delivery_id: str) -> KpiPartial | None:
        """Return a delivery's KPIs; not to be changed."""

    @abc.abstractmethod
    def partials(self) -> Iterator[tuple[str, KpiPartial]]:
        """Iterate over the KPIs of all deliveries."""

    @abc.abstractmethod
    def scan(self, delivery_id: str, after: str | None, limit: int) -> list[tuple[str, bytes]]:
        """Return some rows of a delivery in a fixed order.

        Args:
            delivery_id: the delivery.
            after: the recipient after which to go on; None: from the first.
            limit: how many at most; fewer come only at the end.
        """

    @abc.abstractmethod
    def apply(self, changes: Changes, offsets: dict[str, int]) -> None:
        """Make a committed batch's changes and the changelogs' offsets visible, in one step."""

    @abc.abstractmethod
    def clear(self, reason: str) -> None:
        """Throw everything away, since it does not fit the changelogs; the reason goes to the log."""

    @abc.abstractmethod
    def count(self) -> int:
        """Return the number of rows, if need be an estimate."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of files and memory."""


T = TypeVar("T")


def merge(into: dict[str, T], changed: Mapping[str, T | None]) -> None:
    """Take changes over; None as a value: gone."""
    for key, value in changed.items():
        if value is None:
            into.pop(key, None)
        else:
            into[key] = value
