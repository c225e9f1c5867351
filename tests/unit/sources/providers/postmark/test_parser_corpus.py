"""Every payload of Postmark in the corpus: what other libraries test with, and what they expect of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from aftersend.schemas.event import Feedback
from aftersend.sources.base import SourceError, SourceOptions
from aftersend.sources.parsing.times import rfc3339
from aftersend.sources.registry import REGISTRY
from aftersend.sources.signing import credentials
from aftersend.sources.webhook import Accepted, SignatureError, WebhookRequest

POSTMARK = REGISTRY["postmark"]
CASES = 20
#: What django-anymail, Symfony and laravel-mails call our types.
TYPES = {
    "bounced": "hard_bounce",
    "bounce": "hard_bounce",
    "hard_bounced": "hard_bounce",
    "delivered": "delivered",
    "opened": "opened",
    "open": "opened",
    "clicked": "clicked",
    "unsubscribed": "unsubscribed",
    "unsubscribe": "unsubscribed",
    "spam": "complained",
}


@pytest.fixture(scope="module")
def cases(corpus: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (corpus / "webhooks/postmark.jsonl").read_text().splitlines()]


def parse(case: dict[str, Any]) -> list[Feedback]:
    return list(POSTMARK.parser(SourceOptions())(case["body"].encode()))


def test_every_case_is_read_or_says_nothing_of_what_happened(cases: list[dict[str, Any]]) -> None:
    read = 0
    for case in cases:
        if json.loads(case["body"]).get("RecordType") in {None, "Inbound"}:
            with pytest.raises(SourceError, match=r"no type|inbound webhook"):
                parse(case)
            continue
        for event in parse(case):
            assert event.recipient
            assert event.event_id
            assert event.provider_id
        read += 1

    assert (CASES, 12) == (len(cases), read)


def test_what_anymail_expects(cases: list[dict[str, Any]]) -> None:
    compared = 0
    for case in cases:
        if case["kind"] != "tracking" or not case["expect_accept"]:
            continue
        for theirs, ours in zip(case["expected"], parse(case), strict=True):
            assert (TYPES[theirs["event_type"]], theirs["recipient"], theirs["message_id"]) == (
                ours.type,
                ours.recipient,
                ours.provider_id,
            )
            assert rfc3339(theirs["timestamp"]) == ours.occurred_at
            assert (theirs["mta_response"] or "") == ours.diagnostic
            assert (theirs["user_agent"] or "") == ours.user_agent
            assert (theirs["click_url"] or "") == ours.url
            assert theirs["esp_event_id"] in {ours.event_id, None}
            compared += 1

    assert 4 == compared


def test_what_symfony_expects(cases: list[dict[str, Any]]) -> None:
    compared = 0
    for case in cases:
        if not case.get("source", "").startswith("symfony"):
            continue
        # It calls every suppression an unsubscription; this one follows a hard bounce, which its own record reports.
        if json.loads(case["body"]).get("SuppressionReason") == "HardBounce":
            assert [] == parse(case)
            continue
        for theirs, ours in zip(case["expected"], parse(case), strict=True):
            assert (TYPES[theirs["name"]], theirs["recipientEmail"], theirs["id"]) == (
                ours.type,
                ours.recipient,
                ours.provider_id,
            )
            assert rfc3339(theirs["date"]) == ours.occurred_at
            compared += 1

    assert 4 == compared


def test_what_laravel_mails_expects(cases: list[dict[str, Any]]) -> None:
    compared = 0
    for case in cases:
        if "laravel" not in case.get("source", ""):
            continue
        (event,) = parse(case)
        assert TYPES[case["expected"]["event_type"]] == event.type
        assert (case["expected"]["click_url"] or "") == event.url
        compared += 1

    assert 3 == compared


async def test_credentials(cases: list[dict[str, Any]]) -> None:
    """Any of those that are set; theirs are shorter than an installation's may be."""
    told = []
    for case in cases:
        if "settings" not in case or case["kind"] != "security":
            continue
        secret = case["settings"]["WEBHOOK_SECRET"]
        verify = credentials.check_of((secret,) if isinstance(secret, str) else tuple(secret))
        headers = {name.lower(): value for name, value in case["headers"].items()}
        request = WebhookRequest(headers, case["body"].encode(), 0.0)
        if case["expect_accept"]:
            assert Accepted() == await verify(request)
        else:
            with pytest.raises(SignatureError):
                await verify(request)
        told.append(case["expect_accept"])

    assert (4, 2) == (told.count(True), told.count(False))
