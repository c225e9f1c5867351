"""May this address be mailed, and if not, why: what a sender asks before each send (`docs/domain.md §3.6`).

A pure function of (contact, message type). Time plays no part: an address with errors is mailed on until it is
quarantined, and neither a quarantine nor the denylist ends by itself. All that speaks against the address is told, the
weightiest reason first.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from aftersend.schemas.contact import Contact

COMPLAINED: Final = "complained"
UNSUBSCRIBED: Final = "unsubscribed"
UNSUBSCRIBED_FROM_TYPE: Final = "unsubscribed_from_type"
INVALID: Final = "invalid"
BOUNCED: Final = "bounced"
QUARANTINED: Final = "quarantined"

#: Reason, the weightiest first -> what a sender reports who leaves the address out (`NOT_SENT_REASONS`).
NOT_SENT_REASON_OF: Final = {
    COMPLAINED: "previously_complained",
    UNSUBSCRIBED: "unsubscribed",
    UNSUBSCRIBED_FROM_TYPE: "unsubscribed_from_type",
    INVALID: "invalid_address",
    BOUNCED: "previously_bounced",
    QUARANTINED: "previously_bounced",
}
REASONS: Final = tuple(NOT_SENT_REASON_OF)
#: What an unsubscribe keeps from being mailed: everything, or messages of the type that it came from.
SCOPES: Final = ("all", "type")


class SuppressionReason(NamedTuple):
    """One thing that speaks against mailing an address."""

    #: One of `REASONS`.
    reason: str
    #: Arrival of the event that gave it, seconds since 1970; 0.0 where the contact does not tell.
    since: float = 0.0
    #: The delivery that the event was about; "" where the contact does not tell.
    delivery_id: str = ""


class SuppressionResult(NamedTuple):
    """Whether an address may be mailed."""

    #: The weightiest first; none: it may be mailed.
    objections: tuple[SuppressionReason, ...] = ()

    @property
    def may_be_mailed(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.objections

    @property
    def reason(self) -> str:
        """The weightiest reason, "" if there is none."""
        return self.objections[0].reason if self.objections else ""


_ALLOWED: Final = SuppressionResult()


def check(contact: Contact | None, message_type: str = "", scope: str = "all") -> SuppressionResult:
    """Return whether an address may be mailed.

    Args:
        contact: None if nothing is held against the address.
        message_type: of the message that is to be sent; "": not known, so an unsubscription from any type counts.
        scope: one of `SCOPES`. With `all`, whoever unsubscribes gets nothing more (Creatio's *do not use email*); with
            `type`, nothing more of the type of the message in which it was done.
    """
    if contact is None:
        return _ALLOWED
    found = []
    if contact.cause == COMPLAINED:
        found.append(SuppressionReason(COMPLAINED, contact.cause_at, contact.cause_delivery_id))
    of = contact.unsubscription
    if of is not None:
        if scope == "all" or not of.types or not message_type:
            found.append(SuppressionReason(UNSUBSCRIBED, of.at, of.delivery_id))
        elif message_type in of.types:
            found.append(SuppressionReason(UNSUBSCRIBED_FROM_TYPE, of.at, of.delivery_id))
    at, delivery_id = _last_error(contact)
    if not contact.valid:
        found.append(SuppressionReason(INVALID, at, delivery_id))
    if contact.cause in {"hard_bounce", "invalid_address"}:
        found.append(SuppressionReason(BOUNCED, contact.cause_at, contact.cause_delivery_id))
    if contact.quarantined_at is not None:
        found.append(SuppressionReason(QUARANTINED, at, delivery_id))
    return SuppressionResult(tuple(found)) if found else _ALLOWED


def _last_error(contact: Contact) -> tuple[float, str]:
    error = contact.error
    return (0.0, "") if error is None else (error.at, error.delivery_id)
