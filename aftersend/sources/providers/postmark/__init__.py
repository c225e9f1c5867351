"""Postmark: its webhooks."""

from __future__ import annotations

from typing import Final

from aftersend.sources.base import Source
from aftersend.sources.providers.postmark.parser import NAME, parser
from aftersend.sources.providers.postmark.signature import verifier
from aftersend.sources.webhook import Webhook

__all__ = ["NAME", "SOURCE"]


SOURCE: Final = Source(
    name=NAME,
    number=7,
    title="Postmark webhooks",
    parser=parser,
    # Nothing is signed, so a token in the path proves as much as credentials do.
    token_suffices=True,
    simulator=f"{__name__}.simulator",
    webhook=Webhook(
        content_types=frozenset({"application/json"}),
        # One event; with the content of bounces included it may be longer, and would not fit into a Kafka record.
        max_bytes=1_000_000,
        # Postmark documents no limit; an answer takes less, and a late one makes Postmark send the same again.
        answer_within=10.0,
        verifier=verifier,
        by_credentials=True,
        # The only answer that ends Postmark's retries.
        final_statuses=frozenset({403}),
        secrets_help=(
            "`user:password` as they are set as the webhook's basic auth credentials, at least 16 characters together"
        ),
    ),
)
