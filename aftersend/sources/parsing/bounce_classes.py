"""What a failed delivery means for the recipient: by bounce class, else by enhanced status code, else by SMTP code.

The classes are those that the classifiers of MTAs share. An MTA that has no classifier configured says
`Uncategorized`; then the enhanced status code (RFC 3463) gives the class, by the same table as the classifier's
`iana.toml`, and if it says nothing, the SMTP reply code (RFC 5321) decides.
"""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple

import msgspec

UNCATEGORIZED: Final = "Uncategorized"

_TEMPORARY: Final = 4
_PERMANENT: Final = 5


_Number = Annotated[int, msgspec.Meta(ge=0, le=999)]


class Status(msgspec.Struct, gc=False):
    """An enhanced status code (RFC 3463): 5.1.1 is `Status(5, 1, 1)`."""

    kind: _Number = msgspec.field(name="class", default=0)
    subject: _Number = 0
    detail: _Number = 0


class BounceClass(NamedTuple):
    """One class of failures."""

    name: str
    #: The canonical type of a final failure of this class.
    type: str
    why: str


CLASSES: Final = (
    # The address is wrong or dead: do not mail it again.
    BounceClass("InvalidRecipient", "hard_bounce", "no such mailbox; `invalid_address` where the code is x.1.3"),
    BounceClass("BadDomain", "hard_bounce", "the domain takes no mail, or changed hands"),
    BounceClass("InactiveMailbox", "hard_bounce", "closed, disabled or moved"),
    # It did not work this time; nothing is wrong with the address.
    BounceClass("QuotaIssues", "soft_bounce", "mailbox or system full, message too large"),
    BounceClass("DNSFailure", "soft_bounce", "the domain could not be looked up"),
    BounceClass("NoAnswerFromHost", "soft_bounce", "the host could not be reached"),
    BounceClass("BadConnection", "soft_bounce", "the connection broke"),
    BounceClass("RoutingErrors", "soft_bounce", "no route, or mail loops"),
    BounceClass("BadConfiguration", "soft_bounce", "the other side is set up wrongly"),
    BounceClass("TransientFailure", "soft_bounce", "a temporary failure that was not tried again"),
    BounceClass("MessageExpired", "soft_bounce", "tried until its time was over"),
    BounceClass("TooManyRecipients", "soft_bounce", "more recipients in one go than the other side takes"),
    # The other side refused this message or this sender, which says nothing about the address (SparkPost: Block).
    BounceClass("SpamBlock", "rejected", "the sender is on a block list"),
    BounceClass("SpamContent", "rejected", "the content looks like spam"),
    BounceClass("SpamRelated", "rejected", "taken for spam"),
    BounceClass("ContentRelated", "rejected", "the content is not wanted"),
    BounceClass("ProhibitedAttachment", "rejected", "an attachment is not allowed"),
    BounceClass("VirusRelated", "rejected", "taken for a virus"),
    BounceClass("PolicyRelated", "rejected", "against a policy of the other side"),
    BounceClass("AuthenticationFailed", "rejected", "SPF, DKIM or DMARC failed, or a login is wanted"),
    BounceClass("InvalidSender", "rejected", "the sender's address is not accepted"),
    BounceClass("RelayDenied", "rejected", "the other side does not relay for us"),
    BounceClass("RelayingIssues", "rejected", "the other side does not relay for us"),
    # A mistake in the conversation: ours or theirs, not the recipient's.
    BounceClass("ProtocolErrors", "failed", "a command or the message's form was not understood"),
    # An automatic answer, not a failure (SparkPost's classes 60, 80, 90 and 100).
    BounceClass("AutoReply", "autoresponded", "out of office and the like"),
    BounceClass("ChallengeResponse", "autoresponded", "asks the sender to prove that he is human"),
    BounceClass("Subscribe", "autoresponded", "asks to be subscribed: nobody is subscribed by a guess from a text"),
    BounceClass("Unsubscribe", "unsubscribed", "asks to be unsubscribed"),
)

_TYPE_OF_CLASS: Final = {c.name: c.type for c in CLASSES}

#: Types that need a permanent failure: with a temporary code they are a `soft_bounce`.
_PERMANENT_TYPES: Final = frozenset({"hard_bounce", "invalid_address"})


class StatusClass(NamedTuple):
    """The class that an enhanced status code means."""

    #: First digits of the codes that it holds for: "4", "5" or "45".
    kinds: str
    subject: int
    #: None: every detail of the subject that has no line of its own.
    detail: int | None
    name: str


STATUS_CLASSES: Final = (
    StatusClass("45", 1, 1, "InvalidRecipient"),
    StatusClass("45", 1, 2, "InvalidRecipient"),
    StatusClass("45", 1, 3, "InvalidRecipient"),
    StatusClass("45", 1, 4, "InvalidRecipient"),
    StatusClass("45", 1, 6, "InactiveMailbox"),
    StatusClass("45", 1, 7, "InvalidSender"),
    StatusClass("45", 1, 8, "InvalidSender"),
    StatusClass("45", 1, 10, "BadDomain"),
    StatusClass("45", 2, 1, "InactiveMailbox"),
    StatusClass("45", 2, 2, "QuotaIssues"),
    StatusClass("45", 2, 3, "QuotaIssues"),
    StatusClass("45", 2, 4, "InvalidRecipient"),
    StatusClass("45", 3, 1, "QuotaIssues"),
    StatusClass("45", 3, 4, "QuotaIssues"),
    StatusClass("45", 3, 5, "BadConfiguration"),
    # Microsoft says 550 5.4.1 for an unknown recipient: as a permanent code this one means nothing.
    StatusClass("4", 4, 1, "NoAnswerFromHost"),
    StatusClass("4", 4, 2, "BadConnection"),
    StatusClass("45", 4, 3, "DNSFailure"),
    StatusClass("45", 4, 4, "RoutingErrors"),
    StatusClass("4", 4, 5, "TransientFailure"),
    StatusClass("45", 4, 6, "RoutingErrors"),
    StatusClass("45", 4, 7, "MessageExpired"),
    StatusClass("45", 5, 3, "TooManyRecipients"),
    StatusClass("45", 5, None, "ProtocolErrors"),
    StatusClass("45", 6, None, "ProtocolErrors"),
    StatusClass("5", 7, 13, "InactiveMailbox"),
    StatusClass("5", 7, 17, "InvalidRecipient"),
    StatusClass("5", 7, 18, "BadDomain"),
    StatusClass("45", 7, 27, "InvalidSender"),
    StatusClass("45", 7, 38, "PolicyRelated"),
    StatusClass("5", 7, None, "AuthenticationFailed"),
)

_CLASS_OF_STATUS: Final = {(int(k), s.subject, s.detail): s.name for s in STATUS_CLASSES for k in s.kinds}


class CodeOutcome(NamedTuple):
    """What an SMTP reply code means where nothing else is said."""

    code: int
    type: str
    name: str


CODE_OUTCOMES: Final = (
    CodeOutcome(500, "failed", "ProtocolErrors"),
    CodeOutcome(501, "failed", "ProtocolErrors"),
    CodeOutcome(502, "failed", "ProtocolErrors"),
    CodeOutcome(503, "failed", "ProtocolErrors"),
    CodeOutcome(504, "failed", "ProtocolErrors"),
    CodeOutcome(555, "failed", "ProtocolErrors"),
    CodeOutcome(521, "hard_bounce", "BadDomain"),
    CodeOutcome(556, "hard_bounce", "BadDomain"),
    CodeOutcome(550, "hard_bounce", UNCATEGORIZED),
    CodeOutcome(551, "hard_bounce", "InvalidRecipient"),
    CodeOutcome(553, "hard_bounce", "InvalidRecipient"),
    CodeOutcome(523, "soft_bounce", "QuotaIssues"),
    CodeOutcome(552, "soft_bounce", "QuotaIssues"),
    CodeOutcome(530, "rejected", "AuthenticationFailed"),
    CodeOutcome(534, "rejected", "AuthenticationFailed"),
    CodeOutcome(535, "rejected", "AuthenticationFailed"),
    CodeOutcome(538, "rejected", "AuthenticationFailed"),
)

_OUTCOME_OF_CODE: Final = {o.code: o for o in CODE_OUTCOMES}


def reason(label: str | None, code: int, status: Status | None) -> str:
    """Return the class of a failure: the label, or what the codes say where there is none.

    Args:
        label: the classifier's, which may be one of the sender's own; None and `Uncategorized` say nothing.
        code: the SMTP reply code, 0 if there is none.
        status: the enhanced status code, if there is one.
    """
    if label and label != UNCATEGORIZED:
        return label
    return _class_of_codes(code, status) or UNCATEGORIZED


def outcome(label: str | None, code: int, status: Status | None) -> tuple[str, str]:
    """Return the canonical type and the class of a final failure.

    Args:
        label: the classifier's, which may be one of the sender's own; None and `Uncategorized` say nothing.
        code: the SMTP reply code, 0 if there is none.
        status: the enhanced status code, if there is one.
    """
    name = reason(label, code, status)
    kind = _TYPE_OF_CLASS.get(name)
    if kind is None and name != UNCATEGORIZED:  # one of the sender's own classes: his name, our type
        kind = _TYPE_OF_CLASS.get(_class_of_codes(code, status))
    if kind is None:
        kind, by_code = _outcome_of_code(code, status)
        name = by_code if name == UNCATEGORIZED else name
    if kind in _PERMANENT_TYPES and _first_digit(code, status) == _TEMPORARY:
        return "soft_bounce", name
    if kind == "hard_bounce" and name == "InvalidRecipient" and status is not None and _is_bad_syntax(status):
        return "invalid_address", name
    return kind, name


def _is_bad_syntax(status: Status) -> bool:
    return status.subject == 1 and status.detail == 3  # noqa: PLR2004 - x.1.3: the address is no address


def _first_digit(code: int, status: Status | None) -> int:
    """Return 4 for a temporary failure, 5 for a permanent one; 0 if the codes don't say."""
    digit = code // 100
    if code == 0 and status is not None:
        digit = status.kind
    return digit if digit in {_TEMPORARY, _PERMANENT} else 0


def _class_of_codes(code: int, status: Status | None) -> str:
    # A status of class 2 beside a refusal is somebody's default, not a diagnosis.
    if status is None or status.kind not in {_TEMPORARY, _PERMANENT}:
        return ""
    digit = _first_digit(code, status)
    subject, detail = status.subject, status.detail
    return _CLASS_OF_STATUS.get((digit, subject, detail)) or _CLASS_OF_STATUS.get((digit, subject, None), "")


def _outcome_of_code(code: int, status: Status | None) -> tuple[str, str]:
    known = _OUTCOME_OF_CODE.get(code)
    if known is not None:
        # 550 with 4.0.0: the enhanced code is the later and finer word.
        temporary = status is not None and status.kind == _TEMPORARY
        return ("soft_bounce" if temporary else known.type), known.name
    # An SMTP code that nobody knows, or none: an address is not given up for it, unless the status is permanent.
    permanent = code == 0 and status is not None and status.kind == _PERMANENT
    return ("hard_bounce" if permanent else "soft_bounce"), UNCATEGORIZED
