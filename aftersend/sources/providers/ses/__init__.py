"""Amazon SES through SNS."""

from __future__ import annotations

from typing import Final

from aftersend.sources.base import Source
from aftersend.sources.providers.ses.parser import NAME, parser
from aftersend.sources.webhook import Verifier, Webhook, WebhookOptions

__all__ = ["NAME", "SOURCE"]


def _verifier(options: WebhookOptions) -> Verifier:
    from aftersend.sources.providers.ses.signature import verifier  # noqa: PLC0415 - brings cryptography along, 9 MB that parsing can do without

    return verifier(options)


SOURCE: Final = Source(
    name=NAME,
    number=3,
    title="Amazon SES through SNS",
    aliases=("amazon", "sns"),
    parser=parser,
    simulator=f"{__name__}.simulator",
    webhook=Webhook(
        # SNS says text/plain unless the subscription's delivery policy sets another.
        content_types=frozenset({"text/plain", "application/json"}),
        # A message of SNS has 256 KiB, and most of it is quotes, which the envelope escapes. More than this would not
        # fit into a Kafka record.
        max_bytes=1_000_000,
        answer_within=15.0,
        # SNS takes a client error as permanent, but for 429.
        final_statuses=frozenset(range(400, 500)) - {429},
        verifier=_verifier,
        secrets_help=(
            "the ARNs of the SNS topics that SES publishes to; for subscriptions with raw delivery also `raw:` and a "
            "token of at least 16 characters, which is in their endpoint as `?token=…`"
        ),
        # SNS tries for an hour at most, with the first timestamp; the rest is for clocks that differ.
        tolerance=2 * 3600.0,
    ),
)
