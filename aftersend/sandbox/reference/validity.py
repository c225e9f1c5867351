"""When hard bounces prove an address bad, restated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

#: Class of a source -> the reason that it is one of; classes that are not in here are reasons of their own.
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
    """Return the reason that a class is one of."""
    return _REASONS.get(name, name)


def is_proved_bad(row: Sequence[str], policy: str) -> bool:
    """Say whether so many bounces in a row, all of one reason, prove an address bad."""
    return policy == "at-once" or len(row) == 5 or row[-1] == "recipient_blocked"
