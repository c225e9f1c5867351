"""The sender's own tracker and tools."""

import json
from typing import Any

import pytest

from aftersend.schemas.event import EVENT_TYPES, NOT_SENT_REASONS, Feedback
from aftersend.sources.base import SourceError, SourceOptions
from aftersend.sources.own.tracking.parser import EVENT_RULES, Tracker, TrackingEventRule
from tests.paths import SOURCES

README = SOURCES / "own" / "tracking" / "README.md"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
RECORD: dict[str, Any] = {
    "event": "open",
    "id": "01K5",
    "delivery_id": "c17",
    "recipient": "user@example.com",
    "time": 1757675281.5,
    "user_agent": IPHONE,
    "ip": "198.51.100.7",
}


def parse(options: SourceOptions | None = None, **changes: object) -> Feedback:
    (event,) = Tracker(options or SourceOptions()).parse(json.dumps(RECORD | changes).encode())
    return event


@pytest.mark.parametrize("rule", EVENT_RULES, ids=lambda rule: rule.event)
def test_every_kind_of_event(rule: TrackingEventRule) -> None:
    assert rule.type == parse(event=rule.event).type
    assert rule.type in EVENT_TYPES


def test_fields() -> None:
    assert Feedback(
        event_id="01K5",
        delivery_id="c17",
        recipient="user@example.com",
        type="opened",
        occurred_at=1757675281.5,
        source="tracking",
        provider_id="m1",
        user_agent=IPHONE,
        ip="198.51.100.7",
        address="User@example.com",
        message_type="automation",
        tenant="brand",
        test=True,
    ) == parse(recipient="User@example.com", message_id="m1", message_type="automation", tenant="brand", test=1)


def test_an_unknown_event() -> None:
    event = parse(event="forward")
    assert ("unknown", "forward") == (event.type, event.detail)


def test_without_an_id_the_same_event_has_the_same() -> None:
    event = parse(id=None)
    assert 32 == len(event.event_id)
    assert event.event_id == parse(id=None).event_id
    for change in ({"event": "click"}, {"recipient": "x@y.org"}, {"time": 1}, {"url": "https://a.example"}):
        assert event.event_id != parse(id=None, **change).event_id


def test_numbers_for_ids() -> None:
    event = parse(id=7, delivery_id=17)
    assert ("7", "17") == (event.event_id, event.delivery_id)


def test_time() -> None:
    assert 1757675281.440526 == parse(time="2025-09-12T11:08:01.440526Z").occurred_at
    assert 0.0 == parse(time=None).occurred_at
    with pytest.raises(SourceError, match="not a time"):
        parse(time="now")


def test_machines_by_flag_or_by_user_agent() -> None:
    """The tracker's own word counts more than the table."""
    assert parse(user_agent="Mozilla/5.0").machine
    assert not parse(user_agent=IPHONE).machine
    assert not parse(user_agent=None).machine
    assert parse(machine=True).machine
    assert not parse(user_agent="Mozilla/5.0", machine=False).machine
    assert parse(event="click", user_agent="Barracuda Sentinel").machine
    assert not parse(event="unsubscribe", user_agent="Mozilla/5.0").machine


def test_unsubscribe_link_by_flag_or_by_url() -> None:
    """Case 3: a click on it is no click."""
    assert parse(event="click", url="https://brand.example/Unsubscribe?u=1").unsubscribe_link
    assert not parse(event="click", url="https://brand.example/offer").unsubscribe_link
    assert parse(event="click", url="https://brand.example/u/1", unsubscribe_link=True).unsubscribe_link
    assert not parse(event="click", url="https://brand.example/unsubscribe", unsubscribe_link=False).unsubscribe_link
    options = SourceOptions(unsubscribe_urls=("/bye/",))
    assert parse(options, event="click", url="https://brand.example/bye/1").unsubscribe_link
    assert not parse(options, event="click", url="https://brand.example/unsubscribe").unsubscribe_link


def test_one_click_unsubscribe() -> None:
    assert parse(event="unsubscribe", one_click=True).one_click
    assert not parse(event="unsubscribe").one_click


@pytest.mark.parametrize("reason", NOT_SENT_REASONS)
def test_left_out(reason: str) -> None:
    event = parse(event="not_sent", reason=reason)
    assert ("not_sent", reason) == (event.type, event.reason)


def test_several_records_in_one() -> None:
    raw = json.dumps([RECORD, RECORD | {"event": "click", "id": "2"}]).encode()
    assert ["opened", "clicked"] == [event.type for event in Tracker(SourceOptions()).parse(raw)]


def test_without_delivery_or_recipient_it_is_unattributed() -> None:
    event = parse(delivery_id=None, recipient=None)
    assert ("", "") == (event.delivery_id, event.recipient)


@pytest.mark.parametrize("change", [{"recipient": "a\tb"}, {"delivery_id": "a\tb"}, {"event": None}, {"url": 1}])
def test_what_cannot_be_read(change: dict[str, Any]) -> None:
    with pytest.raises(SourceError):
        parse(**change)


def test_every_choice_is_documented() -> None:
    docs = README.read_text()
    assert [] == [rule for rule in EVENT_RULES if f"| `{rule.event}` | `{rule.type}` | {rule.why} |" not in docs]
