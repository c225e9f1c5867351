"""When hard bounces make an address invalid (`docs/domain.md §3.2`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

#: Failure class -> reason; any other class is a reason of its own.
_REASONS: Final = {
    "InvalidRecipient": "unknown_recipient",
    "InactiveMailbox": "mailbox_problem",
    "QuotaIssues": "mailbox_problem",
    "SpamBlock": "spam_reject",
    "SpamContent": "spam_reject",
    "SpamRelated": "spam_reject",
    "BadDomain": "domain_not_found",
    "DNSFailure": "domain_not_found",
    "RecipientBlocked": "recipient_blocked",
}


def reason_of(name: str) -> str:
    """Return the reason of a failure class."""
    return _REASONS.get(name, name)


def is_invalid_after(streak: Sequence[str], policy: str) -> bool:
    """Return whether a row of bounces, all of one reason, makes an address invalid."""
    return policy == "at-once" or len(streak) == 5 or streak[-1] == "recipient_blocked"
