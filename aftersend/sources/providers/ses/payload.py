"""One event of Amazon SES as msgspec reads it: the fields that canonical events are made of.

The frame is checked, values are taken as they are: which of them are text and which numbers has changed over the
years. Source: Amazon SES Developer Guide, "Contents of event data that Amazon SES publishes to Amazon SNS" and
"Amazon SNS notification contents for Amazon SES".
"""

from __future__ import annotations

from typing import Any

import msgspec


class Mail(msgspec.Struct, gc=False, rename="camel"):
    """The message that the event is about."""

    timestamp: Any = None
    message_id: Any = None
    #: Every recipient of the message, whether the event concerns him or not.
    destination: Any = None
    #: Only where event publishing is on: `{"name": ["value"]}`.
    tags: Any = None
    #: Only where the identity's notifications include them: a list of `{"name", "value"}`, read when it is needed.
    headers: msgspec.Raw = msgspec.Raw()


class Recipient(msgspec.Struct, gc=False, rename="camel"):
    """One of the recipients of a bounce, complaint or delay."""

    email_address: Any = None
    status: Any = None
    diagnostic_code: Any = None


class Bounce(msgspec.Struct, gc=False, rename="camel"):
    """A bounce, of each recipient named."""

    bounce_type: Any = None
    bounce_sub_type: Any = None
    bounced_recipients: list[Recipient | None] | None = None
    timestamp: Any = None
    feedback_id: Any = None


class Complaint(msgspec.Struct, gc=False, rename="camel"):
    """A complaint of one of the recipients named."""

    complained_recipients: list[Recipient | None] | None = None
    timestamp: Any = None
    arrival_date: Any = None
    feedback_id: Any = None
    complaint_sub_type: Any = None
    complaint_feedback_type: Any = None
    user_agent: Any = None


class SesDelivery(msgspec.Struct, gc=False, rename="camel"):
    """A delivery to each recipient named."""

    timestamp: Any = None
    recipients: Any = None
    smtp_response: Any = None


class Engagement(msgspec.Struct, gc=False, rename="camel"):
    """An open or a click."""

    timestamp: Any = None
    ip_address: Any = None
    user_agent: Any = None
    link: Any = None


class Reject(msgspec.Struct, gc=False):
    """A message that SES took and then refused."""

    reason: Any = None


class RenderingFailure(msgspec.Struct, gc=False, rename="camel"):
    """A template that could not be rendered."""

    error_message: Any = None
    template_name: Any = None


class Delay(msgspec.Struct, gc=False, rename="camel"):
    """A delay, of each recipient named."""

    delay_type: Any = None
    delayed_recipients: list[Recipient | None] | None = None
    timestamp: Any = None


class Topic(msgspec.Struct, gc=False, rename="camel"):
    """What a contact wants of one topic of a list."""

    topic_name: Any = None
    subscription_status: Any = None


class Preferences(msgspec.Struct, gc=False, rename="camel"):
    """What a contact wants."""

    unsubscribe_all: Any = None
    topic_subscription_status: list[Topic | None] | None = None


class Subscription(msgspec.Struct, gc=False, rename="camel"):
    """A contact's change of mind."""

    timestamp: Any = None
    #: `UnsubscribeHeader` where it was the header's button.
    source: Any = None
    new_topic_preferences: Preferences | None = None
    old_topic_preferences: Preferences | None = None


class SesEvent(msgspec.Struct, gc=False, rename="camel"):
    """One event."""

    #: Of event publishing.
    event_type: Any = None
    #: Of an identity's notifications.
    notification_type: Any = None
    mail: Mail | None = None
    bounce: Bounce | None = None
    complaint: Complaint | None = None
    delivery: SesDelivery | None = None
    reject: Reject | None = None
    open: Engagement | None = None
    click: Engagement | None = None
    failure: RenderingFailure | None = None
    delivery_delay: Delay | None = None
    subscription: Subscription | None = None
