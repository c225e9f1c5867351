"""One event of SendGrid's Event Webhook as msgspec reads it: the fields that canonical events are made of."""

from __future__ import annotations

from typing import Any

import msgspec

from aftersend.sources.base import SourceError
from aftersend.sources.parsing.lenient import flag, mapping, seconds, sequence, text
from aftersend.sources.parsing.times import Seconds


class Newsletter(msgspec.Struct, gc=False):
    """What the old marketing emails said of themselves."""

    newsletter_id: str | int | None = None


class SendGridEvent(msgspec.Struct, gc=False):
    """One event. Which fields there are depends on its type, and the sender's own arguments lie beside them."""

    event: str
    email: str | None = None
    timestamp: Seconds | None = None
    sg_event_id: str | None = None
    sg_message_id: str | None = None
    #: The Message-ID header, in angle brackets; not on opens and clicks.
    smtp_id: str | None = msgspec.field(name="smtp-id", default=None)
    #: Why it was dropped, or what the host said on a bounce.
    reason: str | None = None
    #: What the host said on a delivery or a deferral.
    response: str | None = None
    #: The enhanced status code, at times the reply code.
    status: str | None = None
    #: `bounce` or `blocked`.
    type: str | None = None
    bounce_classification: str | None = None
    attempt: str | int | None = None
    ip: str | None = None
    useragent: str | None = None
    url: str | None = None
    #: Whether Apple's Mail Privacy Protection opened it.
    sg_machine_open: bool | None = None
    asm_group_id: str | int | None = None
    category: str | list[str] | None = None
    #: Marketing Campaigns: the single send, the step of an automation, and which of both.
    singlesend_id: str | None = None
    mc_auto_step_id: str | None = None
    mc_auto_id: str | None = None
    mc_stats: str | None = None
    #: The older Marketing Campaigns, and the ones before these.
    marketing_campaign_id: str | int | None = None
    newsletter: Newsletter | None = None


def read_event(value: object) -> SendGridEvent:
    """Return an event that has a field of a kind that SendGrid doesn't document.

    Raises:
        SourceError: if it is no object, has no type or recipient that can be read, or its time is none.
    """
    if not isinstance(value, dict):
        raise SourceError("the event is no JSON object")
    fields: dict[str, Any] = value
    kind = fields.get("event")
    if not isinstance(kind, str) or not kind:
        raise SourceError("the event has no type (`event`)")
    email = fields.get("email")
    if email is not None and not isinstance(email, str):
        raise SourceError("the recipient (`email`) is no text")
    return SendGridEvent(
        event=kind,
        email=email,
        timestamp=seconds(fields.get("timestamp")),
        sg_event_id=text(fields.get("sg_event_id")),
        sg_message_id=text(fields.get("sg_message_id")),
        smtp_id=text(fields.get("smtp-id")),
        reason=text(fields.get("reason")),
        response=text(fields.get("response")),
        status=text(fields.get("status")),
        type=text(fields.get("type")),
        bounce_classification=text(fields.get("bounce_classification")),
        attempt=text(fields.get("attempt")),
        ip=text(fields.get("ip")),
        useragent=text(fields.get("useragent")),
        url=text(fields.get("url")),
        sg_machine_open=flag(fields.get("sg_machine_open")),
        asm_group_id=text(fields.get("asm_group_id")),
        category=[text(item) for item in sequence(fields.get("category"))],
        singlesend_id=text(fields.get("singlesend_id")),
        mc_auto_step_id=text(fields.get("mc_auto_step_id")),
        mc_auto_id=text(fields.get("mc_auto_id")),
        mc_stats=text(fields.get("mc_stats")),
        marketing_campaign_id=text(fields.get("marketing_campaign_id")),
        newsletter=Newsletter(text(mapping(fields.get("newsletter")).get("newsletter_id"))),
    )
