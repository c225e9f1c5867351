"""Amazon SES's events."""

import json
from typing import Any

import pytest

from aftersend.schemas.event import EVENT_TYPES, NOT_SENT_REASONS, Feedback
from aftersend.sources.base import SourceError, SourceOptions
from aftersend.sources.providers.ses.parser import Notifications
from aftersend.sources.providers.ses.rules import BOUNCE_RULES, DELAYS, EVENT_RULES, SesBounceRule, SesEventRule
from tests.paths import SOURCES

README = SOURCES / "providers" / "ses" / "README.md"
AT = "2026-03-05T10:56:52.250Z"
SECONDS = 1772708212.25
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
MAIL: dict[str, Any] = {
    "timestamp": "2026-03-05T10:56:50.000Z",
    "source": "Brand <news@brand.example>",
    "messageId": "0100018f-000000",
    "destination": ["user@example.com"],
    "headersTruncated": False,
    "tags": {"ses:configuration-set": ["marketing"], "delivery_id": ["c17"]},
}
REPORT = {"emailAddress": "user@example.com", "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 No such user"}


def notify(name: str, mail: dict[str, Any] | None = None, key: str = "eventType", **part: Any) -> dict[str, Any]:
    """Return an event of SES."""
    return {key: name, "mail": MAIL | (mail or {}), **part}


def bounce(kind: str = "Permanent", subtype: str = "General", **fields: Any) -> dict[str, Any]:
    report = {"timestamp": AT, "feedbackId": "f1", "bouncedRecipients": [REPORT]} | fields
    return notify("Bounce", bounce={"bounceType": kind, "bounceSubType": subtype, **report})


def envelope(event: object, **fields: Any) -> dict[str, Any]:
    """Return SNS's envelope of an event."""
    message = event if isinstance(event, str) else json.dumps(event)
    return {"Type": "Notification", "MessageId": "s1", "Message": message, "Timestamp": AT} | fields


def parse_all(value: object, options: SourceOptions | None = None) -> list[Feedback]:
    return list(Notifications(options or SourceOptions()).parse(json.dumps(value).encode()))


def parse(event: dict[str, Any], options: SourceOptions | None = None) -> Feedback:
    """Return an event's only one, which must be the same in an envelope, without, and read leniently."""
    (alone,) = parse_all(event, options)
    (enveloped,) = parse_all(envelope(event), options)
    (leniently,) = parse_all([envelope(event)], options)
    if alone.occurred_at == enveloped.occurred_at:  # else the envelope's time stood in
        assert alone == enveloped
    assert enveloped == leniently
    return enveloped


def test_fields() -> None:
    report = REPORT | {"emailAddress": "User <User@example.com>"}
    tags = {"delivery_id": ["c17"], "tenant": ["brand"], "message_type": ["campaign"], "test": ["1"]}
    event = bounce(bouncedRecipients=[report]) | {"mail": MAIL | {"tags": tags}}
    made = parse(event)
    assert (
        Feedback(
            event_id=made.event_id,
            delivery_id="c17",
            recipient="user@example.com",
            type="hard_bounce",
            occurred_at=SECONDS,
            source="ses",
            reason="InvalidRecipient",
            diagnostic="550 5.1.1 No such user",
            address="User <User@example.com>",
            message_type="campaign",
            test=True,
            code=550,
            enhanced_code="5.1.1",
            provider_id="0100018f-000000",
            tenant="brand",
            detail="Permanent/General",
        )
        == made
    )


@pytest.mark.parametrize("key", ["eventType", "notificationType"])
@pytest.mark.parametrize("rule", EVENT_RULES, ids=lambda rule: rule.event)
def test_every_type_of_event(rule: SesEventRule, key: str) -> None:
    parts: dict[str, Any] = {part: {"timestamp": AT} for part in ("open", "click", "complaint", "delivery")}
    types = [event.type for event in parse_all(envelope(notify(rule.event, key=key, **parts)))]
    if not rule.type:
        assert [] == types
    elif rule.type in EVENT_TYPES:
        assert [rule.type] == types
    else:
        assert {True} == {kind in EVENT_TYPES for kind in types}


def test_an_unknown_type() -> None:
    event = parse(notify("Forwarded", newPart={"a": [None]}))
    assert ("unknown", "Forwarded", "user@example.com") == (event.type, event.detail, event.recipient)


@pytest.mark.parametrize("rule", BOUNCE_RULES, ids=lambda rule: f"{rule.type}/{rule.subtype}")
def test_every_kind_of_bounce(rule: SesBounceRule) -> None:
    event = parse(bounce(rule.type, rule.subtype or "General"))
    assert (rule.becomes if rule.becomes in EVENT_TYPES else "hard_bounce") == event.type
    assert (rule.why or "InvalidRecipient") == event.reason
    assert rule.becomes != "not_sent" or rule.why in NOT_SENT_REASONS
    assert f"{rule.type}/{rule.subtype or 'General'}" == event.detail


@pytest.mark.parametrize(
    "kind,report,expected",
    [
        ("Permanent", {"status": "5.1.3"}, ("invalid_address", "InvalidRecipient")),
        ("Permanent", {"status": None, "diagnosticCode": None}, ("hard_bounce", "Uncategorized")),
        ("Undetermined", {"status": None, "diagnosticCode": None}, ("soft_bounce", "Uncategorized")),
        ("Undetermined", {"status": "4.2.2", "diagnosticCode": "452 full"}, ("soft_bounce", "QuotaIssues")),
        ("New", {}, ("hard_bounce", "InvalidRecipient")),
        ("", {"status": "5.7.1", "diagnosticCode": "smtp;550 5.7.1 no"}, ("rejected", "AuthenticationFailed")),
    ],
)
def test_bounces_by_their_codes(kind: str, report: dict[str, Any], expected: tuple[str, str]) -> None:
    event = parse(bounce(kind, "", bouncedRecipients=[REPORT | report]))
    assert expected == (event.type, event.reason)


def test_several_recipients() -> None:
    reports = [{"emailAddress": "a@b.example"}, None, {"emailAddress": "c@d.example"}, {}, {"emailAddress": None}]
    events = parse_all(bounce(bouncedRecipients=reports))
    assert ["a@b.example", "c@d.example"] == [event.recipient for event in events]
    assert 2 == len({event.event_id for event in events})
    mail = {"destination": ["a@b.example", '"C" <C@d.example>', "a@b.example"]}
    sent = parse_all(notify("Send", mail, send={}))
    assert ["a@b.example", "c@d.example"] == [event.recipient for event in sent]


@pytest.mark.parametrize("reports", [[], None, [{}], [None]])
def test_a_report_that_names_nobody(reports: object) -> None:
    """It is of the message's only recipient; if there were several, nobody knows of whom."""
    assert "user@example.com" == parse(bounce(bouncedRecipients=reports)).recipient
    several = bounce(bouncedRecipients=reports) | {"mail": MAIL | {"destination": ["a@b.example", "c@d.example"]}}
    assert "" == parse(several).recipient


@pytest.mark.parametrize(
    "report,types",
    [
        ("abuse", ["complained"]),
        ("fraud", ["complained"]),
        ("virus", ["complained"]),
        ("other", ["complained"]),
        (None, ["complained"]),
        ("new", ["complained"]),
        ("not-spam", []),
        ("auth-failure", []),
    ],
)
def test_complaints(report: str | None, types: list[str]) -> None:
    complaint = {"complainedRecipients": [REPORT], "complaintFeedbackType": report, "timestamp": AT, "userAgent": "FBL"}
    events = parse_all(notify("Complaint", complaint=complaint))
    assert types == [event.type for event in events]
    assert ["FBL"] * len(types) == [event.diagnostic for event in events]


def test_a_complaint_of_the_past() -> None:
    complaint = {"complainedRecipients": [REPORT], "complaintSubType": "OnAccountSuppressionList", "arrivalDate": AT}
    event = parse(notify("Complaint", complaint=complaint))
    assert ("not_sent", "previously_complained", SECONDS) == (event.type, event.reason, event.occurred_at)


def test_a_delivery() -> None:
    delivery = {"timestamp": AT, "recipients": ["a@b.example"], "smtpResponse": "250 2.0.0 ok"}
    event = parse(notify("Delivery", {"destination": ["a@b.example", "c@d.example"]}, delivery=delivery))
    assert ("a@b.example", 250, "", "250 2.0.0 ok") == (
        event.recipient,
        event.code,
        event.enhanced_code,
        event.diagnostic,
    )


@pytest.mark.parametrize("name", DELAYS)
def test_every_kind_of_delay(name: str) -> None:
    event = parse(notify("DeliveryDelay", deliveryDelay={"delayType": name, "delayedRecipients": [REPORT]}))
    assert ("deferred", DELAYS[name], name) == (event.type, event.reason, event.detail)


@pytest.mark.parametrize(
    "name,agent,link,machine,unsubscribe",
    [
        ("Open", IPHONE, None, False, False),
        ("Open", "Mozilla/5.0", None, True, False),
        ("Click", IPHONE, "https://b.example/", False, False),
        ("Click", IPHONE, "https://b.example/unsubscribe", False, True),
    ],
)
def test_readers(name: str, agent: str, link: str | None, machine: bool, unsubscribe: bool) -> None:
    part = {"timestamp": AT, "userAgent": agent, "ipAddress": "198.51.100.7", "link": link}
    parts: dict[str, Any] = {name.lower(): part}
    event = parse(notify(name, **parts))
    assert (agent, "198.51.100.7", link or "", machine, unsubscribe) == (
        event.user_agent,
        event.ip,
        event.url,
        event.machine,
        event.unsubscribe_link,
    )


def wants(*, everything: bool, **topics: str) -> dict[str, Any]:
    statuses = [{"topicName": name, "subscriptionStatus": status} for name, status in topics.items()]
    return {"unsubscribeAll": everything, "topicSubscriptionStatus": statuses}


@pytest.mark.parametrize(
    "before,now,expected",
    [
        (wants(everything=False, a="OptIn"), wants(everything=True, a="OptOut"), ("unsubscribed", "a")),
        (wants(everything=False, a="OptOut"), wants(everything=True, a="OptOut"), ("unsubscribed", "")),
        (
            wants(everything=False, a="OptIn", b="OptIn"),
            wants(everything=False, a="OptOut", b="OptIn"),
            ("unsubscribed", "a"),
        ),
        (wants(everything=True, a="OptOut"), wants(everything=False, a="OptIn"), ("resubscribed", "a")),
        (wants(everything=False, a="OptOut"), wants(everything=False, a="OptIn"), ("resubscribed", "a")),
        (None, wants(everything=True), ("unsubscribed", "")),
        (wants(everything=True), wants(everything=True), ("unsubscribed", "")),
        (wants(everything=False), wants(everything=False), ("unknown", "")),
        (None, None, ("unknown", "")),
    ],
)
def test_subscriptions(before: object, now: object, expected: tuple[str, str]) -> None:
    part = {"timestamp": AT, "source": "Console", "oldTopicPreferences": before, "newTopicPreferences": now}
    event = parse(notify("Subscription", subscription=part))
    assert (*expected, False) == (event.type, event.diagnostic, event.one_click)
    event = parse(notify("Subscription", subscription=part | {"source": "UnsubscribeHeader"}))
    assert (event.type == "unsubscribed") == event.one_click


@pytest.mark.parametrize(
    "mail,expected",
    [
        ({"tags": {"campaign": ["c3"], "tenant": "b"}}, ("c3", "b")),
        ({"tags": None, "headers": [{"name": "X-SES-MESSAGE-TAGS", "value": "delivery_id=c4, tenant=b"}]}, ("c4", "b")),
        (
            {"tags": {}, "headers": [{"name": "x-campaign", "value": "c5"}, {"name": "X-Campaign", "value": "c6"}]},
            ("c5", ""),
        ),
        ({"tags": {"delivery_id": []}, "headers": [None, {"name": None}, "x"]}, ("", "")),
        ({"tags": [], "headers": None}, ("", "")),
        ({"tags": {"delivery_id": ["c1"]}, "headers": [{"name": "X-Campaign", "value": "c5"}]}, ("c1", "")),
    ],
)
def test_labels(mail: dict[str, Any], expected: tuple[str, str]) -> None:
    event = parse(notify("Send", mail, send={}), SourceOptions(delivery_headers=("X-Campaign",)))
    assert expected == (event.delivery_id, event.tenant)


def test_the_same_event_published_twice_has_one_id() -> None:
    """By event publishing and by the identity's notifications, each with an id of SNS, and again by SNS."""
    once = parse_all(envelope(bounce()))
    event = bounce()
    event["notificationType"] = event.pop("eventType")
    event["mail"] = {key: value for key, value in MAIL.items() if key != "tags"}
    again = parse_all(envelope(event, MessageId="s2", Timestamp="2026-03-05T11:00:00.000Z"))
    assert [one.event_id for one in once] == [one.event_id for one in again]


def test_ids_that_must_differ() -> None:
    click = {"timestamp": AT, "userAgent": IPHONE, "ipAddress": "198.51.100.7", "link": "https://b.example/"}
    events = [
        bounce(),
        bounce(feedbackId="f2"),
        bounce(bouncedRecipients=[REPORT | {"emailAddress": "a@b.example"}]),
        notify("Send", send={}),
        notify("Send", {"messageId": "m2"}, send={}),
        notify("Reject", reject={"reason": "Bad content"}),
        notify("Open", open=click),
        notify("Click", click=click),
        notify("Click", click=click | {"link": "https://b.example/2"}),
        notify("Click", click=click | {"timestamp": "2026-03-05T10:56:52.251Z"}),
        notify("Click", click=click | {"ipAddress": "198.51.100.8"}),
    ]
    assert len(events) == len({parse(event).event_id for event in events})


def test_the_time_of_publishing_stands_in() -> None:
    event = notify("Complaint", complaint={"complainedRecipients": [REPORT]})
    assert [0.0] == [one.occurred_at for one in parse_all(event)]
    assert [SECONDS] == [one.occurred_at for one in parse_all(envelope(event))]


@pytest.mark.parametrize(
    "value",
    [
        {"Type": "SubscriptionConfirmation", "Message": "You have chosen to subscribe", "SubscribeURL": "https://a"},
        {"Type": "UnsubscribeConfirmation", "Message": "You have chosen to deactivate"},
        envelope("Successfully validated SNS topic for Amazon SES event publishing."),
        envelope({"notificationType": "AmazonSnsSubscriptionSucceeded", "message": "You have successfully ..."}),
        [],
    ],
)
def test_what_is_about_no_message(value: object) -> None:
    assert [] == parse_all(value)


@pytest.mark.parametrize(
    "value,why",
    [
        ({}, "no type"),
        ({"mail": {}}, "no type"),
        (envelope({"mail": {}}), "no type"),
        (envelope("Hello"), "malformed"),
        (envelope(""), "empty"),
        (envelope("7"), "Expected `object`"),
        (envelope(None, Message=None), "no notification of SNS"),
        ({"Type": "Other", "Message": "{}"}, "no notification of SNS: its type is 'Other'"),
        (notify("Bounce", bounce=7), "bounce"),
        (notify("Bounce", bounce={"bouncedRecipients": "a@b.example"}), "bouncedRecipients"),
        (notify("Open"), "no `open`"),
        (notify("Delivery"), "no `delivery`"),
        (notify("Complaint"), "no `complaint`"),
        (bounce(timestamp="yesterday"), "not a time"),
        (notify("Send", {"tags": {"delivery_id": ["a\tb"]}}), "control character"),
        ("x", "Expected `object`"),
        (None, "Expected `object`"),
    ],
)
def test_what_can_not_be_read(value: object, why: str) -> None:
    with pytest.raises(SourceError, match=why):
        Notifications(SourceOptions()).parse(json.dumps(value).encode())


@pytest.mark.parametrize(
    "mail",
    [
        {"destination": None, "messageId": 7, "timestamp": "1772708210", "tags": {"a": None}},
        {"destination": "user@example.com", "messageId": None, "timestamp": None, "tags": {"a": {"b": []}}},
        {"destination": [None, {}, ["x"]], "headersTruncated": "no", "new": 1e300, "headers": {}},
    ],
)
def test_fields_of_another_kind(mail: dict[str, Any]) -> None:
    assert "sent" == parse(notify("Send", mail, send={})).type
    assert ["sent"] == [event.type for event in parse_all(envelope({"eventType": "Send", "mail": None}))]


def test_several_messages_are_read_on_their_own() -> None:
    one = envelope(notify("Send", send={}))
    parsed = iter(Notifications(SourceOptions()).parse(json.dumps([one, envelope("?"), one]).encode()))
    assert ["sent", "sent"] == [next(parsed).type, next(parsed).type]
    with pytest.raises(SourceError, match="1 of 3 can't be read: message 1"):
        next(parsed)


def test_half_a_surrogate_pair() -> None:
    click = {"timestamp": AT, "userAgent": "\ud83d", "link": "https://b.example/\ud83d", "ipAddress": "::1"}
    for value in (notify("Click", click=click), envelope(notify("Click", click=click))):
        (event,) = parse_all(value)
        assert ("\ufffd", "https://b.example/\ufffd") == (event.user_agent, event.url)
    with pytest.raises(SourceError, match="no text"):
        parse_all(notify("Send", {"destination": ["\ud83d@b.example"]}))


def test_the_docs_have_every_rule() -> None:
    docs = README.read_text()
    rows = [
        f"| `{rule.event}` | {f'`{rule.type}`' if rule.type in EVENT_TYPES else rule.type or 'no event'} | {rule.why} |"
        for rule in EVENT_RULES
    ]
    rows += [
        f"| {rule.type} | {rule.subtype or 'any other'} | "
        f"{f'`{rule.becomes}`' if rule.becomes in EVENT_TYPES else rule.becomes} | {rule.why or 'by codes'} |"
        for rule in BOUNCE_RULES
    ]
    rows += [f"| {name} | {known} |" for name, known in DELAYS.items()]
    assert [] == [row for row in rows if row not in docs]
