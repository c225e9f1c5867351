"""What the sender's own system says."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersend.rules.views import VIEWS
from aftersend.schemas.delivery import POLICIES, Declaration
from aftersend.schemas.event import EVENT_TYPES, MESSAGE_TYPES, NOT_SENT_REASONS, Feedback
from aftersend.sources.base import SourceError, SourceOptions
from aftersend.sources.own.sender import NAME, SOURCE, payload
from aftersend.sources.own.sender.payload import DeliveryRecord, SenderEvent

parse: Callable[[bytes], Iterable[Feedback]] = SOURCE.parser(SourceOptions())

PLANNED = {"type": "planned", "delivery_id": "d", "recipient": "Jane@Example.ORG"}
DELIVERY = {"type": "delivery", "delivery_id": "d"}


def parsed(*items: Any) -> list[Feedback]:
    return list(parse(json.dumps(items[0] if len(items) == 1 else items).encode()))


def one(**fields: Any) -> Feedback:
    (event,) = parsed(PLANNED | fields)
    return event


def declaration(**fields: Any) -> Declaration:
    (event,) = parsed(DELIVERY | fields)
    assert event.declaration is not None
    return event.declaration


def complaint(*items: Any) -> str:
    with pytest.raises(SourceError) as error:
        parsed(*items)
    return str(error.value)


def test_an_event_about_a_recipient() -> None:
    event = one(
        type="not_sent",
        reason="unsubscribed",
        occurred_at="2025-09-14T14:00:00.5+02:00",
        message_type="automation",
        tenant="acme",
        test=True,
        event_id="e-1",
        message_id="m-1",
        note="asked to be left out",
        colour="passed over",
    )
    assert (
        Feedback(
            event_id="e-1",
            delivery_id="d",
            recipient="jane@example.org",
            type="not_sent",
            occurred_at=1757851200.5,
            source=NAME,
            reason="unsubscribed",
            diagnostic="asked to be left out",
            address="Jane@Example.ORG",
            message_type="automation",
            test=True,
            provider_id="m-1",
            tenant="acme",
        )
        == event
    )


@pytest.mark.parametrize("kind", [kind for kind in payload.EVENT_TYPES if kind != "not_sent"])
def test_types_are_the_canonical_ones(kind: str) -> None:
    assert kind in EVENT_TYPES
    assert kind == one(type=kind).type


@pytest.mark.parametrize("reason", NOT_SENT_REASONS)
def test_reasons_for_not_sending(reason: str) -> None:
    assert reason == one(type="not_sent", reason=reason).reason


def test_only_who_has_no_address_goes_without_one() -> None:
    (event,) = parsed({"type": "not_sent", "delivery_id": "d", "reason": "no_address"})
    assert ("", "no_address") == (event.recipient, event.reason)
    assert "recipient is missing" in complaint({"type": "planned", "delivery_id": "d"})


def test_the_same_event_has_the_same_id_and_another_has_another() -> None:
    assert one().event_id == one(recipient="jane@example.org").event_id == one(tenant="acme").event_id
    others = [one(type="ready"), one(occurred_at=5), one(delivery_id="e"), one(recipient="joe@example.org")]
    assert 5 == len({event.event_id for event in (one(), *others)})


def test_a_delivery() -> None:
    (event,) = parsed(
        DELIVERY
        | {
            "name": "Spring sale",
            "tenant": "acme",
            "message_type": "campaign",
            "policy": "efs",
            "validity_days": 3.5,
            "statistics_update_period_days": 14,
            "start": "2025-09-14T12:00:00Z",
            "expected_audience": 120_000,
            "event_id": "e-2",
        }
    )
    assert (
        Feedback(
            event_id="e-2",
            delivery_id="d",
            recipient="",
            type="declared",
            source=NAME,
            message_type="campaign",
            tenant="acme",
            declaration=Declaration("Spring sale", "efs", 84.0, 14.0, 1757851200.0, 120_000),
        )
        == event
    )


def test_hours_or_days() -> None:
    assert (1.5, 36.0) == (
        declaration(validity_hours=1.5).validity_hours,
        declaration(validity_days=1.5).validity_hours,
    )
    assert Declaration() == declaration()


def test_another_declaration_has_another_id() -> None:
    ids = {parsed(DELIVERY | more)[0].event_id for more in ({}, {"name": "n"}, {"tenant": "t"}, {"start": 5})}
    assert 4 == len(ids)


WRONG: list[tuple[dict[str, Any], str]] = [
    (PLANNED | {"type": "plannd"}, "type is 'plannd', which is none of planned, ready"),
    (PLANNED | {"type": None}, "type is missing"),
    (PLANNED | {"type": ["planned"]}, "type is ['planned']"),
    (PLANNED | {"delivery_id": ""}, "delivery_id"),
    (PLANNED | {"delivery_id": "a\tb"}, "control character"),
    (PLANNED | {"recipient": "a\tb@example.org"}, "control character"),
    (PLANNED | {"recipient": " "}, "recipient is missing"),
    (PLANNED | {"type": "not_sent", "reason": "no wish"}, "one of duplicate_address"),
    (PLANNED | {"type": "not_sent"}, "reason is missing"),
    (PLANNED | {"occurred_at": "2025-09-14T12:00:00"}, "occurred_at"),
    (PLANNED | {"occurred_at": "yesterday"}, "occurred_at"),
    (PLANNED | {"occurred_at": -1}, "occurred_at"),
    (PLANNED | {"occurred_at": "1960-01-01T00:00:00Z"}, "between 1970 and 9999"),
    (PLANNED | {"occurred_at": "0001-01-01T00:00:00+14:00"}, "between 1970 and 9999"),
    (PLANNED | {"occurred_at": "9999-12-31T23:59:59-14:00"}, "between 1970 and 9999"),
    (PLANNED | {"message_type": "flyer"}, "message_type"),
    (PLANNED | {"test": "yes"}, "test"),
    (DELIVERY | {"validity_day": 3}, "validity_day"),
    (DELIVERY | {"validity_days": 3, "validity_hours": 72}, "both there"),
    (DELIVERY | {"validity_hours": 0}, "validity_hours"),
    (DELIVERY | {"validity_days": 10_000}, "validity_days"),
    (DELIVERY | {"policy": "eff"}, "policy"),
    (DELIVERY | {"start": "soon"}, "start"),
    (DELIVERY | {"expected_audience": -1}, "expected_audience"),
]


@pytest.mark.parametrize("record, said", WRONG, ids=[said for _, said in WRONG])
def test_what_is_wrong_is_said(record: dict[str, Any], said: str) -> None:
    assert said in complaint(record)


@pytest.mark.parametrize("item", [5, "planned", None, []])
def test_what_is_no_event_is_said(item: Any) -> None:
    with pytest.raises(SourceError):
        list(parse(json.dumps([PLANNED, item] if item == [] else item).encode()))


def test_what_is_right_beside_it_counts() -> None:
    events: list[Feedback] = []
    with pytest.raises(SourceError, match=r"2 of 4 can't be read: event 2: type is 'x'.*; event 4: "):
        events.extend(parse(json.dumps([PLANNED, PLANNED | {"type": "x"}, DELIVERY, {}]).encode()))
    assert ["planned", "declared"] == [event.type for event in events]


def test_lines_and_arrays() -> None:
    lines = b"\n".join(json.dumps(PLANNED | {"recipient": f"r{i}@example.org"}).encode() for i in range(3))
    assert 3 == len(list(parse(lines))) == len(parsed(PLANNED, PLANNED, DELIVERY))


def test_the_lists_are_those_of_the_house() -> None:
    """Types for the decoder have to be written out; a view that is added must be added there too."""
    assert set(payload.EVENT_TYPES) == set(_literal(SenderEvent, "type"))
    assert {"", *POLICIES} == set(_literal(DeliveryRecord, "policy"))
    assert set(POLICIES) == set(VIEWS)
    assert set(MESSAGE_TYPES) == set(_literal(SenderEvent, "message_type"))


def _literal(struct: type[msgspec.Struct], field: str) -> tuple[Any, ...]:
    (found,) = (one for one in msgspec.inspect.type_info(struct).fields if one.name == field)  # type: ignore[attr-defined]
    kinds = found.type.types if isinstance(found.type, msgspec.inspect.UnionType) else (found.type,)
    (literal,) = (kind for kind in kinds if isinstance(kind, msgspec.inspect.LiteralType))
    return literal.values


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*DELIVERY, "recipient"]), inner),
    )
)
def test_any_json_is_read_or_refused(value: Any) -> None:
    try:
        events = list(parse(json.dumps(value).encode()))
    except SourceError:
        return
    assert all(event.delivery_id for event in events)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(SourceError):
        assert all(event.source == NAME for event in parse(raw))
