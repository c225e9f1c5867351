"""What each record of KumoMTA's log becomes."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from aftersend.schemas.event import EVENT_TYPES, Feedback
from aftersend.sources.base import SourceError, SourceOptions
from aftersend.sources.mta.kumomta.parser import BY_CLASS, BY_REPORT, MAX_DIAGNOSTIC, RECORD_RULES, KumoLog
from aftersend.sources.parsing.bounce_classes import CLASSES, BounceClass
from tests.paths import SOURCES

Build = Callable[..., dict[str, Any]]
Parse = Callable[..., list[Feedback]]
ParseOne = Callable[..., Feedback]

README = SOURCES / "mta" / "kumomta" / "README.md"
REFUSED = {
    "code": 550,
    "enhanced_code": {"class": 5, "subject": 1, "detail": 1},
    "content": "<user@example.com>: Recipient address rejected: User unknown in virtual mailbox table",
    "command": "RCPT TO",
}
GREYLISTED = {
    "code": 451,
    "enhanced_code": {"class": 4, "subject": 2, "detail": 2},
    "content": "The recipient's inbox is out of storage space",
    "command": ".",
}


def test_fields_of_events(parse_one: ParseOne) -> None:
    """The hot path passes them by position: every one must have come out under its own name."""
    event = parse_one(recipient="User@example.com", type="Bounce", response=REFUSED)
    assert (
        Feedback(
            event_id=event.event_id,
            delivery_id="c17",
            recipient="user@example.com",
            type="hard_bounce",
            occurred_at=1757675281.440526,
            source="kumomta",
            provider_id="1d98076abbbc11ed940250ebf67f93bd",
            reason="InvalidRecipient",
            diagnostic="<user@example.com>: Recipient address rejected: User unknown in virtual mailbox table",
            address="User@example.com",
            message_type="campaign",
            tenant="brand",
            code=550,
            enhanced_code="5.1.1",
        )
        == event
    )


# ------------------------------------------------------------------------------------------------ types of records


@pytest.mark.parametrize(
    "rule", [r for r in RECORD_RULES if r.type not in {BY_CLASS, BY_REPORT}], ids=lambda r: r.record
)
def test_every_type_of_record(rule: tuple[str, str, str], parse: Parse) -> None:
    record, kind, _ = rule
    events = parse(type=record, response=REFUSED)
    assert ([kind] if kind else []) == [event.type for event in events]
    assert kind in EVENT_TYPES or not kind


def test_reception(parse_one: ParseOne) -> None:
    response = {"code": 250, "enhanced_code": None, "content": "", "command": None}
    event = parse_one(type="Reception", response=response, peer_address={"name": "app", "addr": "10.0.0.9"})
    assert ("sent", "", "", "", 250) == (event.type, event.reason, event.diagnostic, event.enhanced_code, event.code)


def test_delivery(parse_one: ParseOne) -> None:
    event = parse_one()
    assert "delivered" == event.type
    assert ("OK ids=8a5475ccbbc611eda12250ebf67f93bd", 250, "") == (event.diagnostic, event.code, event.enhanced_code)


def test_transient_failure(parse_one: ParseOne) -> None:
    event = parse_one(type="TransientFailure", response=GREYLISTED, num_attempts=2)
    assert ("deferred", "QuotaIssues", 451, "4.2.2") == (event.type, event.reason, event.code, event.enhanced_code)
    assert "SpamBlock" == parse_one(type="TransientFailure", bounce_classification="SpamBlock").reason


def test_delayed(parse: Parse, parse_one: ParseOne) -> None:
    throttled = {"code": 400, "enhanced_code": None, "content": "Context: MessageRateThrottle. Next due in 1m"}
    event = parse_one(type="Delayed", response=throttled)
    assert ("deferred", "", "Delayed") == (event.type, event.reason, event.detail)
    scheduled = throttled | {"content": "Context: Received|ScheduledForLater. Next due in 3h"}
    assert [] == list(parse(type="Delayed", response=scheduled))


@pytest.mark.parametrize("bounce_class", CLASSES, ids=lambda c: c.name)
@pytest.mark.parametrize("name", ["Bounce", "OOB"])
def test_bounces_by_class(name: str, bounce_class: BounceClass, parse_one: ParseOne) -> None:
    response = REFUSED | {"enhanced_code": None}
    event = parse_one(type=name, bounce_classification=bounce_class.name, response=response)
    assert (bounce_class.type, bounce_class.name) == (event.type, event.reason)


@pytest.mark.parametrize("label", ["Uncategorized", "", None, ...])
def test_bounces_without_a_class(label: object, parse_one: ParseOne) -> None:
    event = parse_one(type="Bounce", bounce_classification=label, response=REFUSED)
    assert ("hard_bounce", "InvalidRecipient") == (event.type, event.reason)


@pytest.mark.parametrize("code,kind", [(550, "hard_bounce"), (541, "soft_bounce")])
def test_the_benchmarks_bounces(code: int, kind: str, parse_one: ParseOne) -> None:
    """They come with a status and a text of success, and count as bounces all the same."""
    response = {"code": code, "enhanced_code": {"class": 2, "subject": 0, "detail": 0}, "content": "OK ids=8a54"}
    event = parse_one(type="Bounce", response=response)
    assert (kind, "Uncategorized") == (event.type, event.reason)


def test_a_bounce_by_a_label_of_the_senders_own(parse_one: ParseOne) -> None:
    event = parse_one(type="Bounce", bounce_classification="Partner blocks us", response=REFUSED)
    assert ("hard_bounce", "Partner blocks us") == (event.type, event.reason)


def test_an_address_that_is_none(parse_one: ParseOne) -> None:
    response = REFUSED | {"code": 501, "enhanced_code": {"class": 5, "subject": 1, "detail": 3}}
    assert "invalid_address" == parse_one(type="Bounce", response=response).type


def test_expiration(parse_one: ParseOne) -> None:
    response = {
        "code": 551,
        "enhanced_code": {"class": 5, "subject": 4, "detail": 7},
        "content": "Next delivery time would be at … which exceeds the expiry time … configured via set_scheduling",
    }
    event = parse_one(type="Expiration", response=response)
    assert ("soft_bounce", "MessageExpired", "Expiration") == (event.type, event.reason, event.detail)
    # The class of what was last heard is worth more.
    assert "QuotaIssues" == parse_one(type="Expiration", bounce_classification="QuotaIssues").reason


def test_a_message_that_kumomta_itself_gave_up_is_not_waited_for(parse_one: ParseOne) -> None:
    assert parse_one(type="Expiration").exhausted
    assert parse_one(type="Expiration", bounce_classification="QuotaIssues").exhausted
    assert parse_one(type="Bounce", bounce_classification="MessageExpired").exhausted
    assert not parse_one(type="Bounce", bounce_classification="QuotaIssues").exhausted
    assert not parse_one(type="TransientFailure", bounce_classification="MessageExpired").exhausted


def test_admin_bounce(parse_one: ParseOne) -> None:
    response = {"code": 551, "enhanced_code": None, "content": "Administrator bounced with reason: wrong price"}
    event = parse_one(type="AdminBounce", response=response)
    assert ("not_sent", "stopped") == (event.type, event.reason)
    assert "Administrator bounced with reason: wrong price" == event.diagnostic


def test_rejection(parse: Parse, parse_one: ParseOne) -> None:
    rejected: dict[str, Any] = {"type": "Rejection", "id": "", "meta": {}, "queue": "", "headers": {}}
    event = parse_one(**rejected, recipient=["user@example.com"], response=REFUSED)
    assert ("rejected", "", "user@example.com") == (event.type, event.delivery_id, event.recipient)
    event = parse_one(**rejected, response={"code": 451, "enhanced_code": None, "content": "try again later"})
    assert "deferred" == event.type
    # Refused before there was a recipient.
    assert [] == list(parse(**rejected | {"recipient": [""]}, response=REFUSED))
    assert [] == list(parse(**rejected | {"recipient": ""}, response=REFUSED))


def test_rejections_have_no_id_but_are_told_apart(parse_one: ParseOne) -> None:
    one = parse_one(type="Rejection", id="", response=REFUSED)
    other = parse_one(type="Rejection", id="", response=REFUSED | {"content": "no"})
    assert one.event_id == parse_one(type="Rejection", id="", response=REFUSED).event_id
    assert one.event_id != other.event_id
    assert one.event_id != parse_one(type="Rejection", id="", response=REFUSED, session_id="x").event_id


def test_an_unknown_type_of_record(parse_one: ParseOne) -> None:
    """A later version's: nothing is lost, nothing breaks."""
    event = parse_one(type="Teleport")
    assert ("unknown", "Teleport", "c17") == (event.type, event.detail, event.delivery_id)
    assert 100 == len(parse_one(type="x" * 1000).detail)


@pytest.mark.parametrize("name", [rule.record for rule in RECORD_RULES])
def test_records_about_the_log_hooks_own_messages_say_nothing(name: str, parse: Parse) -> None:
    """They bear the recipient and the metadata of the message that is being reported on."""
    assert [] == list(parse(type=name, reception_protocol="LogRecord"))


# ---------------------------------------------------------------------------------------------- asynchronous bounces


def test_asynchronous_bounce(parse_one: ParseOne) -> None:
    """The record is about the bounce message: only its recipient is the original one's."""
    event = parse_one(type="OOB", response=REFUSED, queue="x:y@bounce.brand.example", meta={"delivery_id": "c9"})
    assert ("hard_bounce", "user@example.com", "c9", "OOB") == (
        event.type,
        event.recipient,
        event.delivery_id,
        event.detail,
    )
    assert ("", "") == (parse_one(type="OOB", queue="x:y@bounce.brand.example", meta={}).delivery_id, event.tenant)


def test_asynchronous_bounce_with_a_status_alone(parse_one: ParseOne) -> None:
    """KumoMTA writes 550 where the report has no diagnostic text."""
    response = {"code": 550, "enhanced_code": {"class": 4, "subject": 4, "detail": 7}, "content": ""}
    event = parse_one(type="OOB", response=response)
    assert ("soft_bounce", "MessageExpired") == (event.type, event.reason)


@pytest.mark.parametrize(
    "sender,delivery_id,recipient",
    [
        ("b+c17+jane=example.org@bounce.brand.example", "c17", "jane@example.org"),
        ("b+c17+jane=x=example.org@bounce.brand.example", "c17", "jane=x@example.org"),
        ("b+c17@bounce.brand.example", "c17", "user@example.com"),
        ("postmaster@bounce.brand.example", "", "user@example.com"),
    ],
)
def test_return_path(sender: str, delivery_id: str, recipient: str, parse_one: ParseOne) -> None:
    """What the sender coded into his return path (VERP) is better than what a forwarding host names."""
    options = SourceOptions(return_path=r"^b\+(?P<delivery>[^+@]+)(\+(?P<recipient>[^@]+))?@")
    event = parse_one(options, type="OOB", sender=sender, response=REFUSED, meta={})
    assert (delivery_id, recipient) == (event.delivery_id, event.recipient)


def test_a_return_path_that_is_no_expression() -> None:
    with pytest.raises(ValueError, match="return_path is no regular expression"):
        KumoLog(SourceOptions(return_path="("))


# -------------------------------------------------------------------------------------------------- feedback reports


# ------------------------------------------------------------------------------------------- recipients, ids, times


def test_several_recipients_are_several_events(parse: Parse) -> None:
    recipients = ["a@example.com", "B@example.com", "a@example.com"]
    events = parse(recipient=recipients)
    assert ["a@example.com", "b@example.com"] == [event.recipient for event in events]
    assert 2 == len({event.event_id for event in events})


@pytest.mark.parametrize("nobody", ["", None, [], ...])
def test_no_recipient(nobody: object, parse_one: ParseOne) -> None:
    assert ("delivered", "") == (parse_one(recipient=nobody).type, parse_one(recipient=nobody).recipient)


def test_the_same_record_has_the_same_id_whatever_the_options(parse_one: ParseOne) -> None:
    event = parse_one()
    assert event.event_id == parse_one().event_id == parse_one(SourceOptions(delivery_keys=())).event_id
    # Fields that say how it went on its way are no part of what happened.
    assert event.event_id == parse_one(meta={}, headers={}, size=0, egress_pool=None).event_id


@pytest.mark.parametrize(
    "change",
    [
        {"nodeid": "other"},
        {"id": "other"},
        {"recipient": "other@example.com"},
        {"type": "Reception"},
        {"event_time": "2025-09-12T11:08:01.440527Z"},
        {"num_attempts": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_event_has_another_id(change: dict[str, Any], parse_one: ParseOne) -> None:
    assert parse_one().event_id != parse_one(**change).event_id


def test_time(parse_one: ParseOne) -> None:
    assert 1757675281.440526 == parse_one(timestamp=1).occurred_at
    assert 1757675281.0 == parse_one(event_time=...).occurred_at
    assert 1757675281.0 == parse_one(event_time=None).occurred_at
    assert 0.0 == parse_one(event_time=..., timestamp=...).occurred_at
    # A version without `event_time` tells attempts apart by second and number.
    assert parse_one(event_time=...).event_id != parse_one(event_time=..., timestamp=1757675282).event_id


def test_one_address_in_two_spellings(parse_one: ParseOne) -> None:
    """Case 15."""
    one, other = parse_one(recipient="user@bücher.example"), parse_one(recipient="USER@xn--bcher-kva.example")
    assert one.recipient == other.recipient == "user@xn--bcher-kva.example"
    assert ("user@bücher.example", "USER@xn--bcher-kva.example") == (one.address, other.address)


def test_long_answers_are_cut(parse_one: ParseOne) -> None:
    assert MAX_DIAGNOSTIC == len(parse_one(response=REFUSED | {"content": "x" * 5000}).diagnostic)


# ------------------------------------------------------------------------------------------- delivery, tenant, test


@pytest.mark.parametrize(
    "queue,delivery_id,tenant",
    [
        ("autumn:brand@example.com", "autumn", "brand"),
        ("autumn:brand@example.com!relay.example", "autumn", "brand"),
        ("autumn:@example.com", "autumn", ""),
        ("brand@example.com", "", "brand"),
        ("example.com", "", ""),
        ("something", "", ""),
        ("", "", ""),
        ("http://user@10.0.0.1:8000.xfer.kumomta.internal", "", ""),
    ],
)
def test_the_queue_serves_where_metadata_say_nothing(
    queue: str, delivery_id: str, tenant: str, parse_one: ParseOne
) -> None:
    event = parse_one(queue=queue, meta={})
    assert (delivery_id, tenant) == (event.delivery_id, event.tenant)
    event = parse_one(queue=queue, meta={"campaign": "c1"})
    assert ("c1", tenant) == (event.delivery_id, event.tenant)
    event = parse_one(SourceOptions(campaign_from_queue=False), queue=queue, meta={})
    assert ("", "") == (event.delivery_id, event.tenant)


def test_headers_serve_where_they_are_configured(parse_one: ParseOne) -> None:
    options = SourceOptions(delivery_headers=("X-Mailing", "X-Campaign"))
    headers = {"Subject": "x", "X-Campaign": "c3"}
    assert "c3" == parse_one(options, headers=headers, meta={}).delivery_id
    assert "c17" == parse_one(options, headers=headers).delivery_id
    assert "autumn" == parse_one(options, headers={"X-Campaign": ["c3"]}, meta={}).delivery_id
    assert "autumn" == parse_one(options, headers=None, meta=None).delivery_id
    assert "autumn" == parse_one(headers=headers, meta={}).delivery_id


@pytest.mark.parametrize("value", [True, "true", "1", 1])
def test_test_messages(value: object, parse_one: ParseOne) -> None:
    assert parse_one(meta={"delivery_id": "c17", "test": value}).test
    assert not parse_one(meta={"delivery_id": "c17", "test": False}).test
    assert not parse_one(meta={"delivery_id": "c17"}).test


@pytest.mark.parametrize("change", [{"recipient": "a\tb@example.com"}, {"meta": {"delivery_id": "a\tb"}}])
def test_control_characters_are_refused(change: dict[str, Any], parse: Parse) -> None:
    with pytest.raises(SourceError, match="control character 9 at position 1"):
        parse(**change)


# --------------------------------------------------------------------------------------------------- several records


def test_several_records_in_one(record: Build) -> None:
    """Log hooks may batch."""
    records = [record(id="a", type="Reception"), record(id="b"), record(id="c", meta={"delivery_id": 7})]
    lines = "\n".join(map(json.dumps, records)).encode()
    array = json.dumps(records, indent=1).encode()
    parser = KumoLog(SourceOptions())
    for raw in (lines, array):
        events = list(parser.parse(raw))
        assert [("sent", "c17"), ("delivered", "c17"), ("delivered", "7")] == [(e.type, e.delivery_id) for e in events]
        assert list(parser.parse(json.dumps(records[1]).encode())) == events[1:2]


@pytest.mark.parametrize(
    "change,message",
    [
        ({"type": ...}, "missing required field `type`"),
        ({"type": 1}, "Expected `str`, got `int` - at `$.type`"),
        ({"num_attempts": -1}, "Expected `int` >= 0 - at `$.num_attempts`"),
        ({"recipient": [1]}, "Expected `str`, got `int` - at `$.recipient[0]`"),
        ({"response": {"code": "x"}}, "at `$.response.code`"),
        ({"timestamp": 1e300}, "at `$.timestamp`"),
        ({"event_time": "yesterday"}, "Invalid RFC3339 encoded datetime - at `$.event_time`"),
        ({"event_time": "2025-09-12T11:08:01"}, "at `$.event_time`"),
        ({"event_time": "1969-12-31T23:59:59Z"}, "not a time between 1970 and 9999"),
        ({"event_time": "0001-01-01T00:00:00+14:00"}, "not a time between 1970 and 9999"),
        ({"event_time": "9999-12-31T23:59:59-14:00"}, "not a time between 1970 and 9999"),
        ({"meta": []}, "Expected `object | null`, got `array` - at `$.meta`"),
    ],
)
def test_errors_name_the_field(change: dict[str, Any], message: str, parse: Parse) -> None:
    with pytest.raises(SourceError) as error:
        parse(**change)
    assert message in str(error.value)


# --------------------------------------------------------------------------------------------------- documentation


def test_every_choice_is_documented() -> None:
    docs = README.read_text()
    rows = [
        f"| `{name}` | {f'`{kind}`' if kind in EVENT_TYPES else kind or 'no event'} | {why} |"
        for name, kind, why in RECORD_RULES
    ]
    assert [] == [row for row in rows if row not in docs]
