"""SendGrid's events."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from aftersend.schemas.event import EVENT_TYPES, NOT_SENT_REASONS, Feedback
from aftersend.sources.base import SourceError, SourceOptions
from aftersend.sources.providers.sendgrid.parser import (
    CLASSIFICATIONS,
    DROP_RULES,
    EVENT_RULES,
    DropRule,
    EventWebhook,
    SendGridEventRule,
)
from tests.paths import SOURCES

README = SOURCES / "providers" / "sendgrid" / "README.md"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
EVENT: dict[str, Any] = {
    "email": "user@example.com",
    "timestamp": 1757675281,
    "smtp-id": "<LRzXl_NHStOGhQ4kofSm_A@geopod-ismtpd-3>",
    "event": "delivered",
    "category": ["cat facts"],
    "sg_event_id": "ZGVsaXZlcmVkLTAtMTA5OTQ5MTk",
    "sg_message_id": "LRzXl_NHStOGhQ4kofSm_A.recvd-756b745b58-kmzbl-18-5F5FC76C-9.0",
    "delivery_id": "c17",
}
USER_UNKNOWN: dict[str, Any] = {"event": "bounce", "reason": "550 5.1.1 No such user", "status": "5.1.1"}


def parse_all(raw: object, options: SourceOptions | None = None) -> list[Feedback]:
    return list(EventWebhook(options or SourceOptions()).parse(json.dumps(raw).encode()))


def parse(options: SourceOptions | None = None, **changes: object) -> Feedback:
    """Return the one event of a body, which must be the same read quickly and read leniently."""
    event = {key: value for key, value in (EVENT | changes).items() if value is not ...}
    (quickly,) = parse_all([event], options)
    # Beside an event with a time that no strict reader takes, each one is read on its own.
    leniently, _ = parse_all([event, EVENT | {"timestamp": "1757675281"}], options)
    assert quickly == leniently
    return quickly


def test_fields() -> None:
    """The hot path passes some by position: every one must have come out under its own name."""
    assert Feedback(
        event_id="ZGVsaXZlcmVkLTAtMTA5OTQ5MTk",
        delivery_id="c17",
        recipient="user@example.com",
        type="hard_bounce",
        occurred_at=1757675281.0,
        source="sendgrid",
        reason="InvalidRecipient",
        diagnostic="550 5.1.1 No such user",
        address="User@Example.com",
        message_type="automation",
        test=True,
        code=550,
        enhanced_code="5.1.1",
        provider_id="LRzXl_NHStOGhQ4kofSm_A",
        url="https://b.example/",
        user_agent=IPHONE,
        tenant="brand",
        ip="198.51.100.7",
        detail="Invalid Address",
    ) == parse(
        **USER_UNKNOWN,
        email="User@Example.com",
        type="bounce",
        bounce_classification="Invalid Address",
        message_type="automation",
        test=True,
        tenant="brand",
        ip="198.51.100.7",
        useragent=IPHONE,
        url="https://b.example/",
    )


@pytest.mark.parametrize("rule", EVENT_RULES, ids=lambda rule: rule.event)
def test_every_type_of_event(rule: SendGridEventRule) -> None:
    events = parse_all([EVENT | {"event": rule.event}])
    if not rule.type:
        assert [] == events
    elif rule.type in EVENT_TYPES:
        assert [rule.type] == [event.type for event in events]
    else:
        assert events[0].type in EVENT_TYPES


@pytest.mark.parametrize("name", ["Processed", " processed "])
def test_a_type_in_another_spelling(name: str) -> None:
    assert "sent" == parse(event=name).type


def test_an_unknown_type() -> None:
    event = parse(event="Forwarded")
    assert ("unknown", "Forwarded", "user@example.com") == (event.type, event.detail, event.recipient)


@pytest.mark.parametrize("rule", DROP_RULES, ids=lambda rule: rule.reason)
def test_every_reason_for_dropping(rule: DropRule) -> None:
    event = parse(event="dropped", reason=rule.reason.title(), status="5.0.0")
    assert (rule.type, rule.why, "", "dropped") == (event.type, event.reason, event.enhanced_code, event.detail)
    assert rule.type != "not_sent" or rule.why in NOT_SENT_REASONS
    assert rule.reason == event.diagnostic.lower()


@pytest.mark.parametrize("reason", ["Something new", "", ..., None])
def test_a_reason_for_dropping_that_is_not_known(reason: object) -> None:
    event = parse(event="dropped", reason=reason)
    assert ("rejected", "Uncategorized") == (event.type, event.reason)


def test_dropped_for_a_group() -> None:
    event = parse(event="dropped", reason="Unsubscribed Address", asm_group_id=10)
    assert ("not_sent", "unsubscribed_from_type") == (event.type, event.reason)


@pytest.mark.parametrize(
    "fields,expected",
    [
        # SendGrid mails the address no more after a `bounce`, whatever the codes say.
        ({"type": "bounce"}, ("hard_bounce", "InvalidRecipient", 550, "5.1.1")),
        ({"type": "bounce", "status": "5.1.3"}, ("invalid_address", "InvalidRecipient", 550, "5.1.3")),
        (
            {"type": "bounce", "reason": "421 4.2.1 later", "status": "4.2.1"},
            ("hard_bounce", "InactiveMailbox", 421, "4.2.1"),
        ),
        ({"type": "bounce", "reason": ..., "status": "5.0.0"}, ("hard_bounce", "Uncategorized", 0, "5.0.0")),
        ({"type": "bounce", "reason": ..., "status": ...}, ("hard_bounce", "Uncategorized", 0, "")),
        ({"type": "bounce", "reason": "unable to get mx info", "status": ""}, ("hard_bounce", "Uncategorized", 0, "")),
        ({"type": "bounce", "reason": "No such user", "status": "550"}, ("hard_bounce", "Uncategorized", 550, "")),
        # After a `blocked` it does.
        ({"type": "blocked"}, ("soft_bounce", "InvalidRecipient", 550, "5.1.1")),
        ({"type": "blocked", "status": "5.2.2"}, ("soft_bounce", "QuotaIssues", 550, "5.2.2")),
        ({"type": "blocked", "bounce_classification": "Content"}, ("rejected", "ContentRelated", 550, "5.1.1")),
        ({"type": "blocked", "bounce_classification": "Reputation"}, ("rejected", "SpamRelated", 550, "5.1.1")),
        (
            {"type": "blocked", "reason": "550 5.7.1 spam", "status": "5.7.1"},
            ("rejected", "AuthenticationFailed", 550, "5.7.1"),
        ),
        ({"type": "expired", "reason": ..., "status": ...}, ("soft_bounce", "MessageExpired", 0, "")),
        # Without a type the codes decide.
        ({}, ("hard_bounce", "InvalidRecipient", 550, "5.1.1")),
        ({"reason": "452 4.2.2 full", "status": "4.2.2"}, ("soft_bounce", "QuotaIssues", 452, "4.2.2")),
        ({"reason": "500 unknown recipient", "status": "5.0.0"}, ("hard_bounce", "ProtocolErrors", 500, "5.0.0")),
        ({"reason": ..., "status": ...}, ("hard_bounce", "Uncategorized", 0, "")),
    ],
)
def test_bounces(fields: dict[str, Any], expected: tuple[str, str, int, str]) -> None:
    event = parse(**USER_UNKNOWN | fields)
    assert expected == (event.type, event.reason, event.code, event.enhanced_code)


def test_a_deferral() -> None:
    event = parse(event="deferred", response="452 4.2.2 The mailbox is full", attempt="5")
    assert ("deferred", "QuotaIssues", 452, "4.2.2") == (event.type, event.reason, event.code, event.enhanced_code)


def test_a_delivery() -> None:
    event = parse(response="250 2.0.0 OK 1461095248")
    assert ("delivered", 250, "", "250 2.0.0 OK 1461095248") == (
        event.type,
        event.code,
        event.enhanced_code,
        event.diagnostic,
    )


@pytest.mark.parametrize(
    "flag,agent,machine",
    [
        (True, IPHONE, True),
        (False, "Mozilla/5.0", False),
        (..., "Mozilla/5.0", True),
        (..., IPHONE, False),
        (None, "", False),
    ],
)
@pytest.mark.parametrize("event", ["open", "click"])
def test_machines(event: str, flag: object, agent: str, machine: bool) -> None:
    assert machine == parse(event=event, sg_machine_open=flag, useragent=agent).machine


@pytest.mark.parametrize(
    "url,unsubscribe",
    [
        ("https://b.example/offer", False),
        ("https://u1.ct.sendgrid.net/asm/unsubscribe/?user_id=1", True),
        ("https://b.example/OptOut?u=1", True),
    ],
)
def test_the_unsubscribe_link(url: str, unsubscribe: bool) -> None:
    assert unsubscribe == parse(event="click", url=url).unsubscribe_link
    assert not parse(event="open", url=url).unsubscribe_link


@pytest.mark.parametrize("event", ["group_unsubscribe", "group_resubscribe"])
def test_groups(event: str) -> None:
    assert "group 10" == parse(event=event, asm_group_id=10).detail
    assert "" == parse(event="unsubscribe").detail


@pytest.mark.parametrize(
    "fields,expected",
    [
        ({"sg_message_id": "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0"}, "14c5d75ce93.dfd.64b469"),
        ({"sg_message_id": "142d9f3f351.7618.254f56.filter-147.22649.52A663508.0"}, "142d9f3f351.7618.254f56"),
        ({"sg_message_id": "Lli-03HcQ5-JLybO9fXsJg.filter0077p1las1.21536.0"}, "Lli-03HcQ5-JLybO9fXsJg"),
        ({"sg_message_id": "internal"}, "internal"),
        ({"sg_message_id": "filter0093p1las1.9128.5717FB8127.0"}, "LRzXl_NHStOGhQ4kofSm_A"),
        ({"sg_message_id": ...}, "LRzXl_NHStOGhQ4kofSm_A"),
        ({"sg_message_id": ..., "smtp-id": ...}, ""),
    ],
)
def test_the_id_that_all_events_of_a_message_share(fields: dict[str, Any], expected: str) -> None:
    assert expected == parse(**fields).provider_id


@pytest.mark.parametrize(
    "fields,expected",
    [
        ({"tenant": "b", "message_type": "automation", "test": "true"}, ("c17", "automation", "b", True)),
        ({"delivery_id": 17}, ("17", "", "", False)),
        ({"delivery_id": ..., "campaign": "c3"}, ("c3", "", "", False)),
        ({"delivery_id": ..., "category": "delivery_id:c4"}, ("c4", "", "", False)),
        ({"delivery_id": ..., "category": ["x", "campaign=c5", "tenant: b"]}, ("c5", "", "b", False)),
        ({"category": ["delivery_id:c4", "test:1"]}, ("c17", "", "", True)),
        ({"category": ["test", "campaign"]}, ("c17", "", "", False)),
        ({"delivery_id": ..., "singlesend_id": "s1", "mc_stats": "singlesend"}, ("s1", "campaign", "", False)),
        ({"delivery_id": ..., "mc_auto_id": "a1", "mc_auto_step_id": "a2"}, ("a2", "", "", False)),
        ({"delivery_id": ..., "mc_auto_id": "a1", "mc_stats": "automation"}, ("a1", "automation", "", False)),
        ({"delivery_id": ..., "marketing_campaign_id": 12345}, ("12345", "", "", False)),
        ({"delivery_id": ..., "newsletter": {"newsletter_id": "1943530"}}, ("1943530", "", "", False)),
        ({"singlesend_id": "s1"}, ("c17", "", "", False)),
        ({"delivery_id": ...}, ("", "", "", False)),
    ],
)
def test_labels(fields: dict[str, Any], expected: tuple[str, str, str, bool]) -> None:
    event = parse(**fields)
    assert expected == (event.delivery_id, event.message_type, event.tenant, event.test)


def test_keys_that_are_fields_of_sendgrid() -> None:
    options = SourceOptions(delivery_keys=("sg_template_id", "singlesend_id"), tenant_keys=("asm_group_id",))
    event = parse(options, sg_template_id="d-1", asm_group_id=10)
    assert ("d-1", "10") == (event.delivery_id, event.tenant)


def test_without_an_id_the_same_event_has_the_same() -> None:
    changes: Iterable[dict[str, Any]] = (
        {},
        {"event": "open"},
        {"email": "other@example.com"},
        {"timestamp": 1757675282},
        {"sg_message_id": "other"},
        {"url": "https://b.example/"},
        {"ip": "198.51.100.8"},
        {"response": "250 ok"},
        {"attempt": 2},
        {"asm_group_id": 3},
    )
    ids = [parse(sg_event_id=..., **change).event_id for change in changes]
    assert ids == [parse(sg_event_id="", **change).event_id for change in changes]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    "given,seconds",
    [
        (1757675281.5, 1757675281.5),
        ("1757675281", 1757675281.0),
        (" 1757675281.5 ", 1757675281.5),
        ("2025-09-12T11:08:01Z", 1757675281.0),
        (None, 0.0),
        ("", 0.0),
        (..., 0.0),
    ],
)
def test_times(given: object, seconds: float) -> None:
    assert seconds == parse(timestamp=given).occurred_at


@pytest.mark.parametrize(
    "fields",
    [
        {"attempt": 5, "asm_group_id": "10", "sg_machine_open": "true", "status": 550, "ip": None},
        {"category": [None, 7, {"a": 1}], "newsletter": [], "useragent": {"os": "x"}, "type": ["bounce"]},
        {"new_field": {"deep": [None, {"er": 1e300}]}, "delivery_id": {"a": None}, "tenant": [], "singlesend_id": 5},
    ],
)
def test_fields_of_another_kind(fields: dict[str, Any]) -> None:
    assert "delivered" == parse(**fields).type


def test_no_events() -> None:
    assert [] == parse_all([])


def test_one_object_and_lines_of_objects() -> None:
    one = json.dumps(EVENT).encode()
    webhook = EventWebhook(SourceOptions())
    assert ["delivered"] == [event.type for event in webhook.parse(one)]
    assert ["delivered"] * 3 == [event.type for event in webhook.parse(one + b"\r\n" + one + b"\n[" + one + b"]\r\n")]
    assert ["delivered"] == [event.type for event in webhook.parse(b"\xef\xbb\xbf[" + one + b"]\r\n")]


@pytest.mark.parametrize(
    "bad,why",
    [
        (None, "event 1: the event is no JSON object"),
        ("open", "event 1: the event is no JSON object"),
        ({}, "event 1: the event has no type"),
        ({"event": None}, "event 1: the event has no type"),
        ({"event": "open", "email": ["a@b.example"]}, "event 1: the recipient"),
        ({"event": "open", "timestamp": "yesterday"}, "event 1: not a time"),
        ({"event": "open", "timestamp": 1757675281123}, "event 1: not a time"),
        ({"event": "open", "timestamp": True}, "event 1: not a time"),
        ({"event": "open", "email": "a\tb@c.example"}, "event 1: recipient has the control character 9"),
        ({"event": "open", "delivery_id": "a\nb"}, "event 1: delivery id has the control character 10"),
    ],
)
def test_one_unreadable_event_does_not_hold_the_others_back(bad: object, why: str) -> None:
    parsed = iter(EventWebhook(SourceOptions()).parse(json.dumps([EVENT, bad, EVENT | {"event": "open"}]).encode()))
    assert ["delivered", "opened"] == [next(parsed).type, next(parsed).type]
    with pytest.raises(SourceError, match=f"1 of 3 can't be read: {why}"):
        next(parsed)


@pytest.mark.parametrize("raw", [b"", b" ", b"payload", b"[", b"[{}", b'[{"event":"open"},', b"[NaN]", b"{}", b"[1,2]"])
def test_nothing_that_can_be_read(raw: bytes) -> None:
    """Raises at once, for there is nothing to go through."""
    with pytest.raises(SourceError):
        EventWebhook(SourceOptions()).parse(raw)


def test_half_a_surrogate_pair_and_bytes_that_are_no_text() -> None:
    body = b'[{"event":"click","email":"a@b.example","useragent":"\\ud83d","url":"caf\xe9","big":1e999}]'
    (event,) = EventWebhook(SourceOptions()).parse(body)
    assert ("clicked", "\ufffd", "caf\ufffd") == (event.type, event.user_agent, event.url)


@pytest.mark.parametrize("field", ["email", "delivery_id", "tenant", "sg_event_id"])
def test_no_key_is_made_of_what_is_no_text(field: str) -> None:
    body = b'[{"event":"click","%s":"a\\ud83d"}]' % field.encode()
    with pytest.raises(SourceError, match="no text"):
        EventWebhook(SourceOptions()).parse(body)


def test_texts_are_cut() -> None:
    event = parse(**USER_UNKNOWN | {"reason": "550 " + "x" * 5000, "type": "t" * 500})
    assert (1000, 100) == (len(event.diagnostic), len(event.detail))


def test_the_docs_have_every_rule() -> None:
    docs = README.read_text()
    rows = [
        f"| `{rule.event}` | {f'`{rule.type}`' if rule.type in EVENT_TYPES else rule.type or 'no event'} | {rule.why} |"
        for rule in EVENT_RULES
    ]
    rows += [f"| {rule.reason} | `{rule.type}` | {rule.why} |" for rule in DROP_RULES]
    rows += [f"| {name} | {known} |" for name, known in CLASSIFICATIONS.items()]
    assert [] == [row for row in rows if row not in docs]
