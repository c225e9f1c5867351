"""What the API answers: each answer's type, from which the OpenAPI document is made."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from aftersend.publish.kpis import RateValue
from aftersend.rules.contact import suppression
from aftersend.services.public_records import PublicContact, PublicRow, Time

#: Longest delivery id that is looked for, characters.
MAX_DELIVERY: Final = 512
#: That one suppression check may ask about.
MAX_ADDRESSES: Final = 10_000
#: Of a message; "": not known.
MessageType = Literal["", "campaign", "automation", "transactional"]


class ApiDelivery(msgspec.Struct, kw_only=True):
    """One delivery and its KPIs, as Redis has them: a moment behind the rows."""

    delivery_id: str
    #: First and last arrival of what was heard of it.
    started_at: Time | None
    updated_at: Time | None
    kpis: Annotated[dict[str, int], Meta(description="by the names of aftersend/rules/kpi/indicators.py")]
    rates: Annotated[dict[str, RateValue], Meta(description="each with its numerator and denominator")]
    statuses: Annotated[dict[str, int], Meta(description="recipients at each status; their sum is the audience")]
    decisions: Annotated[dict[str, int], Meta(description="events by what was done with them")]


class ApiDeliveries(msgspec.Struct, kw_only=True):
    """A page of deliveries."""

    deliveries: list[ApiDelivery]
    total: Annotated[int, Meta(ge=0, description="of all pages")]
    next: Annotated[str, Meta(description="give it as `after` for the next page; not there on the last one")] | (
        UnsetType
    ) = UNSET


class ApiRecipient(msgspec.Struct, kw_only=True):
    """All that is known of one address."""

    recipient: str
    deliveries: Annotated[list[PublicRow], Meta(description="its rows, last change first")]
    contact: Annotated[PublicContact | None, Meta(description="what is held against the address; null: nothing")]


class ApiRecordPosition(msgspec.Struct, kw_only=True):
    """Where a record lies in Kafka."""

    topic: str
    partition: int
    offset: int


class ApiRawRecord(msgspec.Struct, kw_only=True):
    """A raw record, byte for byte as it came."""

    base64: str
    text: Annotated[str, Meta(description="the same as text, where it is UTF-8")] | UnsetType = UNSET


class ApiStatusChange(msgspec.Struct, kw_only=True):
    """What a view shows as a recipient's status, around a step."""

    before: Annotated[str | None, Meta(description="null: not known any more; none: no row yet")]
    after: Annotated[str | None, Meta(description="null: not known any more")]


class ApiStep(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One event of a row, or the end of its wait, and what it did."""

    number: Annotated[int, Meta(ge=1, description="in the order in which the row took them")]
    kind: str
    decision: Annotated[str, Meta(description="empty: not known any more")]
    rule: Annotated[str, Meta(description="why, in a sentence")]
    reference: Annotated[str, Meta(description="where the rule stands")]
    before: Annotated[str | None, Meta(description="the status before; null: not known any more")]
    after: Annotated[str | None, Meta(description="the status after it; null: not known any more")]
    views: Annotated[dict[str, ApiStatusChange], Meta(description="by the names of the views that were asked for")] = {}
    new_facts: Annotated[list[str] | None, Meta(description="null: not known any more")]
    lost_facts: list[str] = []
    arrived_at: Time | None
    occurred_at: Annotated[Time | None, Meta(description="by the provider's clock; null: not known")] = None
    repeats: Annotated[int, Meta(description="how often the same event came again")] = 0
    #: The event has not been folded yet.
    waiting: bool = False
    source: str = ""
    event_id: str = ""
    raw: Annotated[ApiRecordPosition | None, Meta(description="where the raw record lies; not there for an expiry")] = (
        None
    )
    event: Annotated[ApiRecordPosition | None, Meta(description="where the event lies, if it is still there")] = None
    reason: str = ""
    code: int = 0
    enhanced_code: str = ""
    diagnostic: str = ""
    detail: str = ""
    provider_id: str = ""
    url: str = ""
    user_agent: str = ""
    ip: str = ""
    raw_record: Annotated[ApiRawRecord | None, Meta(description="if asked for, and still there")] = None


class ApiExplanation(msgspec.Struct, kw_only=True):
    """How a row came to be: every event in order of arrival, and what each did."""

    delivery_id: str
    recipient: str
    as_of: Annotated[Time, Meta(description="all is as it was then; not there: as it is now")] | UnsetType = UNSET
    status: Annotated[str | None, Meta(description="null: there is no row, or it is not known any more")]
    final: bool
    views: (
        Annotated[dict[str, str | None], Meta(description="what the views that were asked for show; null: unknown")]
        | UnsetType
    ) = UNSET
    facts: list[str]
    version: int
    steps: list[ApiStep]
    missing: Annotated[int, Meta(description="changes that nothing tells of any more")]
    notes: Annotated[list[str], Meta(description="what is not known, and why")]
    disagreements: Annotated[list[str], Meta(description="should be empty: the row is not what its events make of it")]


class SuppressionRequest(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which addresses may be mailed?"""

    addresses: Annotated[list[str], Meta(max_length=MAX_ADDRESSES, description="in any spelling")]
    message_type: Annotated[
        MessageType,
        Meta(description="of the message that is to be sent; empty: an unsubscription from any type counts"),
    ] = ""


class ApiObjection(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One thing that speaks against mailing an address."""

    reason: Annotated[str, Meta(extra_json_schema={"enum": list(suppression.REASONS)})]
    since: Annotated[Time | None, Meta(description="arrival of the event that gave it, where that is known")] = None
    #: The delivery that the event was about.
    delivery_id: str = ""


class CheckedAddress(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Whether an address may be mailed."""

    address: Annotated[str, Meta(description="as it was asked about")]
    recipient: Annotated[str, Meta(description="as the tables spell it; empty: this is no address")]
    may_be_mailed: bool
    reason: Annotated[str, Meta(description="the weightiest; not there where it may be mailed")] = ""
    not_sent: Annotated[str, Meta(description="what a sender reports who leaves the address out for it")] = ""
    objections: Annotated[list[ApiObjection], Meta(description="the weightiest first")] = []


class SuppressionAnswer(msgspec.Struct, kw_only=True):
    """Which addresses may be mailed, and why the others not."""

    may_be_mailed: Annotated[int, Meta(ge=0, description="how many of them")]
    results: Annotated[list[CheckedAddress], Meta(description="in the order of the question")]


class ApiProblem(msgspec.Struct, kw_only=True):
    """What is wrong with a request."""

    code: Annotated[str, Meta(description="stable; for programs")]
    message: Annotated[str, Meta(description="for people; may change")]


class ApiFailure(msgspec.Struct, kw_only=True):
    """The answer to a request that could not be served."""

    error: ApiProblem
