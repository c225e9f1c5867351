"""The canonical event: whatever a provider or an MTA reported, in one shape (`docs/domain.md §1`)."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from aftersend.schemas.delivery import Declaration

#: Every value that `Feedback.type` may take. A type that is not in here is treated as `unknown`.
EVENT_TYPES: Final = (
    "planned",
    "ready",
    "sent",
    "deferred",
    "delivered",
    "soft_bounce",
    "hard_bounce",
    "rejected",
    "invalid_address",
    "failed",
    "opened",
    "clicked",
    "unsubscribed",
    "resubscribed",
    "complained",
    "autoresponded",
    "not_sent",
    "unknown",
    "released",
    "declared",
    "tick",
)

#: Why a message was not sent: the values that `Feedback.reason` takes when the type is `not_sent`.
NOT_SENT_REASONS: Final = (
    "duplicate_address",
    "no_address",
    "invalid_address",
    "incorrect_address",
    "unsubscribed",
    "unsubscribed_from_type",
    "previously_complained",
    "previously_bounced",
    "communication_limit",
    "expired",
    "stopped",
    "template_missing",
    "sender_not_verified",
)

#: What a row's packed history can hold; events beyond it can't be read.
MAX_SECONDS: Final = 100_000_000_000
MAX_PARTITIONS: Final = 1 << 14
MAX_OFFSET: Final = 1 << 44

MESSAGE_TYPES: Final = ("campaign", "automation", "transactional")


class FoldEvent(msgspec.Struct, gc=False, omit_defaults=True):
    """What folding needs to know of an event; `Feedback` has all of it.

    Folding decodes only these fields, since each field that is decoded for nothing costs every event.
    """

    #: The same for the same event, however often it is delivered: the provider's own id where it is dependable,
    #: else 32 hex digits (`aftersend.sources.parsing.event_ids`).
    event_id: str
    #: The delivery (campaign, mailing, message template) that the message belonged to; "" if nothing says.
    delivery_id: str
    #: The address, normalised: domain in IDNA's A-labels, all lower case. "" if nothing says.
    recipient: str
    #: One of `EVENT_TYPES`.
    type: str
    #: When it happened by the provider's clock, seconds since 1970 (UTC).
    occurred_at: float = 0.0
    #: The source's name in `aftersend.sources.registry`.
    source: str = ""
    #: The reason's class: for `not_sent` one of `NOT_SENT_REASONS`, for failures the source's class; for `released` who
    #: released the address.
    reason: str = ""
    #: What the other side said, in its own words; for `released` why.
    diagnostic: str = ""
    #: The timestamp of the raw record, seconds since 1970; 0.0: that of the record that carries this event.
    received_at: Annotated[float, msgspec.Meta(ge=0, lt=MAX_SECONDS)] = 0.0
    #: The address as the source spelled it, where that differs from `recipient`.
    address: str = ""
    #: One of `MESSAGE_TYPES`, or "" if nothing says.
    message_type: str = ""
    #: A test message: counted apart, never in audience or KPIs.
    test: bool = False
    #: An open or click by a machine (prefetching proxy, scanner).
    machine: bool = False
    #: The clicked link was the unsubscribe link: no click by the KPIs' rules.
    unsubscribe_link: bool = False
    #: Unsubscribed through the List-Unsubscribe-Post header (RFC 8058): implies no open.
    one_click: bool = False
    #: The SMTP reply code, 0 if none.
    code: int = 0
    #: The enhanced status code (RFC 3463), as in "5.1.1"; "" if none.
    enhanced_code: str = ""
    #: Where the raw record lies on the source's raw topic; -1: this event's own record is all there is.
    raw_partition: Annotated[int, msgspec.Meta(ge=-1, lt=MAX_PARTITIONS)] = -1
    raw_offset: Annotated[int, msgspec.Meta(ge=-1, lt=MAX_OFFSET)] = -1


class Feedback(FoldEvent, gc=False, omit_defaults=True, kw_only=True):
    """One thing that happened to one recipient of one delivery.

    Travels as a JSON object on `feedback.events`, keyed by `recipient`; the record's Kafka timestamp is the
    timestamp of the raw record that it was read from. Fields at their default are left out.
    """

    #: The provider's id of the message.
    provider_id: str = ""
    #: The link that was clicked.
    url: str = ""
    user_agent: str = ""
    tenant: str = ""
    ip: str = ""
    #: The provider's own name for the type, kept where the type is `unknown`, or the source's own finer class.
    detail: str = ""
    #: With `declared`: what the sender says of the delivery.
    declaration: Declaration | None = None
