"""What the sender's own system says of a recipient or of a delivery, as it stands on the raw topic."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

import msgspec

from aftersend.schemas.delivery import MAX_DAYS, MAX_HOURS
from aftersend.sources.parsing.metadata import MAX_LENGTH
from aftersend.sources.parsing.times import Moment, Seconds

_Type = Literal[
    "planned",
    "ready",
    "sent",
    "not_sent",
    "rejected",
    "invalid_address",
    "failed",
    "unsubscribed",
    "resubscribed",
    "complained",
]
#: What may be said of a recipient; each becomes the canonical type of the same name.
EVENT_TYPES: Final[tuple[str, ...]] = get_args(_Type)
#: What is said of a delivery.
DELIVERY: Final = "delivery"
#: As long as a name or a note may be, characters.
MAX_WORDS: Final = 1_000

_Label = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_LENGTH)]
_Words = Annotated[str, msgspec.Meta(max_length=MAX_WORDS)]
_MessageType = Literal["campaign", "automation", "transactional"]


class SenderEvent(msgspec.Struct, gc=False, omit_defaults=True):
    """One thing about one recipient. Fields that are not in here are passed over."""

    type: _Type
    delivery_id: _Label
    #: Left out only with `not_sent` for want of an address.
    recipient: _Words = ""
    #: With `not_sent` one of `NOT_SENT_REASONS`; else in the sender's own words.
    reason: _Words = ""
    #: Seconds since 1970, or ISO 8601 with its zone; left out: when it arrives.
    occurred_at: Seconds | Moment | None = None
    message_type: _MessageType | None = None
    tenant: str = ""
    test: bool = False
    #: The same when the event is sent again; left out: a hash of the other fields.
    event_id: _Label | None = None
    #: The id under which the provider or MTA knows the message.
    message_id: str = ""
    #: For people who ask why.
    note: _Words = ""


class DeliveryRecord(msgspec.Struct, gc=False, omit_defaults=True, forbid_unknown_fields=True):
    """What a delivery is. It replaces what was said of it before, so a field that is left out is taken back."""

    type: Literal["delivery"]
    delivery_id: _Label
    name: _Words = ""
    tenant: str = ""
    message_type: _MessageType | None = None
    policy: Literal["", "without-efs", "efs", "v8", "enhanced-mta", "creatio", "escala"] = ""
    validity_hours: Annotated[float, msgspec.Meta(gt=0, le=MAX_HOURS)] | None = None
    validity_days: Annotated[float, msgspec.Meta(gt=0, le=MAX_DAYS)] | None = None
    statistics_update_period_days: Annotated[float, msgspec.Meta(gt=0, le=MAX_DAYS)] | None = None
    start: Seconds | Moment | None = None
    expected_audience: Annotated[int, msgspec.Meta(ge=0)] | None = None
    occurred_at: Seconds | Moment | None = None
    event_id: _Label | None = None
