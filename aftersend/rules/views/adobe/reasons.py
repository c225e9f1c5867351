"""Adobe Campaign's failure reasons as data (`docs/domain.md §5.1`): the reason of a failure or an exclusion."""

from __future__ import annotations

from typing import Final, NamedTuple

from aftersend.rules.recipient.facts import Fact
from aftersend.rules.recipient.statuses import NOT_SENT, STATUS_NAME
from aftersend.schemas.recipient import Failure, Row

HARD: Final = "Hard"
SOFT: Final = "Soft"
IGNORED: Final = "Ignored"
_EITHER: Final = "Soft/Hard"


class FailureReason(NamedTuple):
    """Why a recipient was not reached."""

    value: int
    name: str
    #: "": the product gives none.
    type: str = ""


NOT_DEFINED: Final = FailureReason(0, "Not defined")
USER_UNKNOWN: Final = FailureReason(1, "User unknown", HARD)
INVALID_DOMAIN: Final = FailureReason(2, "Invalid domain", SOFT)
UNREACHABLE: Final = FailureReason(3, "Unreachable", _EITHER)
ACCOUNT_DISABLED: Final = FailureReason(4, "Account disabled", _EITHER)
MAILBOX_FULL: Final = FailureReason(5, "Mailbox full", SOFT)
NOT_CONNECTED: Final = FailureReason(6, "Not connected", IGNORED)
NO_ADDRESS: Final = FailureReason(7, "Address not specified", HARD)
DENYLISTED: Final = FailureReason(8, "Denylisted", HARD)
QUARANTINED: Final = FailureReason(9, "Quarantined", HARD)
DUPLICATE: Final = FailureReason(10, "Duplicate", IGNORED)
REFUSED: Final = FailureReason(20, "Refused", _EITHER)
ERROR_IGNORED: Final = FailureReason(25, "Error ignored")
CONTROL_ADDRESS: Final = FailureReason(127, "Control address")

#: Every reason of the product. No report of a provider or an MTA leads to 6 or 25.
REASONS: Final = (
    NOT_DEFINED,
    USER_UNKNOWN,
    INVALID_DOMAIN,
    UNREACHABLE,
    ACCOUNT_DISABLED,
    MAILBOX_FULL,
    NOT_CONNECTED,
    NO_ADDRESS,
    DENYLISTED,
    QUARANTINED,
    DUPLICATE,
    REFUSED,
    ERROR_IGNORED,
    CONTROL_ADDRESS,
)

#: By the reason for not sending; others are not defined.
_OF_EXCLUSION: Final = {
    "duplicate_address": DUPLICATE,
    "no_address": NO_ADDRESS,
    "invalid_address": NO_ADDRESS,
    "incorrect_address": NO_ADDRESS,
    "unsubscribed": DENYLISTED,
    "unsubscribed_from_type": DENYLISTED,
    "previously_complained": DENYLISTED,
    "previously_bounced": QUARANTINED,
}

#: By the failure's class, as the sources name it.
_OF_CLASS: Final = {
    "InvalidRecipient": USER_UNKNOWN,
    "BadDomain": INVALID_DOMAIN,
    "DNSFailure": INVALID_DOMAIN,
    "InactiveMailbox": ACCOUNT_DISABLED,
    "QuotaIssues": MAILBOX_FULL,
    "NoAnswerFromHost": UNREACHABLE,
    "BadConnection": UNREACHABLE,
    "RoutingErrors": UNREACHABLE,
    "BadConfiguration": UNREACHABLE,
    "TransientFailure": UNREACHABLE,
    "MessageExpired": UNREACHABLE,
    "TooManyRecipients": UNREACHABLE,
    "ProtocolErrors": UNREACHABLE,
    "SpamBlock": REFUSED,
    "SpamContent": REFUSED,
    "SpamRelated": REFUSED,
    "ContentRelated": REFUSED,
    "ProhibitedAttachment": REFUSED,
    "VirusRelated": REFUSED,
    "PolicyRelated": REFUSED,
    "AuthenticationFailed": REFUSED,
    "InvalidSender": REFUSED,
    "RelayDenied": REFUSED,
    "RelayingIssues": REFUSED,
}

#: By subject and detail of the enhanced status code (RFC 3463), then by the subject alone.
_OF_ENHANCED: Final = {
    ("1", "2"): INVALID_DOMAIN,
    ("1", "10"): INVALID_DOMAIN,
    ("1", "6"): ACCOUNT_DISABLED,
    ("1", "7"): REFUSED,
    ("1", "8"): REFUSED,
    ("1", ""): USER_UNKNOWN,
    ("2", "2"): MAILBOX_FULL,
    ("2", "3"): MAILBOX_FULL,
    ("2", ""): ACCOUNT_DISABLED,
    ("3", "1"): MAILBOX_FULL,
    ("3", ""): UNREACHABLE,
    ("4", "3"): INVALID_DOMAIN,
    ("4", ""): UNREACHABLE,
    ("5", ""): UNREACHABLE,
    ("6", ""): REFUSED,
    ("7", ""): REFUSED,
}
#: By the SMTP reply code (RFC 5321).
_OF_CODE: Final = {
    **dict.fromkeys((421, 450, 451), UNREACHABLE),
    **dict.fromkeys((422, 452, 523, 552), MAILBOX_FULL),
    **dict.fromkeys((521, 556), INVALID_DOMAIN),
    **dict.fromkeys((551, 553), USER_UNKNOWN),
    **dict.fromkeys((530, 534, 535, 538, 554), REFUSED),
}
#: By the row's status, if nothing else determines it.
_OF_STATUS: Final = {
    "deferred": UNREACHABLE,
    "soft_bounce": UNREACHABLE,
    "hard_bounce": USER_UNKNOWN,
    "invalid_address": NO_ADDRESS,
    "rejected": REFUSED,
    "failed": NOT_DEFINED,
    "unknown": NOT_DEFINED,
}
#: A failure with these statuses is hard if the reason may be either.
_HARD_STATUSES: Final = frozenset({"hard_bounce", "rejected", "invalid_address", "failed"})
_ENHANCED_PARTS: Final = 3


def reason_of(row: Row) -> FailureReason | None:
    """Return why a recipient was not reached the last time, None if its row has not failed so far.

    Whether that still matters is for the row's status to say: a later attempt may have succeeded.
    """
    status = STATUS_NAME[row.status]
    if row.facts & Fact.TEST:
        return CONTROL_ADDRESS
    if row.status >= NOT_SENT:
        return _OF_EXCLUSION.get(status.removeprefix("not_sent_"), NOT_DEFINED)
    if row.failure is None:
        return _OF_STATUS.get(status)  # a wait that ended in vain among them: nobody has said why
    reason = _of_failure(row.failure) or _OF_STATUS.get(status, NOT_DEFINED)
    if reason.type == _EITHER:
        return reason._replace(type=HARD if status in _HARD_STATUSES else SOFT)
    return reason


def _of_failure(failure: Failure) -> FailureReason | None:
    found = _OF_CLASS.get(failure.reason)
    if found is not None:
        return found
    parts = failure.enhanced_code.split(".")
    if len(parts) == _ENHANCED_PARTS:
        _, subject, detail = parts
        found = _OF_ENHANCED.get((subject, detail)) or _OF_ENHANCED.get((subject, ""))
    return found or _OF_CODE.get(failure.code)
