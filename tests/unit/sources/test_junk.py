"""Whatever comes in: events that can be kept, or a SourceError. Nothing else."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.feedback import EVENT_TYPES
from sources.base import Parser, SourceError, SourceOptions
from sources.bounce_classes import CLASSES
from sources.kumomta import RECORD_RULES
from sources.kumomta_record import LogRecord
from sources.registry import REGISTRY
from sources.tracking import EVENT_RULES, TrackingRecord

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


def check(parser: Parser, raw: bytes) -> None:
    try:
        events = list(parser(raw))
    except SourceError:
        return
    assert events == list(parser(raw))
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
