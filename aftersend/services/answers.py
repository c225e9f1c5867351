"""Types of the API's requests and answers; the OpenAPI document is generated from them."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from aftersend.rules.contact import suppression
from aftersend.rules.kpi.indicators import RateValue
from aftersend.services.names.labels import ApiLabels
from aftersend.services.public_records import PublicContact, PublicRow, Time

#: Longest delivery id, characters.
MAX_DELIVERY: Final = 512
#: Addresses in one suppression check at most.
MAX_ADDRESSES: Final = 10_000
#: Type of a message; "": unknown.
MessageType = Literal["", "campaign", "automation", "transactional"]

#: Labels in an answer.
Labels = Annotated[ApiLabels, Meta(description="if a language is asked for")] | UnsetType


class ApiDelivery(msgspec.Struct, kw_only=True):
    """One delivery and its KPIs, from Redis: up to a second behind the rows."""

    delivery_id: str
    #: Arrival of its first and of its last event.
    started_at: Time | None
    updated_at: Time | None
    kpis: Annotated[dict[str, int], Meta(description="by name; see the page on KPIs")]
    rates: Annotated[dict[str, RateValue], Meta(description="by name, with numerator and denominator")]
    statuses: Annotated[dict[str, int], Meta(description="recipients by status; their sum is the audience")]
    decisions: Annotated[dict[str, int], Meta(description="events by decision")]
    silent: Annotated[bool, Meta(description="declared, without an event so far: all numbers are 0")] = False
    labels: Labels = UNSET


class ApiDeliveries(msgspec.Struct, kw_only=True):
    """A page of deliveries."""

    deliveries: list[ApiDelivery]
    total: Annotated[int, Meta(ge=0, description="deliveries on all pages")]
    next: Annotated[str, Meta(description="value of `after` for the next page; absent on the last page")] | (
        UnsetType
    ) = UNSET
    labels: Labels = UNSET


class ApiRecipient(msgspec.Struct, kw_only=True):
    """Everything that is stored about one address."""

    recipient: str
    deliveries: Annotated[list[PublicRow], Meta(description="rows, the last changed first")]
    contact: Annotated[
        PublicContact | None, Meta(description="contact record; null: nothing is held against the address")
    ]
    labels: Labels = UNSET


class ApiRecordPosition(msgspec.Struct, kw_only=True):
    """Position of a record in Kafka."""

    topic: str
    partition: int
    offset: int


class ApiRawRecord(msgspec.Struct, kw_only=True):
    """A raw record, byte for byte."""

    base64: str
    text: Annotated[str, Meta(description="the same as text; absent if it is not UTF-8")] | UnsetType = UNSET


class ApiStatusChange(msgspec.Struct, kw_only=True):
    """Status of a recipient in a view, before and after a step."""

    before: Annotated[str | None, Meta(description="null: no longer known; none: no row yet")]
    after: Annotated[str | None, Meta(description="null: no longer known")]


class ApiStep(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One event of a row, or its expiry, and its effect."""

    number: Annotated[int, Meta(ge=1, description="order in which the events were folded")]
    kind: str
    decision: Annotated[str, Meta(description="empty: no longer known")]
    rule: Annotated[str, Meta(description="rule behind the decision, as a sentence")]
    reference: Annotated[str, Meta(description="section that defines the rule")]
    before: Annotated[str | None, Meta(description="status before the step; null: no longer known")]
    after: Annotated[str | None, Meta(description="status after the step; null: no longer known")]
    views: Annotated[dict[str, ApiStatusChange], Meta(description="statuses in the requested views, by name")] = {}
    new_facts: Annotated[list[str] | None, Meta(description="null: no longer known")]
    lost_facts: list[str] = []
    arrived_at: Time | None
    occurred_at: Annotated[Time | None, Meta(description="by the provider's clock; null: unknown")] = None
    repeats: Annotated[int, Meta(description="duplicates of this event")] = 0
    #: The event is not folded yet.
    waiting: bool = False
    source: str = ""
    event_id: str = ""
    raw: Annotated[ApiRecordPosition | None, Meta(description="position of the raw record; absent for an expiry")] = (
        None
    )
    event: Annotated[
        ApiRecordPosition | None, Meta(description="position of the event; absent if retention removed it")
    ] = None
    reason: str = ""
    code: int = 0
    enhanced_code: str = ""
    diagnostic: str = ""
    detail: str = ""
    provider_id: str = ""
    url: str = ""
    user_agent: str = ""
    ip: str = ""
    raw_record: Annotated[ApiRawRecord | None, Meta(description="if requested, and not removed by retention")] = None


class ApiExplanation(msgspec.Struct, kw_only=True):
    """Explanation of a row: every event in order of arrival, and its effect."""

    delivery_id: str
    recipient: str
    as_of: Annotated[Time, Meta(description="time of the explained state; absent: now")] | UnsetType = UNSET
    status: Annotated[str | None, Meta(description="null: there is no row, or its status is no longer known")]
    final: bool
    views: (
        Annotated[dict[str, str | None], Meta(description="statuses in the requested views, by name; null: unknown")]
        | UnsetType
    ) = UNSET
    facts: list[str]
    version: int
    steps: list[ApiStep]
    missing: Annotated[int, Meta(description="changes that are no longer known")]
    notes: Annotated[list[str], Meta(description="gaps in the explanation, and their reasons")]
    disagreements: Annotated[list[str], Meta(description="empty, unless the row differs from the fold of its events")]
    labels: Labels = UNSET


class SuppressionRequest(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Addresses to check before a send."""

    addresses: Annotated[list[str], Meta(max_length=MAX_ADDRESSES, description="addresses in any spelling")]
    message_type: Annotated[
        MessageType,
        Meta(description="type of the message to send; empty: an unsubscribe from any type counts"),
    ] = ""


class ApiObjection(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One reason against mailing an address."""

    reason: Annotated[str, Meta(extra_json_schema={"enum": list(suppression.REASONS)})]
    since: Annotated[Time | None, Meta(description="arrival of the event that caused it; absent: unknown")] = None
    #: Delivery of that event.
    delivery_id: str = ""


class CheckedAddress(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Whether an address may be mailed."""

    address: Annotated[str, Meta(description="as in the request")]
    recipient: Annotated[str, Meta(description="normalised; empty: not an address")]
    may_be_mailed: bool
    reason: Annotated[str, Meta(description="most important reason; absent if it may be mailed")] = ""
    not_sent: Annotated[
        str, Meta(description="reason for a `not_sent` event, if the sender leaves the address out")
    ] = ""
    objections: Annotated[list[ApiObjection], Meta(description="most important first")] = []


class SuppressionAnswer(msgspec.Struct, kw_only=True):
    """Result of a suppression check."""

    may_be_mailed: Annotated[int, Meta(ge=0, description="number of addresses that may be mailed")]
    results: Annotated[list[CheckedAddress], Meta(description="in the order of the request")]
    labels: Labels = UNSET


class ApiProblem(msgspec.Struct, kw_only=True):
    """Error of a request."""

    code: Annotated[str, Meta(description="stable; for programs")]
    message: Annotated[str, Meta(description="for people; may change")]


class ApiFailure(msgspec.Struct, kw_only=True):
    """Answer to a request that failed."""

    error: ApiProblem
