"""What an event means for the address itself, whatever the delivery (`semantics.md` sections 4 and 5)."""

from __future__ import annotations

from typing import Final

from rules.lifecycle import (
    COMPLAINED,
    DELIVERED,
    HARD_BOUNCE,
    INVALID_ADDRESS,
    NOT_SENT,
    RESUBSCRIBED,
    SOFT_BOUNCE,
    UNSUBSCRIBED,
    UNSUBSCRIBED_ONE_CLICK,
    Fact,
)
from schemas.feedback import Folded
from schemas.state import SCHEMA_VERSION, Contact, Notice

MAX_NOTICES: Final = 20

_ALWAYS: Final = (
    HARD_BOUNCE,
    INVALID_ADDRESS,
    SOFT_BOUNCE,
    COMPLAINED,
    UNSUBSCRIBED,
    UNSUBSCRIBED_ONE_CLICK,
)
#: By kind: 0: no concern of the contact's; 1: only of one that is there already; 2: always.
CONCERNS_KNOWN: Final = 1
_CONCERNS_ALL: Final = 2
CONCERNS: Final = [0] * 64
for _kind in _ALWAYS:
    CONCERNS[_kind] = _CONCERNS_ALL
CONCERNS[DELIVERED] = CONCERNS[RESUBSCRIBED] = CONCERNS_KNOWN
for _kind in range(NOT_SENT, 64):
    CONCERNS[_kind] = _CONCERNS_ALL

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


def update(contact: Contact | None, event: Folded, kind: int, received_at: float, row_facts: int) -> Contact | None:
    """Return the contact after an event, None if nothing changed.

    Args:
        contact: as it was, None if nothing was held against the address; changed in place.
        event: no duplicate, no test message, and it has a recipient.
        kind: of the event; `CONCERNS` says which kinds are worth a call.
        received_at: arrival, seconds since 1970.
        row_facts: of the recipient's row, this event included.
    """
    if contact is None:
        if CONCERNS[kind] != _CONCERNS_ALL:
            return None
        contact = Contact(SCHEMA_VERSION, event.recipient)
    if kind == DELIVERED:
        if not contact.failures:
            return None
        contact.failures, contact.failure_reason = 0, ""
    elif kind == RESUBSCRIBED:
        if contact.cause != "unsubscribed":
            return None
        contact.do_not_email, contact.cause, contact.cause_at, contact.cause_delivery_id = False, "", 0.0, ""
    else:
        _hold_against(contact, event, kind, received_at)
        _notice(contact, event, kind, received_at, row_facts)
    contact.updated_at = received_at
    contact.version += 1
    return contact


def _hold_against(contact: Contact, event: Folded, kind: int, received_at: float) -> None:
    cause = _CAUSE_OF_KIND.get(kind, "")
    if _CAUSE_RANK[cause] > _CAUSE_RANK[contact.cause]:
        contact.do_not_email = True
        contact.cause, contact.cause_at, contact.cause_delivery_id = cause, received_at, event.delivery_id
    if kind in {HARD_BOUNCE, INVALID_ADDRESS}:
        contact.valid = False
    if kind in {HARD_BOUNCE, INVALID_ADDRESS, SOFT_BOUNCE}:
        same = event.reason == contact.failure_reason
        contact.failures = contact.failures + 1 if same else 1
        contact.failure_reason = event.reason


def _notice(contact: Contact, event: Folded, kind: int, received_at: float, row_facts: int) -> None:
    notice = Notice(
        event.delivery_id,
        _NOTICE_OF_KIND.get(kind, "not_sent"),
        event.occurred_at or received_at,
        event.reason,
        event.message_type,
        delivered=bool(row_facts & Fact.CONFIRMED) or kind == COMPLAINED,
    )
    others = [n for n in contact.notices if (n.delivery_id, n.kind) != (notice.delivery_id, notice.kind)]
    contact.notices = [*others, notice][-MAX_NOTICES:]
