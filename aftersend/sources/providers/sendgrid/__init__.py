"""Twilio SendGrid: its Event Webhook."""

from __future__ import annotations

from typing import Final

from aftersend.sources.base import Source
from aftersend.sources.providers.sendgrid.parser import NAME, parser
from aftersend.sources.webhook import Verifier, Webhook, WebhookOptions

__all__ = ["NAME", "SOURCE"]


def _verifier(options: WebhookOptions) -> Verifier:
    from aftersend.sources.providers.sendgrid.signature import verifier  # noqa: PLC0415 - brings cryptography along: 9 MB, unused in parsing

    return verifier(options)


def _secret_identity(secret: str) -> bytes:
    from aftersend.sources.providers.sendgrid.signature import key_bytes  # noqa: PLC0415 - likewise

    return key_bytes(secret)


SOURCE: Final = Source(
    name=NAME,
    number=2,
    title="SendGrid Event Webhook",
    aliases=("twilio",),
    # SendGrid retries a deferred message for 72 hours.
    response_window_seconds=72 * 3600.0,
    parser=parser,
    simulator=f"{__name__}.simulator",
    webhook=Webhook(
        content_types=frozenset({"application/json"}),
        # SendGrid sends what it has at 768 KiB. More than this would not fit into a Kafka record.
        max_bytes=1_000_000,
        answer_within=5.0,
        verifier=_verifier,
        secret_identity=_secret_identity,
        secrets_help=(
            "the verification key that SendGrid shows under Settings > Mail Settings > Event Webhooks > Security "
            "features (base64), or the same as PEM"
        ),
        # SendGrid tries again for 24 hours and does not say whether with a new timestamp. An old request does no harm:
        # its events are known by their ids.
        tolerance=25 * 3600.0,
    ),
)
