"""Every payload of Amazon SES in the corpus: AWS's own samples, and those that other libraries test with."""

import json
from pathlib import Path
from typing import Any

import pytest

from aftersend.schemas.event import Feedback
from aftersend.sources.base import SourceError, SourceOptions
from aftersend.sources.parsing.times import rfc3339
from aftersend.sources.registry import REGISTRY
from aftersend.sources.webhook import Accepted, SignatureError, WebhookOptions, WebhookRequest

SES = REGISTRY["ses"]
CASES = 34
#: What SES and django-anymail call our types.
TYPES = {
    "Bounce": "hard_bounce",
    "bounced": "hard_bounce",
    "Complaint": "complained",
    "complained": "complained",
    "Send": "sent",
    "Delivery": "delivered",
    "delivered": "delivered",
    "Open": "opened",
    "opened": "opened",
    "Click": "clicked",
    "clicked": "clicked",
    "Reject": "rejected",
    "Rendering Failure": "failed",
    "failed": "failed",
    "DeliveryDelay": "deferred",
}


@pytest.fixture(scope="module")
def cases(corpus: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (corpus / "webhooks/amazon_ses.jsonl").read_text().splitlines()]


def body(case: dict[str, Any]) -> bytes:
    raw = case["body"]
    return (raw if isinstance(raw, str) else json.dumps(raw)).encode()


def parse(case: dict[str, Any]) -> list[Feedback]:
    return list(SES.parser(SourceOptions())(body(case)))


def test_every_case_is_read(cases: list[dict[str, Any]]) -> None:
    read = without_type = 0
    for case in cases:
        if json.loads(body(case)).get("Message") == "{}":  # says nothing of what happened
            with pytest.raises(SourceError, match="no type"):
                parse(case)
            without_type += 1
            continue
        for event in parse(case):
            assert event.recipient
            assert event.provider_id
            assert event.event_id
        read += 1
    assert (CASES, CASES) == (len(cases), read + without_type)
    assert 4 == without_type


def test_what_anymail_expects(cases: list[dict[str, Any]]) -> None:
    compared = 0
    for case in cases:
        if case["kind"] != "tracking":
            continue
        expected = case["expected"]
        events = parse(case)
        assert len(expected) == len(events)
        for theirs, ours in zip(expected, events, strict=True):
            assert (TYPES[theirs["event_type"]], theirs["recipient"], theirs["message_id"]) == (
                ours.type,
                ours.recipient,
                ours.provider_id,
            )
            assert (theirs["click_url"] or "") == ours.url
            if ours.type in {"opened", "clicked"}:
                assert theirs["user_agent"] == ours.user_agent
            if theirs["mta_response"]:
                assert theirs["mta_response"].removeprefix("smtp; ") == ours.diagnostic
            compared += 1
    assert 8 == compared


def test_the_samples_of_aws(cases: list[dict[str, Any]]) -> None:
    compared = 0
    for case in cases:
        if case["kind"] != "official_sample":
            continue
        (event,) = parse(case)
        assert TYPES[case["expected"]["eventType"]] == event.type
        assert event.occurred_at
        compared += 1
    assert 15 == compared


async def test_signatures(cases: list[dict[str, Any]], corpus: Path) -> None:
    """Real ones where the certificate is there too; all others are made up, or their certificate is gone."""

    async def fetch(url: str) -> bytes:
        return (corpus / "sns" / url.rpartition("/")[2]).read_bytes()

    told = []
    for case in cases:
        message = json.loads(body(case))
        topic = message.get("TopicArn")
        if not topic:
            continue
        options = WebhookOptions(secrets=(topic,), fetch=fetch, tolerance=3600.0)
        received_at = rfc3339(message["Timestamp"]) if "Timestamp" in message else 0.0
        request = WebhookRequest(case["headers"], body(case), received_at)
        assert SES.webhook is not None
        verify = SES.webhook.verifier(options)
        if case.get("sns_signature_valid"):
            assert Accepted() == await verify(request)
            spoilt = json.dumps(message | {"MessageId": "other"}).encode()
            with pytest.raises(SignatureError, match="wrong"):
                await verify(WebhookRequest(case["headers"], spoilt, received_at))
            told.append(True)
        else:
            with pytest.raises((SignatureError, OSError)):
                await verify(request)
            told.append(False)
    assert told.count(True)
    assert told.count(False)
