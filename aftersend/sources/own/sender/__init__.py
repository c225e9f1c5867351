"""The sender's own system."""

from __future__ import annotations

from typing import Final

from aftersend.sources.base import Source
from aftersend.sources.own.sender.parser import NAME, parser
from aftersend.sources.signing import standard_webhooks
from aftersend.sources.webhook import Webhook

__all__ = ["NAME", "SOURCE"]


SOURCE: Final = Source(
    name=NAME,
    number=6,
    title="the sender's own system: audiences, who was left out, deliveries",
    parser=parser,
    webhook=Webhook(
        content_types=frozenset({"application/json"}),
        # More than this would not fit into a Kafka record.
        max_bytes=1_000_000,
        # The sender's own system waits as long as it likes; so long as the specification recommends.
        answer_within=15.0,
        verifier=standard_webhooks.verifier,
        secret_identity=standard_webhooks.read_secret,
        secrets_help="shared secrets of Standard Webhooks: `whsec_` and base64 of 24 to 64 random bytes",
        tolerance=standard_webhooks.TOLERANCE,
    ),
)
