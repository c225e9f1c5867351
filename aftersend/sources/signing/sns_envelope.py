"""The envelope that Amazon SNS puts other services' messages in.

Source: Amazon SNS Developer Guide (the formats of its messages over HTTP).
"""

from __future__ import annotations

from typing import Final

import msgspec

NOTIFICATION: Final = "Notification"
SUBSCRIPTION: Final = "SubscriptionConfirmation"
UNSUBSCRIPTION: Final = "UnsubscribeConfirmation"


class Envelope(msgspec.Struct, gc=False, rename="pascal"):
    """One message of SNS; every field is missing where there is no envelope at all (raw delivery)."""

    type: str | None = None
    message_id: str | None = None
    topic_arn: str | None = None
    subject: str | None = None
    message: str | None = None
    timestamp: str | None = None
    token: str | None = None
    subscribe_url: str | None = msgspec.field(name="SubscribeURL", default=None)
    signature_version: str | None = None
    signature: str | None = None
    signing_cert_url: str | None = msgspec.field(name="SigningCertURL", default=None)


read_envelope: Final = msgspec.json.Decoder(Envelope).decode
