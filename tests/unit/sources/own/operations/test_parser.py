"""What operators decide: their own records, so what is wrong with one is an error."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from aftersend.schemas.event import Feedback
from aftersend.sources.base import SourceError, SourceOptions
from aftersend.sources.own.operations import NAME, SOURCE
from aftersend.sources.own.operations.payload import MAX_WORDS

RELEASE = {
    "event": "release",
    "recipient": "Jane@Example.ORG",
    "time": 1757851200.5,
    "by": "ops@example.org",
    "why": "outage of example.org",
}

parse: Callable[[bytes], Any] = SOURCE.parser(SourceOptions())


def parsed(**fields: Any) -> Feedback:
    (event,) = parse(json.dumps(RELEASE | fields).encode())
    return event  # type: ignore[no-any-return]


def test_a_release_becomes_an_event_about_an_address() -> None:
    event = parsed(id="r-1", batch="b-7")
    assert (
        Feedback(
            event_id="r-1",
            delivery_id="",
            recipient="jane@example.org",
            type="released",
            occurred_at=1757851200.5,
            source=NAME,
            reason="ops@example.org",
            diagnostic="outage of example.org",
            address="Jane@Example.ORG",
            detail="b-7",
        )
        == event
    )


def test_without_an_id_the_same_decision_has_the_same_one() -> None:
    assert parsed().event_id == parsed(recipient="jane@example.org").event_id
    others = [parsed(time=1.0), parsed(by="x"), parsed(why="x"), parsed(recipient="joe@example.org")]
    assert len({event.event_id for event in (parsed(), *others)}) == 5


def test_the_time_may_be_a_text() -> None:
    assert 1757851200.5 == parsed(time="2025-09-14T12:00:00.5Z").occurred_at


def test_several_in_one_record() -> None:
    lines = b"\n".join(json.dumps(RELEASE | {"recipient": f"r{i}@example.org"}).encode() for i in range(3))
    assert ["r0@example.org", "r1@example.org", "r2@example.org"] == [event.recipient for event in parse(lines)]


WRONG = [
    {"event": "relase"},
    {"recipient": ""},
    {"recipient": " "},
    {"recipient": None},
    {"recipient": "a\tb@example.org"},
    {"time": None},
    {"time": "yesterday"},
    {"time": -1},
    {"by": ""},
    {"why": ""},
    {"why": "x" * (MAX_WORDS + 1)},
    {"id": 7},
]


@pytest.mark.parametrize("fields", WRONG, ids=str)
def test_what_is_wrong_is_not_guessed_at(fields: dict[str, Any]) -> None:
    """An operator who misspells an instruction has to hear of it: the record goes to the dead letters."""
    with pytest.raises(SourceError):
        parsed(**fields)


@pytest.mark.parametrize("field", RELEASE)
def test_every_field_is_needed(field: str) -> None:
    """Who and why, too: a release has to be accounted for."""
    with pytest.raises(SourceError):
        parse(json.dumps({name: value for name, value in RELEASE.items() if name != field}).encode())


def test_nothing_comes_in_over_http() -> None:
    assert SOURCE.webhook is None
