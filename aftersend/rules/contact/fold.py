"""What an event means for the address itself, whatever the delivery (`docs/domain.md §3`).

A contact keeps three products' memories side by side: Creatio's *do not use email* and *valid*
(`aftersend.rules.contact.validity`), Adobe's quarantine (`aftersend.rules.contact.quarantine`) and Escala's card of
notices. It takes events in the order of its partition.
"""

from __future__ import annotations

from typing import Final

from aftersend.rules.contact import quarantine
from aftersend.rules.contact.validity import DEFAULT_POLICY, VALIDITY_POLICIES, count_hard_bounce
from aftersend.rules.recipient.lifecycle import (
    COMPLAINED,
    DEFERRED,
    DELIVERED,
    HARD_BOUNCE,
    INVALID_ADDRESS,
    NOT_SENT,
    RELEASED,
    RESUBSCRIBED,
    SOFT_BOUNCE,
    UNSUBSCRIBED,
    UNSUBSCRIBED_ONE_CLICK,
    Fact,
)
from aftersend.schemas.contact import Contact, Notice, Unsubscription
from aftersend.schemas.event import MESSAGE_TYPES, FoldEvent
from aftersend.schemas.times import NEVER
from aftersend.schemas.version import SCHEMA_VERSION

MAX_NOTICES: Final = 20

_CREATING_KINDS: Final = (
    HARD_BOUNCE,
    INVALID_ADDRESS,
    SOFT_BOUNCE,
    COMPLAINED,
    UNSUBSCRIBED,
    UNSUBSCRIBED_ONE_CLICK,
    DEFERRED,  # of a message that has waited for long, see `is_lasting`
)
#: By kind: 0: no concern of the contact's; 1: only of one that is there already; 2: always.
UPDATES_EXISTING: Final = 1
_CREATES: Final = 2
CONTACT_EFFECT: Final = [0] * 64
for _kind in _CREATING_KINDS:
    CONTACT_EFFECT[_kind] = _CREATES
CONTACT_EFFECT[DELIVERED] = CONTACT_EFFECT[RESUBSCRIBED] = CONTACT_EFFECT[RELEASED] = UPDATES_EXISTING
for _kind in range(NOT_SENT, 64):
    CONTACT_EFFECT[_kind] = _CREATES

#: A cause of a higher rank replaces one of a lower rank; the first of equals stays.
_CAUSE_RANK: Final = {"": 0, "unsubscribed": 1, "hard_bounce": 2, "invalid_address": 2, "complained": 3}
_CAUSE_OF_KIND: Final = {
    COMPLAINED: "complained",
    UNSUBSCRIBED: "unsubscribed",
    UNSUBSCRIBED_ONE_CLICK: "unsubscribed",
    HARD_BOUNCE: "hard_bounce",
    INVALID_ADDRESS: "invalid_address",
}
_NOTICE_OF_KIND: Final = {
    COMPLAINED: "complained",
    UNSUBSCRIBED: "unsubscribed",
    UNSUBSCRIBED_ONE_CLICK: "unsubscribed",
    HARD_BOUNCE: "bounced",
    INVALID_ADDRESS: "bounced",
    SOFT_BOUNCE: "bounced",
}

_BAD_ADDRESS: Final = frozenset({HARD_BOUNCE, INVALID_ADDRESS})
_UNSUBSCRIBES: Final = frozenset({UNSUBSCRIBED, UNSUBSCRIBED_ONE_CLICK})
_BY_BOUNCE: Final = frozenset({"hard_bounce", "invalid_address"})


def is_lasting(pending_since: float | None, received_at: float) -> bool:
    """Say whether a deferral is a soft error of the address: its message has waited for a day, and still does.

    Before that it says nothing yet: greylisting defers many a first attempt, and the delivery that follows within the
    hour would take the error back.

    Args:
        pending_since: of the recipient's row, the deferral included.
        received_at: arrival of the deferral.
    """
    return pending_since is not None and received_at - pending_since >= quarantine.SIGNIFICANT_AFTER


def update(
    contact: Contact | None,
    event: FoldEvent,
    kind: int,
    received_at: float,
    row_facts: int,
    invalid_after: int = VALIDITY_POLICIES[DEFAULT_POLICY],
) -> Contact | None:
    """Return the contact after an event, None if nothing changed.

    Args:
        contact: as it was, None if nothing was held against the address; changed in place.
        event: no duplicate, no test message, and it has a recipient; a deferral is lasting.
        kind: of the event; `CONTACT_EFFECT` says which kinds are worth a call.
        received_at: arrival, seconds since 1970.
        row_facts: of the recipient's row, this event included.
        invalid_after: hard bounces in a row after which an address is not valid (`aftersend.rules.contact.validity`).
    """
    if contact is None:
        if CONTACT_EFFECT[kind] != _CREATES:
            return None
        contact = Contact(SCHEMA_VERSION, event.recipient)
    taken_back = _REVERTING.get(kind)
    if taken_back is not None:
        if not taken_back(contact, event, received_at):
            return None
    else:
        _count_against(contact, event, kind, received_at, invalid_after)
        if kind != DEFERRED:
            _notice(contact, event, kind, received_at, row_facts)
        if event.address and not contact.address:
            contact.address = event.address
    contact.updated_at = received_at
    contact.version += 1
    return contact


def _record_success(contact: Contact, _event: FoldEvent, _received_at: float) -> bool:
    """Take back what a successful delivery takes back; say whether there was anything."""
    had_errors = quarantine.clear_errors(contact)
    if not (had_errors or contact.failures or contact.hard_bounces):
        return False
    contact.failures, contact.failure_reason = 0, ""
    contact.hard_bounces, contact.hard_bounce_reason = 0, ""
    return True


def _release(contact: Contact, event: FoldEvent, received_at: float) -> bool:
    """Take a quarantine back, and the cause that came of the same bounces; say whether there was one."""
    if not quarantine.release(contact, event, received_at):
        return False
    if contact.cause in _BY_BOUNCE:
        _clear_cause(contact)
    return True


def _resubscribe(contact: Contact, event: FoldEvent, _received_at: float) -> bool:
    """Take an unsubscription back, or its part that concerns a message type; say whether there was one."""
    of, message_type = contact.unsubscription, event.message_type
    if of is None:
        return False
    if of.types and message_type:
        if message_type not in of.types:
            return False
        of.types.remove(message_type)
        if of.types:
            return True
    contact.unsubscription = None
    if contact.cause == "unsubscribed":
        _clear_cause(contact)
    return True


_REVERTING: Final = {DELIVERED: _record_success, RESUBSCRIBED: _resubscribe, RELEASED: _release}


def _clear_cause(contact: Contact) -> None:
    """Give up the cause for which the address may not be mailed; an unsubscription behind it becomes the cause."""
    of = contact.unsubscription
    if of is None:
        contact.do_not_email, contact.cause, contact.cause_at, contact.cause_delivery_id = False, "", NEVER, ""
    else:
        contact.cause, contact.cause_at, contact.cause_delivery_id = "unsubscribed", of.at, of.delivery_id


def _count_against(contact: Contact, event: FoldEvent, kind: int, received_at: float, invalid_after: int) -> None:
    cause = _CAUSE_OF_KIND.get(kind)
    if cause is not None and _CAUSE_RANK[cause] > _CAUSE_RANK[contact.cause]:
        contact.do_not_email = True
        contact.cause, contact.cause_at, contact.cause_delivery_id = cause, received_at, event.delivery_id
    if kind in _BAD_ADDRESS:
        _count_failure(contact, event.reason)
        count_hard_bounce(contact, event, invalid_after)
        if kind == INVALID_ADDRESS:
            contact.valid = False  # not a matter of policy: it is no address
        quarantine.record_hard_error(contact, event, received_at)
    elif kind == SOFT_BOUNCE:
        _count_failure(contact, event.reason)
        quarantine.record_soft_error(contact, event, received_at)
    elif kind == DEFERRED:
        quarantine.record_soft_error(contact, event, received_at)
    elif kind in _UNSUBSCRIBES:
        _unsubscribe(contact, event, received_at)


def _count_failure(contact: Contact, reason: str) -> None:
    contact.failures = contact.failures + 1 if reason == contact.failure_reason else 1
    contact.failure_reason = reason


def _unsubscribe(contact: Contact, event: FoldEvent, received_at: float) -> None:
    """Remember from what the address has unsubscribed: from the type of the message, from all if nothing says."""
    named = [event.message_type] if event.message_type in MESSAGE_TYPES else []
    of = contact.unsubscription
    if of is None:
        contact.unsubscription = Unsubscription(received_at, event.delivery_id, named)
    elif of.types:
        of.types = sorted({*of.types, *named}) if named else []


def _notice(contact: Contact, event: FoldEvent, kind: int, received_at: float, row_facts: int) -> None:
    notice = Notice(
        event.delivery_id,
        _NOTICE_OF_KIND.get(kind, "not_sent"),
        event.occurred_at or received_at,
        event.reason,
        event.message_type,
        delivered=bool(row_facts & Fact.CONFIRMED) or kind == COMPLAINED,
    )
    if contact.notices:
        others = [n for n in contact.notices if (n.delivery_id, n.kind) != (notice.delivery_id, notice.kind)]
        contact.notices = [*others, notice][-MAX_NOTICES:]
    else:
        contact.notices = [notice]
