"""Whatever comes in: events that can be kept, or a SourceError. Nothing else."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aftersend.schemas.event import EVENT_TYPES, Feedback
from aftersend.sources.base import Parser, SourceError, SourceOptions
from aftersend.sources.mta.kumomta.parser import RECORD_RULES
from aftersend.sources.mta.kumomta.payload import LogRecord
from aftersend.sources.own.tracking.parser import EVENT_RULES
from aftersend.sources.own.tracking.payload import TrackingRecord
from aftersend.sources.parsing.bounce_classes import CLASSES
from aftersend.sources.providers.postmark.parser import BOUNCE_RULES as POSTMARK_BOUNCES
from aftersend.sources.providers.postmark.parser import RECORD_RULES as POSTMARK_RULES
from aftersend.sources.providers.postmark.payload import PostmarkRecord
from aftersend.sources.providers.sendgrid.parser import DROP_RULES
from aftersend.sources.providers.sendgrid.parser import EVENT_RULES as SENDGRID_RULES
from aftersend.sources.providers.sendgrid.payload import SendGridEvent
from aftersend.sources.providers.ses.rules import BOUNCE_RULES
from aftersend.sources.providers.ses.rules import EVENT_RULES as SES_RULES
from aftersend.sources.registry import REGISTRY

OPTIONS = SourceOptions(delivery_headers=("X-Campaign",), return_path=r"(?P<delivery>\w*)\+?(?P<recipient>[^@]*)")
PARSERS = [source.parser(OPTIONS) for source in REGISTRY.values()]

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.sampled_from(["user@example.com", "2025-09-12T11:08:01Z", "<>", "a:b@c", "", "true", "\t", "\x7f"])
    | st.emails()
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
)
TEXT = st.text(max_size=20) | st.emails() | st.sampled_from(["a:b@c", "2025-09-12T11:08:01Z", "\t"])


def mostly(valid: dict[str, st.SearchStrategy[Any]], name: str, names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with the right sort of value in each field, and at times any JSON in one of them."""
    right = st.fixed_dictionaries(
        {name: valid[name]}, optional={field: kind for field, kind in valid.items() if field != name}
    )
    wrong = st.dictionaries(st.sampled_from(names), JSON, max_size=1)
    return st.builds(lambda one, other: one | other, right, st.just({}) | wrong)


REPORT = st.dictionaries(
    st.sampled_from(["feedback_type", "original_rcpto_to", "supplemental_trace", "original_message", "arrival_date"]),
    JSON,
)
METADATA = st.dictionaries(st.sampled_from(["delivery_id", "campaign", "tenant", "test", "message_type"]), JSON)
RESPONSE = st.fixed_dictionaries(
    {},
    optional={
        "code": st.integers(0, 700),
        "content": TEXT,
        "enhanced_code": st.fixed_dictionaries(
            {}, optional=dict.fromkeys(("class", "subject", "detail"), st.integers(0, 9))
        ),
    },
)
RECORDS = mostly(
    {
        "type": st.sampled_from([rule.record for rule in RECORD_RULES] + ["Other"]),
        "id": TEXT,
        "sender": TEXT,
        "recipient": TEXT | st.lists(TEXT),
        "queue": TEXT,
        "timestamp": st.floats(0, 2e9),
        "num_attempts": st.integers(0, 99),
        "bounce_classification": TEXT | st.sampled_from([c.name for c in CLASSES]),
        "response": RESPONSE,
        "meta": METADATA,
        "headers": st.dictionaries(st.sampled_from(["X-Campaign", "Subject"]), JSON),
        "feedback_report": REPORT,
    },
    "type",
    list(LogRecord.__struct_fields__),
)
CLICKS = mostly(
    {
        "event": st.sampled_from([rule.event for rule in EVENT_RULES] + ["other"]),
        "id": TEXT | st.integers(),
        "delivery_id": TEXT | st.integers(),
        "recipient": TEXT,
        "time": st.floats(0, 2e9) | TEXT,
        "url": TEXT,
        "user_agent": TEXT,
        "machine": st.none() | st.booleans(),
        "test": st.booleans(),
        "reason": TEXT,
    },
    "event",
    list(TrackingRecord.__struct_fields__),
)


def go_through(parser: Parser, raw: bytes) -> tuple[list[Feedback], str]:
    """Return the events that can be read of a record, and what the parser complains of."""
    events = []
    try:
        for event in parser(raw):
            events.append(event)  # noqa: PERF402 - the last step may raise
    except SourceError as error:
        return events, str(error)
    return events, ""


def check(parser: Parser, raw: bytes) -> None:
    events, complaint = go_through(parser, raw)
    assert (events, complaint) == go_through(parser, raw)
    for event in events:
        assert event.type in EVENT_TYPES
        assert event.event_id
        key = event.recipient + event.delivery_id + event.tenant
        assert not any(c < " " or c == "\x7f" for c in key)
        # What is written must come back: no number too large, no half of a surrogate pair.
        assert event == msgspec.json.decode(msgspec.json.encode(event), type=type(event))


@pytest.mark.parametrize("parser", PARSERS, ids=REGISTRY)
@given(raw=st.binary(max_size=300))
def test_bytes(parser: Parser, raw: bytes) -> None:
    check(parser, raw)


@pytest.mark.parametrize("parser", PARSERS, ids=REGISTRY)
@given(value=JSON)
def test_json(parser: Parser, value: object) -> None:
    check(parser, json.dumps(value).encode())


@given(record=RECORDS | st.lists(RECORDS, max_size=3))
@example({"type": "OOB", "sender": "+=", "response": {"code": 550, "enhanced_code": {"class": 5}, "content": ""}})
@example({"type": "Delivery", "meta": {"delivery_id": 10**400}})
def test_log_records(record: object) -> None:
    check(PARSERS[0], json.dumps(record).encode())


@given(record=CLICKS | st.lists(CLICKS, max_size=3))
def test_tracking_records(record: object) -> None:
    check(PARSERS[1], json.dumps(record).encode())


#: Of another kind than any field is; `test_json` tries the rest.
ODD: st.SearchStrategy[Any] = SCALARS | st.sampled_from([[None], {"a": None}, [[]], {}])
SENDGRID = REGISTRY["sendgrid"].parser(OPTIONS)
SENDGRID_EVENTS = mostly(
    {
        "event": st.sampled_from([rule.event for rule in SENDGRID_RULES] + ["other"]),
        "email": TEXT,
        "timestamp": st.floats(0, 2e9) | st.integers(0, 2**31) | TEXT,
        "sg_event_id": TEXT,
        "sg_message_id": TEXT | st.sampled_from(["a.filter0.1", "filter0.1", "b.recvd-1"]),
        "smtp-id": TEXT,
        "reason": TEXT | st.sampled_from([rule.reason for rule in DROP_RULES]),
        "response": TEXT,
        "status": st.sampled_from(["5.1.1", "4.2.2", "550", ""]),
        "type": st.sampled_from(["bounce", "blocked", "expired", "x"]),
        "category": TEXT | st.lists(TEXT),
        "delivery_id": SCALARS,
        "test": SCALARS,
        "sg_machine_open": SCALARS,
        "url": TEXT,
        "useragent": TEXT,
        "newsletter": ODD,
    },
    "event",
    [*SendGridEvent.__struct_encode_fields__, "delivery_id", "tenant"],
)
REPORTS = st.fixed_dictionaries({}, optional={"emailAddress": TEXT, "status": TEXT, "diagnosticCode": TEXT})
SES_PARTS = st.fixed_dictionaries(
    {},
    optional={
        "timestamp": st.sampled_from(["2026-03-05T10:56:52.250Z", ""]) | ODD,
        "bounceType": st.sampled_from([rule.type for rule in BOUNCE_RULES]) | ODD,
        "bounceSubType": st.sampled_from([rule.subtype for rule in BOUNCE_RULES]) | ODD,
        "bouncedRecipients": st.lists(REPORTS) | ODD,
        "complainedRecipients": st.lists(REPORTS) | ODD,
        "delayedRecipients": st.lists(REPORTS) | ODD,
        "recipients": st.lists(TEXT) | ODD,
        "feedbackId": TEXT | ODD,
        "link": TEXT | ODD,
        "newTopicPreferences": st.fixed_dictionaries({"unsubscribeAll": ODD}) | ODD,
    },
)
SES_MAIL = st.fixed_dictionaries(
    {},
    optional={
        "timestamp": ODD,
        "messageId": ODD,
        "destination": st.lists(TEXT) | ODD,
        "tags": METADATA | ODD,
        "headers": st.lists(st.fixed_dictionaries({"name": TEXT, "value": TEXT})) | ODD,
    },
)
SES_FIELDS = ["bounce", "complaint", "delivery", "open", "click", "deliveryDelay", "subscription", "reject", "failure"]
SES_EVENTS = st.builds(
    lambda name, mail, parts: {"eventType": name, "mail": mail} | parts,
    st.sampled_from([rule.event for rule in SES_RULES] + ["other"]),
    SES_MAIL | ODD,
    st.dictionaries(st.sampled_from(SES_FIELDS), SES_PARTS | ODD),
)
ENVELOPES = SES_EVENTS | st.builds(
    lambda kind, event, fields: {"Type": kind, "Message": json.dumps(event)} | fields,
    st.sampled_from(["Notification", "SubscriptionConfirmation", "Other"]),
    SES_EVENTS | ODD,
    st.dictionaries(st.sampled_from(["MessageId", "Timestamp", "Message", "Type"]), ODD, max_size=1),
)


@given(events=st.lists(SENDGRID_EVENTS | ODD, max_size=3))
def test_sendgrid_events(events: list[object]) -> None:
    check(SENDGRID, json.dumps(events).encode())


@given(events=st.lists(SENDGRID_EVENTS, max_size=3))
@settings(max_examples=50)
@example([{"event": "open", "timestamp": 1e-300}])
def test_sendgrid_events_have_the_same_ids_however_they_are_read(events: list[dict[str, Any]]) -> None:
    """Quickly, or one by one since there is something unreadable among them."""
    quickly, _ = go_through(SENDGRID, json.dumps(events).encode())
    one_by_one, complaint = go_through(SENDGRID, json.dumps([*events, None]).encode())
    assert complaint
    assert quickly == one_by_one


@given(event=ENVELOPES | st.lists(ENVELOPES, max_size=2))
def test_ses_events(event: object) -> None:
    check(REGISTRY["ses"].parser(OPTIONS), json.dumps(event).encode())


@given(event=ENVELOPES)
@settings(max_examples=50)
def test_ses_events_have_the_same_ids_however_they_are_read(event: object) -> None:
    parser = REGISTRY["ses"].parser(OPTIONS)
    alone, _ = go_through(parser, json.dumps(event).encode())
    one_of_several, _ = go_through(parser, json.dumps([event, 7]).encode())
    assert alone == one_of_several


POSTMARK = REGISTRY["postmark"].parser(OPTIONS)
POSTMARK_RECORDS = mostly(
    {
        "RecordType": st.sampled_from([rule.record for rule in POSTMARK_RULES] + ["Inbound", "other"]),
        "MessageID": TEXT,
        "Recipient": TEXT,
        "ID": st.integers(0, 2**63) | ODD,
        "Type": st.sampled_from([rule.type for rule in POSTMARK_BOUNCES]) | TEXT,
        "TypeCode": st.sampled_from([rule.code for rule in POSTMARK_BOUNCES]) | ODD,
        "Details": TEXT | st.sampled_from(["smtp;550 5.1.1 x", "smtp;452 4.2.2", "250"]),
        "DeliveredAt": st.sampled_from(["2026-03-05T10:56:52.2501234Z", ""]) | ODD,
        "OriginalLink": TEXT,
        "UserAgent": TEXT,
        "Geo": st.fixed_dictionaries({"IP": TEXT}) | ODD,
        "Metadata": METADATA | ODD,
        "Tag": TEXT | ODD,
        "SuppressSending": st.booleans() | ODD,
        "SuppressionReason": st.sampled_from(["HardBounce", "ManualSuppression"]) | ODD,
    },
    "RecordType",
    list(PostmarkRecord.__struct_encode_fields__),
)


@given(record=POSTMARK_RECORDS | st.lists(POSTMARK_RECORDS | ODD, max_size=3))
def test_postmark_records(record: object) -> None:
    check(POSTMARK, json.dumps(record).encode())


@given(record=POSTMARK_RECORDS)
@settings(max_examples=50)
def test_postmark_events_have_the_same_ids_however_they_are_read(record: object) -> None:
    alone, _ = go_through(POSTMARK, json.dumps(record).encode())
    one_of_several, _ = go_through(POSTMARK, json.dumps([record, 7]).encode())
    assert alone == one_of_several


@pytest.mark.parametrize("parser", PARSERS, ids=REGISTRY)
@pytest.mark.parametrize(
    "opening", [b"[", b'{"a":', b'{"type":"Feedback","feedback_report":{"extensions":', b'{"meta":']
)
def test_deep_nesting(parser: Parser, opening: bytes) -> None:
    with pytest.raises(SourceError):
        parser(opening * 100_000)
    with pytest.raises(SourceError):
        parser(opening + b"[" * 100_000 + b"]" * 100_000 + b"}" * opening.count(b"{"))


def test_every_cut_of_a_record_is_an_error_that_says_where(record: Callable[[], dict[str, object]]) -> None:
    raw = json.dumps(record()).encode()
    for end in range(len(raw)):
        with pytest.raises(SourceError, match=r"byte|empty"):
            PARSERS[0](raw[:end])
