"""Errors of an address: counter, quarantine, denylist and release (`docs/domain.md §3.3`).

Pure functions of a contact and an event. Times are arrivals of raw records. No timer changes a contact: that an address
is valid again after ten days without an error is computed by `address_status` for a given time.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from aftersend.rules.recipient.fold import MAX_DIAGNOSTIC
from aftersend.rules.recipient.timing import DAY
from aftersend.schemas.contact import Contact, ContactError, Release
from aftersend.schemas.event import FoldEvent
from aftersend.schemas.times import NEVER

#: A soft error counts if the last counted one is at least this old, seconds.
SIGNIFICANT_AFTER: Final = DAY
#: Counted soft errors that start a quarantine.
ERROR_LIMIT: Final = 5
#: The counter restarts when the last counted error is older than this, seconds.
RESET_AFTER: Final = 10 * DAY
#: An address with errors is valid again after this time without one; a full mailbox takes longer. Seconds.
VALID_AGAIN_AFTER: Final = 10 * DAY
VALID_AGAIN_AFTER_MAILBOX_FULL: Final = 30 * DAY

VALID: Final = "valid"
ERRONEOUS: Final = "erroneous"
QUARANTINED: Final = "quarantined"
DENYLISTED: Final = "denylisted"
#: From the best to the worst.
ADDRESS_STATUSES: Final = (VALID, ERRONEOUS, QUARANTINED, DENYLISTED)

#: The failure class of full mailboxes (`aftersend.sources.parsing.bounce_classes`).
_MAILBOX_FULL: Final = "QuotaIssues"
#: How the enhanced status code of a full mailbox ends (RFC 3463, X.2.2).
_FULL_DETAIL: Final = ".2.2"


class AddressStatus(NamedTuple):
    """The status of an address at a time (`docs/domain.md §3.3`)."""

    #: One of `ADDRESS_STATUSES`.
    state: str
    #: Arrival of the event that caused it, seconds since 1970; 0.0: none did.
    since: float = 0.0
    #: The error's class, or `complained`.
    why: str = ""
    #: When it ends without another error, seconds since 1970; None: only an event ends it.
    until: float | None = None


_VALID: Final = AddressStatus(VALID)


def record_hard_error(contact: Contact, event: FoldEvent, received_at: float) -> None:
    """Quarantine an address; the error that arrived first stays readable."""
    if contact.quarantined_at is None or received_at < contact.quarantined_at:
        contact.error = _error(event, received_at)
        contact.quarantined_at = received_at


def record_soft_error(contact: Contact, event: FoldEvent, received_at: float) -> None:
    """Count an error if the last counted one is old enough; the fifth starts a quarantine."""
    if contact.quarantined_at is not None:
        return
    since = received_at - contact.error_counted_at
    if not contact.errors or since > RESET_AFTER:
        contact.errors, contact.error_counted_at = 1, received_at
    elif since >= SIGNIFICANT_AFTER:
        contact.errors += 1
        contact.error_counted_at = received_at
        if contact.errors >= ERROR_LIMIT:
            contact.quarantined_at = received_at
    if contact.error is None or received_at >= contact.error.at:
        contact.error = _error(event, received_at)


def clear_errors(contact: Contact) -> bool:
    """Clear the errors of an address that a message has reached; return whether there were any.

    A quarantine stays: only a release ends it.
    """
    if not contact.errors or contact.quarantined_at is not None:
        return False
    contact.errors, contact.error_counted_at, contact.error = 0, NEVER, None
    return True


def release(contact: Contact, event: FoldEvent, received_at: float) -> bool:
    """End a quarantine on an operator's request; return whether there was one.

    The other effects of a hard bounce are cleared too, else the address would still not be mailed; an unsubscribe or a
    complaint is not. A quarantine that began after the operator's request stays: so the same release, delivered again a
    month later, has no effect.

    Args:
        contact: changed in place.
        event: of the type `released`: time of the request (`occurred_at`), operator (`reason`), reason (`diagnostic`).
        received_at: arrival of the event, seconds since 1970.
    """
    if contact.quarantined_at is None or contact.quarantined_at > (event.occurred_at or received_at):
        return False
    contact.quarantined_at, contact.error = None, None
    contact.errors, contact.error_counted_at = 0, NEVER
    contact.failures, contact.failure_reason = 0, ""
    contact.hard_bounces, contact.hard_bounce_reason = 0, ""
    contact.valid = True
    contact.release = Release(received_at, event.reason, event.diagnostic[:MAX_DIAGNOSTIC])
    return True


def address_status(contact: Contact | None, now: float) -> AddressStatus:
    """Return the status of an address at a time.

    Args:
        contact: None: the address has none.
        now: seconds since 1970, not before the contact's last change.
    """
    if contact is None:
        return _VALID
    if contact.cause == "complained":
        return AddressStatus(DENYLISTED, contact.cause_at, "complained")
    error = contact.error
    why = "" if error is None else error.reason
    if contact.quarantined_at is not None:
        return AddressStatus(QUARANTINED, contact.quarantined_at, why)
    if contact.errors and error is not None:
        until = error.at + (VALID_AGAIN_AFTER_MAILBOX_FULL if is_mailbox_full(error) else VALID_AGAIN_AFTER)
        if now < until:
            return AddressStatus(ERRONEOUS, error.at, why, until)
    return _VALID


def is_mailbox_full(error: ContactError) -> bool:
    """Return whether an error means a full mailbox: by its enhanced status code, else by its class."""
    if error.enhanced_code:
        # The class includes messages that are too large; the code is more precise.
        return error.enhanced_code.endswith(_FULL_DETAIL)
    return error.reason == _MAILBOX_FULL


def _error(event: FoldEvent, received_at: float) -> ContactError:
    return ContactError(
        received_at,
        event.reason,
        event.code,
        event.enhanced_code,
        event.diagnostic[:MAX_DIAGNOSTIC],
        event.delivery_id,
    )
