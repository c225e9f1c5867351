"""Suppression: whether an address may be mailed, and if not, why; asked before each send (`docs/domain.md §3.6`).

A pure function of contact and message type. Time plays no part: an address with errors is mailed until it is
quarantined, and only an event ends a quarantine or takes an address off the denylist. All reasons are returned, the
strongest first.
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

#: Reason, the strongest first -> what the sender reports for an address that it leaves out (`NOT_SENT_REASONS`).
NOT_SENT_REASON_OF: Final = {
    COMPLAINED: "previously_complained",
    UNSUBSCRIBED: "unsubscribed",
    UNSUBSCRIBED_FROM_TYPE: "unsubscribed_from_type",
    INVALID: "invalid_address",
    BOUNCED: "previously_bounced",
    QUARANTINED: "previously_bounced",
}
REASONS: Final = tuple(NOT_SENT_REASON_OF)
#: What an unsubscribe suppresses: all messages, or those of the type that it came from.
SCOPES: Final = ("all", "type")


class SuppressionReason(NamedTuple):
    """A reason not to mail an address."""

    #: One of `REASONS`.
    reason: str
    #: Arrival of the event that caused it, seconds since 1970; 0.0: the contact does not hold it.
    since: float = 0.0
    #: Delivery of that event; "": the contact does not hold it.
    delivery_id: str = ""


class SuppressionResult(NamedTuple):
    """Whether an address may be mailed."""

    #: The strongest first; none: it may be mailed.
    objections: tuple[SuppressionReason, ...] = ()

    @property
    def may_be_mailed(self) -> bool:
        """Whether there is no reason against it."""
        return not self.objections

    @property
    def reason(self) -> str:
        """The strongest reason, "" if there is none."""
        return self.objections[0].reason if self.objections else ""


_ALLOWED: Final = SuppressionResult()


def check(contact: Contact | None, message_type: str = "", scope: str = "all") -> SuppressionResult:
    """Return whether an address may be mailed.

    Args:
        contact: None: the address has none.
        message_type: of the message to be sent; "": unknown, so an unsubscription from any type counts.
        scope: one of `SCOPES` (`docs/domain.md §3.5`). With `all`, an unsubscription suppresses every message
            (Creatio's *do not use email*); with `type`, messages of the type of the message in which it was made.
    """
    if contact is None:
        return _ALLOWED
    found = []
    if contact.cause == COMPLAINED:
        found.append(SuppressionReason(COMPLAINED, contact.cause_at, contact.cause_delivery_id))
    unsubscription = contact.unsubscription
    if unsubscription is not None:
        at, delivery_id = unsubscription.at, unsubscription.delivery_id
        if scope == "all" or not unsubscription.types or not message_type:
            found.append(SuppressionReason(UNSUBSCRIBED, at, delivery_id))
        elif message_type in unsubscription.types:
            found.append(SuppressionReason(UNSUBSCRIBED_FROM_TYPE, at, delivery_id))
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
