"""One record of Postmark's webhooks as msgspec reads it: the fields that canonical events are made of.

Values are taken as they are: which fields there are depends on the record's type, and some are null in test requests.
Source: Postmark, "Webhooks": delivery, bounce, spam complaint, open tracking, click and subscription change webhook.
"""

from __future__ import annotations

from typing import Any

import msgspec


class PostmarkRecord(msgspec.Struct, gc=False, rename="pascal"):
    """One record; all that it has not in common with the others is None."""

    record_type: Any = None
    #: Of the message, a GUID; null where a suppression was made by hand.
    message_id: Any = msgspec.field(name="MessageID", default=None)
    message_stream: Any = None
    #: One word of the sender's.
    tag: Any = None
    #: The sender's own fields: strings by name.
    metadata: Any = None
    #: Of everything but bounces and complaints, which have `Email`.
    recipient: Any = None
    email: Any = None
    #: Of a bounce or complaint: the same however often it is sent.
    id: Any = msgspec.field(name="ID", default=None)
    type: Any = None
    type_code: Any = None
    description: Any = None
    #: What the host said.
    details: Any = None
    delivered_at: Any = None
    bounced_at: Any = None
    #: Of an open or a click.
    received_at: Any = None
    changed_at: Any = None
    user_agent: Any = None
    original_link: Any = None
    #: Where the reader was: an object with `IP` among others.
    geo: Any = None
    #: Of a subscription change: whether Postmark sends nothing more to the address, why, and on whose word.
    suppress_sending: Any = None
    suppression_reason: Any = None
    origin: Any = None
