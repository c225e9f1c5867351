"""Every payload of SendGrid in the corpus: the provider's own samples, and those that other libraries test with."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from aftersend.schemas.event import Feedback
from aftersend.sources.base import SourceError, SourceOptions
from aftersend.sources.registry import REGISTRY
from aftersend.sources.webhook import SignatureError, WebhookOptions, WebhookRequest

SENDGRID = REGISTRY["sendgrid"]
CASES = 52

#: What django-anymail calls our types.
ANYMAIL = {
    "queued": {"sent"},
    "rejected": {"not_sent", "rejected", "failed"},
    "bounced": {"hard_bounce", "soft_bounce", "rejected", "invalid_address"},
    "deferred": {"deferred"},
    "delivered": {"delivered"},
    "opened": {"opened"},
    "clicked": {"clicked"},
    "complained": {"complained"},
    "unsubscribed": {"unsubscribed"},
    "subscribed": {"resubscribed"},
}
DROPPED = {"bounced": "previously_bounced", "invalid": "invalid_address", "unsubscribed": "unsubscribed"}
#: What SendGrid calls our types.
OWN = {
    "processed": {"sent"},
    "deferred": {"deferred"},
    "delivered": {"delivered"},
    "open": {"opened"},
    "click": {"clicked"},
    "bounce": {"hard_bounce", "soft_bounce", "rejected"},
    "dropped": {"not_sent", "rejected", "failed"},
    "spamreport": {"complained"},
    "unsubscribe": {"unsubscribed"},
    "group_unsubscribe": {"unsubscribed"},
    "group_resubscribe": {"resubscribed"},
}


@pytest.fixture(scope="module")
def cases(corpus: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (corpus / "webhooks/sendgrid.jsonl").read_text().splitlines()]


def body(case: dict[str, Any]) -> bytes:
    raw = case["body"]
    if case.get("body_encoding") == "base64":
        return b64decode(raw)
    return (raw if isinstance(raw, str) else json.dumps(raw)).encode()


def parse(case: dict[str, Any]) -> list[Feedback]:
    return list(SENDGRID.parser(SourceOptions())(body(case)))


def test_every_case_is_read(cases: list[dict[str, Any]]) -> None:
    read = 0
    for case in cases:
        if case.get("case") == "verify_bad_payload":  # the word `payload`, to spoil a signature
            with pytest.raises(SourceError):
                parse(case)
            continue
        events = parse(case)
        sent = json.loads(body(case))
        assert [event["email"] for event in sent] == [event.address or event.recipient for event in events]
        assert [float(event["timestamp"]) for event in sent] == [event.occurred_at for event in events]
        assert [event.get("sg_event_id") or made.event_id for event, made in zip(sent, events, strict=True)] == [
            event.event_id for event in events
        ]
        for event, made in zip(sent, events, strict=True):
            assert made.type in OWN[event["event"].lower()]
        read += 1
    assert (CASES, CASES - 1) == (len(cases), read)


def test_what_anymail_expects(cases: list[dict[str, Any]]) -> None:
    compared = 0
    for case in cases:
        if "test" not in case or not case["expect_accept"]:
            continue
        expected = case["expected"]
        events = parse(case)
        assert len(expected) == len(events)
        for theirs, ours in zip(expected, events, strict=True):
            assert ours.type in ANYMAIL[theirs["event_type"]]
            assert (theirs["recipient"], theirs["esp_event_id"]) == (ours.recipient, ours.event_id)
            assert (theirs["click_url"] or "", theirs["user_agent"] or "") == (ours.url, ours.user_agent)
            if theirs["mta_response"]:
                assert theirs["mta_response"] == ours.diagnostic
            if ours.type == "not_sent":
                assert DROPPED[theirs["reject_reason"]] == ours.reason
            compared += 1
    assert compared


def test_what_symfony_expects(cases: list[dict[str, Any]]) -> None:
    for case in cases:
        expected = case.get("expected")
        if not isinstance(expected, list) or not expected or "class" not in expected[0]:
            continue
        events = parse(case)
        assert [theirs["recipientEmail"] for theirs in expected] == [event.recipient for event in events]
        for theirs, ours in zip(expected, events, strict=True):
            assert ours.type in OWN[theirs["name"]]
            assert theirs["id"].startswith(ours.provider_id)


def test_the_old_samples(corpus: Path) -> None:
    """Events as SendGrid sent them in 2017; what its Bounces API answered is no webhook and can't be read."""
    got = []
    for line in (corpus / "webhooks/sendgrid_bounce_api.jsonl").read_text().splitlines():
        case = json.loads(line)
        if "sg_event_id" not in case["body"]:
            with pytest.raises(SourceError, match="no type"):
                parse(case)
            continue
        (event,) = parse(case)
        got.append((event.type, event.reason, event.code, event.enhanced_code, event.provider_id))
    assert [
        ("soft_bounce", "QuotaIssues", 550, "5.2.2", "03_Wof6nRbqqzxRvLpZbfw"),
        ("delivered", "", 250, "", "xOljzpupQQWM0kNVSTWCJw"),
        ("soft_bounce", "InactiveMailbox", 525, "5.7.13", "1WmUfrSfRTK-rqq2dbmjbg"),
        ("complained", "", 0, "", "6_hrAeKvTDaB5ynBI2nbnQ"),
        ("complained", "", 0, "", "X4B3sZa5RVGb40R5f6xvXw"),
    ] == got


async def test_signatures(cases: list[dict[str, Any]]) -> None:
    """The signed requests of SendGrid's, django-anymail's and Symfony's tests, where the keys are SendGrid's sort."""

    async def no_fetch(_url: str) -> bytes:
        raise AssertionError

    told = []
    for case in cases:
        secret = case.get("secret") or (case.get("settings") or {}).get("SENDGRID_TRACKING_WEBHOOK_VERIFICATION_KEY")
        if not secret:
            continue
        expected = case.get("expected")
        signature_valid = expected.get("signature_valid") if isinstance(expected, dict) else None
        genuine = case.get("expect_accept", signature_valid or isinstance(expected, list))
        if case.get("case") == "SendgridSignedRequestParserTest/batch.json":
            genuine = False  # Symfony signed this with an RSA key of 1024 bits of its own, which SendGrid never does
        headers = {name.lower(): value for name, value in case["headers"].items()}
        # Most timestamps are words here, so their age is not asked.
        options = WebhookOptions(secrets=(secret,), fetch=no_fetch)
        try:
            assert SENDGRID.webhook is not None
            await SENDGRID.webhook.verifier(options)(WebhookRequest(headers, body(case), 0.0))
        except (SignatureError, ValueError):
            told.append((bool(genuine), False))
        else:
            told.append((bool(genuine), True))
    assert [] == [case for case in told if case[0] != case[1]]
    assert (22, 4) == (len(told), sum(ours for _, ours in told))
