"""Postmark's records."""

import json
from typing import Any

import pytest

from aftersend.schemas.event import EVENT_TYPES, NOT_SENT_REASONS, Feedback
from aftersend.sources.base import SourceError, SourceOptions
from aftersend.sources.parsing.bounce_classes import CLASSES
from aftersend.sources.providers.postmark.parser import (
    BOUNCE_RULES,
    BY_CODES,
    CHOICE_RULES,
    RECORD_RULES,
    STREAM_TYPES,
    PostmarkWebhooks,
)
from tests.paths import SOURCES

README = SOURCES / "providers" / "postmark" / "README.md"

DELIVERY: dict[str, Any] = {
    "RecordType": "Delivery",
    "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
    "Recipient": "anna@example.com",
    "DeliveredAt": "2025-09-05T10:57:00Z",
    "Details": "smtp;250 2.0.0 OK",
    "Metadata": {"delivery_id": "c17", "tenant": "brand"},
}
BOUNCE: dict[str, Any] = {
    "RecordType": "Bounce",
    "ID": 42,
    "Type": "HardBounce",
    "TypeCode": 1,
    "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
    "Email": "anna@example.com",
    "BouncedAt": "2025-09-05T10:57:00Z",
    "Details": "smtp;550 5.1.1 no such user",
    "Metadata": {"delivery_id": "c17"},
}
CHANGE: dict[str, Any] = {
    "RecordType": "SubscriptionChange",
    "Recipient": "anna@example.com",
    "ChangedAt": "2025-09-05T10:57:00Z",
    "Origin": "Recipient",
    "SuppressSending": True,
    "SuppressionReason": "ManualSuppression",
}


def parse(record: Any, options: SourceOptions | None = None) -> list[Feedback]:
    raw = record if isinstance(record, bytes) else json.dumps(record).encode()
    return list(PostmarkWebhooks(options or SourceOptions()).parse(raw))


def one(record: Any, options: SourceOptions | None = None, **changes: Any) -> Feedback:
    (event,) = parse(record | changes if changes else record, options)
    return event


@pytest.mark.parametrize("rule", BOUNCE_RULES, ids=lambda rule: rule.type)
def test_every_type_of_bounce_by_its_name_or_its_code(rule: Any) -> None:
    by_name = parse(BOUNCE | {"Type": rule.type, "TypeCode": 0, "Details": ""})
    by_code = parse(BOUNCE | {"Type": "", "TypeCode": rule.code, "Details": ""})

    assert [(e.type, e.reason, e.event_id) for e in by_name] == [(e.type, e.reason, e.event_id) for e in by_code]
    expected = "soft_bounce" if rule.becomes == BY_CODES else rule.becomes
    assert ([expected] if expected else []) == [event.type for event in by_name]


def test_rules_name_what_there_is() -> None:
    classes = {c.name for c in CLASSES} | {"RenderingFailure", ""}
    for rule in BOUNCE_RULES:
        assert rule.becomes in {*EVENT_TYPES, BY_CODES, ""}
        assert rule.reason in (NOT_SENT_REASONS if rule.becomes == "not_sent" else classes)
    assert len(BOUNCE_RULES) == len({rule.type for rule in BOUNCE_RULES}) == len({rule.code for rule in BOUNCE_RULES})


@pytest.mark.parametrize(
    "details, becomes, reason",
    [
        ("smtp;552 5.2.2 Mailbox full", "soft_bounce", "QuotaIssues"),
        ("smtp;550 5.1.1 no such user", "hard_bounce", "InvalidRecipient"),
        ("no code in here", "soft_bounce", "Uncategorized"),
    ],
)
@pytest.mark.parametrize("name", ["Unknown", "Brand new"])
def test_what_postmark_can_not_tell_the_codes_do(name: str, details: str, becomes: str, reason: str) -> None:
    event = one(BOUNCE, Type=name, TypeCode=2048 if name == "Unknown" else 7, Details=details)

    assert (becomes, reason, name) == (event.type, event.reason, event.detail)


def test_postmarks_word_counts_more_than_the_codes() -> None:
    event = one(BOUNCE, Type="SoftBounce", TypeCode=4096)

    assert ("soft_bounce", "InvalidRecipient", 550, "5.1.1") == (
        event.type,
        event.reason,
        event.code,
        event.enhanced_code,
    )


@pytest.mark.parametrize(
    "changes, types",
    [
        ({}, ["unsubscribed"]),
        ({"Origin": "Customer", "MessageID": None}, ["unsubscribed"]),
        ({"SuppressionReason": "HardBounce"}, []),
        ({"SuppressionReason": "SpamComplaint"}, []),
        ({"SuppressionReason": "Something new"}, ["unsubscribed"]),
        ({"SuppressSending": False, "SuppressionReason": None}, ["resubscribed"]),
        ({"SuppressSending": False, "SuppressionReason": "HardBounce"}, ["resubscribed"]),
        ({"SuppressSending": "true"}, ["unsubscribed"]),
        ({"SuppressSending": None}, ["unknown"]),
    ],
)
def test_subscription_changes(changes: dict[str, Any], types: list[str]) -> None:
    assert types == [event.type for event in parse(CHANGE | changes)]


def test_both_directions_of_a_change_in_one_second_are_two_events() -> None:
    off, on = one(CHANGE), one(CHANGE, SuppressSending=False)

    assert off.event_id != on.event_id


@pytest.mark.parametrize(
    "changes",
    [
        {"RecordType": "Open"},
        {"MessageID": "x"},
        {"Recipient": "ben@example.com"},
        {"DeliveredAt": "2025-09-05T10:57:01Z"},
        {"OriginalLink": "https://brand.example/"},
        {"UserAgent": "curl/8"},
        {"Geo": {"IP": "198.51.100.7"}},
    ],
)
def test_events_without_a_number_are_known_by_these_fields(changes: dict[str, Any]) -> None:
    assert one(DELIVERY).event_id != one(DELIVERY, **changes).event_id
    assert one(DELIVERY).event_id == one(DELIVERY, Details="other", Tag="other").event_id


@pytest.mark.parametrize("ident", [0, None, "42", True])
def test_a_bounce_without_its_number_has_a_hash(ident: Any) -> None:
    assert 32 == len(one(BOUNCE, ID=ident).event_id)
    assert "42" == one(BOUNCE).event_id


def test_labels_of_metadata_then_tag_then_stream() -> None:
    def labels(**changes: Any) -> tuple[str, str, str, bool]:
        event = one(DELIVERY, **changes)
        return event.delivery_id, event.message_type, event.tenant, event.test

    assert ("c17", "", "brand", False) == labels()
    assert ("c17", "campaign", "brand", False) == labels(MessageStream="Broadcast", Tag="delivery_id:other")
    assert ("c18", "transactional", "", False) == labels(Metadata=None, Tag="delivery_id=c18", MessageStream="outbound")
    metadata = {"delivery_id": "c17", "message_type": "automation", "test": "true"}
    assert ("c17", "automation", "", True) == labels(Metadata=metadata, MessageStream="outbound")
    assert ("", "", "", False) == labels(Metadata=["c17"], Tag="welcome-email", MessageStream="inbox")


def test_an_installation_s_own_keys() -> None:
    options = SourceOptions(delivery_keys=("mailing",), unsubscribe_urls=("/bye",))
    event = one(
        DELIVERY, options, RecordType="Click", Metadata={"mailing": "m1"}, OriginalLink="https://brand.example/BYE?u=1"
    )

    assert ("m1", True) == (event.delivery_id, event.unsubscribe_link)


def test_opens_and_clicks_of_machines() -> None:
    human = one(DELIVERY, RecordType="Open", UserAgent="Mozilla/5.0 (X11; Linux x86_64) Thunderbird/140", Geo=None)
    proxy = one(DELIVERY, RecordType="Open", UserAgent="Mozilla/5.0")
    scanner = one(DELIVERY, RecordType="Click", UserAgent="Barracuda Sentinel (EE)", Geo={"IP": "198.51.100.7"})

    assert (False, True, True) == (human.machine, proxy.machine, scanner.machine)
    assert ("", "198.51.100.7") == (human.ip, scanner.ip)


def test_the_address_in_one_spelling() -> None:
    event = one(DELIVERY, Recipient="Anna Adler <Anna@Example.COM>")

    assert ("anna@example.com", "Anna Adler <Anna@Example.COM>") == (event.recipient, event.address)


def test_texts_are_cut() -> None:
    event = one(BOUNCE, Details="550 " + "x" * 5000, Type="t" * 500)

    assert (1000, 100) == (len(event.diagnostic), len(event.detail))


@pytest.mark.parametrize("time", ["", None, ...])
def test_a_record_without_a_time_has_none(time: Any) -> None:
    assert 0.0 == one({k: v for k, v in (DELIVERY | {"DeliveredAt": time}).items() if v is not ...}).occurred_at


@pytest.mark.parametrize(
    "record, words",
    [
        ({}, "no type"),
        ({"RecordType": None, "FromFull": {"Email": "a@b.example"}}, "no type"),
        ({"RecordType": "Inbound"}, "inbound webhook"),
        (DELIVERY | {"DeliveredAt": "yesterday"}, "not a time"),
        (DELIVERY | {"Recipient": "a\tb@example.com"}, "control character"),
        (DELIVERY | {"Metadata": {"delivery_id": "a\tb"}}, "control character"),
        (b"", "empty"),
        (b"7", "object"),
        (b"{", "byte 1"),
        (b'{"RecordType":"Delivery","Recipient":"a\\ud83d@example.com"}', "no text"),
    ],
)
def test_what_can_not_be_read(record: Any, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        parse(record)


def test_of_several_records_each_is_read_on_its_own() -> None:
    events = iter(PostmarkWebhooks(SourceOptions()).parse(json.dumps([DELIVERY, {}, BOUNCE]).encode()))

    assert ["delivered", "hard_bounce"] == [next(events).type, next(events).type]
    with pytest.raises(SourceError, match="1 of 3 can't be read: record 1: the record has no type"):
        next(events)


def test_bytes_that_are_no_text_are_replaced() -> None:
    event = one(b'{"RecordType":"Open","Recipient":"a@b.example","UserAgent":"caf\xe9 \\ud83d"}')

    assert ("opened", "caf\ufffd \ufffd") == (event.type, event.user_agent)


def test_the_page_has_every_rule() -> None:
    docs = README.read_text()
    codes = {"hard_bounce", "soft_bounce", "deferred", BY_CODES}

    def shown(kind: str) -> str:
        return f"`{kind}`" if kind in EVENT_TYPES else kind or "no event"

    rows = [f"| `{rule.record}` | {shown(rule.type)} | {rule.why} |" for rule in RECORD_RULES]
    rows += [
        f"| `{rule.type}` | {rule.code} | {shown(rule.becomes)} "
        f"| {rule.reason or ('by codes' if rule.becomes in codes else '')} | {rule.why} |"
        for rule in BOUNCE_RULES
    ]
    rows += [
        f"| {str(rule.suppressed).lower()} | {rule.reason or 'any other'} | {shown(rule.becomes)} | {rule.why} |"
        for rule in CHOICE_RULES
    ]
    rows += [f"| `{stream}` | `{kind}` |" for stream, kind in STREAM_TYPES.items()]

    assert [] == [row for row in rows if row not in docs]
