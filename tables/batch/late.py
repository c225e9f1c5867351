"""Events after their delivery's freeze (`docs/domain.md §2.6`): remembered and counted, statuses and KPIs stay."""

from __future__ import annotations

from typing import Final, NamedTuple

from aftersend.rules.contact.fold import CONTACT_EFFECT, is_lasting
from aftersend.rules.recipient.facts import Fact
from aftersend.rules.recipient.fold import expire, expires_at, remember_late
from aftersend.rules.recipient.kinds import DEFERRED
from aftersend.schemas.event import FoldEvent
from aftersend.tables.batch.contacts import BatchContacts
from aftersend.tables.batch.delivery import OpenDelivery

_FACT_TEST: Final = Fact.TEST


class LateEvent(NamedTuple):
    """An event that arrived after the freeze, or whose row is forgotten."""

    event: FoldEvent
    kind: int
    #: Arrival, seconds since 1970.
    received_at: float
    #: The last tick before it in the partition, seconds since 1970.
    tick: float
    #: Of the event's id.
    digest: bytes
    raw_position: int


def fold_late(late: LateEvent, delivery: OpenDelivery, contacts: BatchContacts) -> None:
    """Remember a late event in its row if there is one, and fold it into the contact.

    Statistics are closed, but an address that complains or unsubscribes must not be mailed again.
    """
    event, kind, received_at = late.event, late.kind, late.received_at
    forgotten = late.tick >= delivery.forget_at
    row = None if forgotten else delivery.row(event.recipient)
    is_new, facts, pending_since = True, 0, None
    if row is not None:
        expiry = expires_at(row, delivery.windows)
        if expiry is not None and expiry <= delivery.freeze_at:
            expire(row, expiry)
        is_new, facts = remember_late(row, kind, received_at, late.digest, late.raw_position), row.facts
        pending_since = row.pending_since
    if kind == DEFERRED and not is_lasting(pending_since, received_at):
        return
    if is_new and CONTACT_EFFECT[kind] and event.recipient and not (event.test or facts & _FACT_TEST):
        contacts.update(event, kind, received_at, facts, "" if forgotten else delivery.message_type)
