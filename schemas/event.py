"""The canonical event: a report of any provider or MTA in one form (`docs/domain.md §1`)."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from aftersend.schemas.delivery import Declaration
from aftersend.schemas.packing import MAX_OFFSET, MAX_PARTITION
from aftersend.schemas.times import END_OF_TIME

#: Every value of `Feedback.type`. Any other type is treated as `unknown`.
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

#: Why a message was not sent: the values of `Feedback.reason` if the type is `not_sent`.
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

#: Limits of a row's packed history; events beyond them are unreadable.
MAX_SECONDS: Final = 100_000_000_000

MESSAGE_TYPES: Final = ("campaign", "automation", "transactional")


class FoldEvent(msgspec.Struct, gc=False, omit_defaults=True):
    """The fields of an event that folding needs; `Feedback` has all fields.

    Folding decodes only these, since decoding an unused field takes time for every event.
    """

    #: The same each time that the event is delivered: the provider's own id if it is dependable, else 32 hex digits
    #: (`aftersend.sources.parsing.event_ids`).
    event_id: str
    #: The delivery (campaign, mailing, message template) of the message; "": unknown.
    delivery_id: str
    #: The address, normalised: domain in IDNA's A-labels, all lower case. "": unknown.
    recipient: str
    #: One of `EVENT_TYPES`.
    type: str
    #: When it happened by the provider's clock, seconds since 1970 (UTC), to the end of 9999.
    occurred_at: Annotated[float, msgspec.Meta(ge=0, le=END_OF_TIME)] = 0.0
    #: The source's name in `aftersend.sources.registry`.
    source: str = ""
    #: For `not_sent` one of `NOT_SENT_REASONS`, for failures the failure class of the source, for `released` the
    #: operator who released the address.
    reason: str = ""
    #: Diagnostic text of the receiving side; for `released` the operator's reason.
    diagnostic: str = ""
    #: Arrival: the timestamp of the raw record, seconds since 1970; 0.0: the timestamp of this event's record.
    received_at: Annotated[float, msgspec.Meta(ge=0, lt=MAX_SECONDS)] = 0.0
    #: The address as the source spelled it, if that differs from `recipient`.
    address: str = ""
    #: One of `MESSAGE_TYPES`; "": unknown.
    message_type: str = ""
    #: A test message: never counted in audience or KPIs.
    test: bool = False
    #: An open or click by a machine (prefetching proxy, scanner).
    machine: bool = False
    #: The clicked link was the unsubscribe link, which KPIs do not count as a click.
    unsubscribe_link: bool = False
    #: Unsubscribed through the List-Unsubscribe-Post header (RFC 8058): implies no open.
    one_click: bool = False
    #: The SMTP reply code, 0 if none.
    code: int = 0
    #: The enhanced status code (RFC 3463), as in "5.1.1"; "" if none.
    enhanced_code: str = ""
    #: Position of the raw record on the source's raw topic; -1: there is none, only this event's record.
    raw_partition: Annotated[int, msgspec.Meta(ge=-1, le=MAX_PARTITION)] = -1
    raw_offset: Annotated[int, msgspec.Meta(ge=-1, le=MAX_OFFSET)] = -1
    #: With `soft_bounce`: the MTA's own time for the message is over, and it does not try again.
    exhausted: bool = False
    #: The provider's name of the type if the type is `unknown`, or the source's finer class.
    detail: str = ""


class Feedback(FoldEvent, gc=False, omit_defaults=True, kw_only=True):
    """An event of one recipient of one delivery.

    The value of `feedback.events` as a JSON object, keyed by `recipient`; the record's Kafka timestamp is that of the
    raw record that it was parsed from. Fields at their default are left out.
    """

    #: The provider's id of the message.
    provider_id: str = ""
    #: The link that was clicked.
    url: str = ""
    user_agent: str = ""
    tenant: str = ""
    ip: str = ""
    #: With `declared`: the sender's declaration of the delivery.
    declaration: Declaration | None = None
