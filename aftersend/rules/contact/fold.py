"""Folding an event into the contact: what it means for the address, whatever the delivery (`docs/domain.md §3`).

A contact holds the state of three products: Creatio's *do not use email* and *valid*
(`aftersend.rules.contact.validity`), Adobe's quarantine (`aftersend.rules.contact.quarantine`) and Escala's card of
notices. Events are folded in the order of their partition.
"""

from __future__ import annotations

from typing import Final

from aftersend.rules.contact import quarantine
from aftersend.rules.contact.validity import DEFAULT_POLICY, VALIDITY_POLICIES, count_hard_bounce
from aftersend.rules.recipient.facts import Fact
from aftersend.rules.recipient.kinds import (
    COMPLAINED,
    DEFERRED,
    DELIVERED,
    HARD_BOUNCE,
    INVALID_ADDRESS,
    RELEASED,
    RESUBSCRIBED,
    SOFT_BOUNCE,
    SOFT_BOUNCE_EXHAUSTED,
    UNSUBSCRIBED,
    UNSUBSCRIBED_ONE_CLICK,
)
from aftersend.rules.recipient.statuses import NOT_SENT
from aftersend.schemas.contact import Contact, Notice, Unsubscription
from aftersend.schemas.event import MESSAGE_TYPES, FoldEvent
from aftersend.schemas.times import NEVER
from aftersend.schemas.version import SCHEMA_VERSION

#: Notices that a contact keeps, the latest (`docs/domain.md §3.4`).
MAX_NOTICES: Final = 20

_CREATING_KINDS: Final = (
    HARD_BOUNCE,
    INVALID_ADDRESS,
    SOFT_BOUNCE,
    SOFT_BOUNCE_EXHAUSTED,
    COMPLAINED,
    UNSUBSCRIBED,
    UNSUBSCRIBED_ONE_CLICK,
    DEFERRED,  # if its message has waited for a day, see `is_lasting`
)
#: Values of `CONTACT_EFFECT`; 0: the kind does not change contacts.
UPDATES_EXISTING: Final = 1
_CREATES: Final = 2
#: By kind number: whether an event changes the contact, and whether it creates one.
CONTACT_EFFECT: Final = [0] * 64
for _kind in _CREATING_KINDS:
    CONTACT_EFFECT[_kind] = _CREATES
CONTACT_EFFECT[DELIVERED] = CONTACT_EFFECT[RESUBSCRIBED] = CONTACT_EFFECT[RELEASED] = UPDATES_EXISTING
for _kind in range(NOT_SENT, 64):
    CONTACT_EFFECT[_kind] = _CREATES

#: A cause replaces one of strictly lower rank.
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
    SOFT_BOUNCE_EXHAUSTED: "bounced",
}

_BAD_ADDRESS: Final = frozenset({HARD_BOUNCE, INVALID_ADDRESS})
_SOFT_BOUNCES: Final = frozenset({SOFT_BOUNCE, SOFT_BOUNCE_EXHAUSTED})
_UNSUBSCRIBES: Final = frozenset({UNSUBSCRIBED, UNSUBSCRIBED_ONE_CLICK})
_BY_BOUNCE: Final = frozenset({"hard_bounce", "invalid_address"})


def is_lasting(pending_since: float | None, received_at: float) -> bool:
    """Return whether a deferral counts as a soft error of the address: its message has waited for a day.

    Earlier deferrals do not count: greylisting defers many first attempts, and the delivery that follows within the
    hour would clear the error.

    Args:
        pending_since: of the recipient's row, this deferral included.
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
    message_type: str | None = None,
) -> Contact | None:
    """Return the contact after an event, None if nothing changed.

    Args:
        contact: changed in place; None: the address has none.
        event: no duplicate, not of a test message, with a recipient; if a deferral, a lasting one.
        kind: of the event; those with `CONTACT_EFFECT` 0 need no call.
        received_at: arrival, seconds since 1970.
        row_facts: of the recipient's row, this event included.
        invalid_after: hard bounces in a row after which an address is invalid (`aftersend.rules.contact.validity`).
        message_type: of the message; None: as the event says.
    """
    if message_type is None:
        message_type = event.message_type
    if contact is None:
        if CONTACT_EFFECT[kind] != _CREATES:
            return None
        contact = Contact(SCHEMA_VERSION, event.recipient)
    revert = _REVERTING.get(kind)
    if revert is not None:
        if not revert(contact, event, received_at, message_type):
            return None
    else:
        _count_against(contact, event, kind, received_at, message_type, invalid_after)
        if kind != DEFERRED:
            _add_notice(contact, event, kind, received_at, row_facts, message_type)
        if event.address and not contact.address:
            contact.address = event.address
    contact.updated_at = max(contact.updated_at, received_at)
    contact.version += 1
    return contact


def _record_success(contact: Contact, _event: FoldEvent, _received_at: float, _message_type: str) -> bool:
    """Clear failures after a successful delivery; return whether there were any."""
    had_errors = quarantine.clear_errors(contact)
    if not (had_errors or contact.failures or contact.hard_bounces):
        return False
    contact.failures, contact.failure_reason = 0, ""
    contact.hard_bounces, contact.hard_bounce_reason = 0, ""
    return True


def _release(contact: Contact, event: FoldEvent, received_at: float, _message_type: str) -> bool:
    """End a quarantine and clear the cause that the same bounces set; return whether there was a quarantine."""
    if not quarantine.release(contact, event, received_at):
        return False
    if contact.cause in _BY_BOUNCE:
        _clear_cause(contact)
    return True


def _resubscribe(contact: Contact, _event: FoldEvent, received_at: float, message_type: str) -> bool:
    """End an unsubscription, or its part for one message type; return whether there was one (`docs/domain.md §3.5`)."""
    unsubscription = contact.unsubscription
    if unsubscription is None or received_at < unsubscription.at:
        return False
    if unsubscription.types and message_type:
        if message_type not in unsubscription.types:
            return False
        unsubscription.types.remove(message_type)
        if unsubscription.types:
            return True
    contact.unsubscription = None
    if contact.cause == "unsubscribed":
        _clear_cause(contact)
    return True


#: Kinds that clear what others have set; each function returns whether it changed anything.
_REVERTING: Final = {DELIVERED: _record_success, RESUBSCRIBED: _resubscribe, RELEASED: _release}


def _clear_cause(contact: Contact) -> None:
    """Clear the cause for which the address may not be mailed; an unsubscription that it hid becomes the cause."""
    unsubscription = contact.unsubscription
    if unsubscription is None:
        contact.do_not_email, contact.cause, contact.cause_at, contact.cause_delivery_id = False, "", NEVER, ""
    else:
        contact.cause, contact.cause_at, contact.cause_delivery_id = (
            "unsubscribed",
            unsubscription.at,
            unsubscription.delivery_id,
        )


def _count_against(
    contact: Contact, event: FoldEvent, kind: int, received_at: float, message_type: str, invalid_after: int
) -> None:
    cause = _CAUSE_OF_KIND.get(kind)
    if cause is not None and (
        _CAUSE_RANK[cause] > _CAUSE_RANK[contact.cause]
        or (
            _CAUSE_RANK[cause] == _CAUSE_RANK[contact.cause]
            and (received_at, event.delivery_id, cause)
            < (contact.cause_at, contact.cause_delivery_id, contact.cause)  # the first of equal weight
        )
    ):
        contact.do_not_email = True
        contact.cause, contact.cause_at, contact.cause_delivery_id = cause, received_at, event.delivery_id
    if kind in _BAD_ADDRESS:
        _count_failure(contact, event.reason)
        count_hard_bounce(contact, event, invalid_after)
        if kind == INVALID_ADDRESS:
            contact.valid = False  # whatever the policy: it is no address
        quarantine.record_hard_error(contact, event, received_at)
    elif kind in _SOFT_BOUNCES:
        _count_failure(contact, event.reason)
        quarantine.record_soft_error(contact, event, received_at)
    elif kind == DEFERRED:
        quarantine.record_soft_error(contact, event, received_at)
    elif kind in _UNSUBSCRIBES:
        _unsubscribe(contact, event, received_at, message_type)


def _count_failure(contact: Contact, reason: str) -> None:
    contact.failures = contact.failures + 1 if reason == contact.failure_reason else 1
    contact.failure_reason = reason


def _unsubscribe(contact: Contact, event: FoldEvent, received_at: float, message_type: str) -> None:
    """Record what the address has unsubscribed from: the message's type, or all if that is unknown."""
    types = [message_type] if message_type in MESSAGE_TYPES else []
    unsubscription = contact.unsubscription
    if unsubscription is None:
        contact.unsubscription = Unsubscription(received_at, event.delivery_id, types)
        return
    unsubscription.at, unsubscription.delivery_id = min(
        (unsubscription.at, unsubscription.delivery_id), (received_at, event.delivery_id)
    )
    if unsubscription.types:
        unsubscription.types = sorted({*unsubscription.types, *types}) if types else []


def _add_notice(
    contact: Contact, event: FoldEvent, kind: int, received_at: float, row_facts: int, message_type: str
) -> None:
    notice = Notice(
        event.delivery_id,
        _NOTICE_OF_KIND.get(kind, "not_sent"),
        event.occurred_at or received_at,
        event.reason,
        message_type,
        delivered=bool(row_facts & Fact.CONFIRMED) or kind == COMPLAINED,
    )
    if contact.notices:
        others = [n for n in contact.notices if (n.delivery_id, n.kind) != (notice.delivery_id, notice.kind)]
        same = [n for n in contact.notices if (n.delivery_id, n.kind) == (notice.delivery_id, notice.kind)]
        # Of two notices of one kind the later stays, whichever is read first.
        latest = same[0] if same and same[0].at > notice.at else notice
        contact.notices = sorted([*others, latest], key=lambda n: (n.at, n.delivery_id, n.kind))[-MAX_NOTICES:]
    else:
        contact.notices = [notice]
