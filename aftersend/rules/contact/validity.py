"""Whether an address is valid, by Creatio's rules (`docs/domain.md §3.2`)."""

from __future__ import annotations

from typing import Final

from aftersend.schemas.contact import Contact
from aftersend.schemas.event import FoldEvent

#: Policy -> hard bounces in a row, with the same reason, after which an address is invalid.
VALIDITY_POLICIES: Final = {"five-in-a-row": 5, "at-once": 1}
DEFAULT_POLICY: Final = "five-in-a-row"

#: Makes an address invalid at once, whatever the policy.
RECIPIENT_BLOCKED: Final = "recipient_blocked"
#: Creatio's reason -> classes that mean it (`aftersend.sources.parsing.bounce_classes`; `RecipientBlocked` is a name
#: for classifiers of the sender's own). Any other class is a reason of its own.
REASONS: Final = {
    "unknown_recipient": ("InvalidRecipient",),
    "mailbox_problem": ("InactiveMailbox", "QuotaIssues"),
    "spam_reject": ("SpamBlock", "SpamContent", "SpamRelated"),
    "domain_not_found": ("BadDomain", "DNSFailure"),
    RECIPIENT_BLOCKED: ("RecipientBlocked",),
}
_REASON_OF_CLASS: Final = {name: reason for reason, names in REASONS.items() for name in names}


def count_hard_bounce(contact: Contact, event: FoldEvent, invalid_after: int) -> None:
    """Count a hard bounce; after enough in a row with the same reason, the address is invalid.

    Args:
        contact: changed in place.
        event: the bounce.
        invalid_after: number in a row that makes the address invalid, a value of `VALIDITY_POLICIES`.
    """
    reason = _REASON_OF_CLASS.get(event.reason, event.reason)
    contact.hard_bounces = contact.hard_bounces + 1 if reason == contact.hard_bounce_reason else 1
    contact.hard_bounce_reason = reason
    if contact.hard_bounces >= invalid_after or reason == RECIPIENT_BLOCKED:
        contact.valid = False
