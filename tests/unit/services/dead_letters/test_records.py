"""Fields and selection of dead letters."""

import base64
from typing import Any, NamedTuple

import pytest

from aftersend.config.loading import load
from aftersend.config.settings import Settings
from aftersend.engine import dead_letters
from aftersend.errors import UsageError
from aftersend.schemas.raw import RecordPosition
from aftersend.services.dead_letters.records import (
    DeadLetter,
    DeadLetterFilter,
    as_json,
    decode_dead_letter,
    parse_position,
    topics_of,
)
from aftersend.sources.base import SourceError


class Record(NamedTuple):
    offset: int = 7
    timestamp: int = 1_790_000_000_000
    key: bytes | None = b"key"
    value: bytes | None = b"{"
    headers: Any = ()


class Channel:
    """Collects appended records, in place of a writer's channel."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def append(self, key: bytes | None, value: bytes | None, timestamp: int, headers: list[tuple[str, bytes]]) -> None:
        self.records.append(Record(0, timestamp, key, value, headers))


def written(record: Record, topic: str = "feedback.raw.kumomta", message: str = "no JSON") -> DeadLetter:
    """Return the dead letter that is read from a record of the engine."""
    channel = Channel()
    dead_letters.write(channel, record, topic, 3, SourceError(message))  # type: ignore[arg-type]
    return decode_dead_letter(channel.records[0], "feedback.dead-letters", 1)


def test_a_dead_letter_has_the_fields_that_the_engine_wrote() -> None:
    letter = written(Record(headers=[("h", b"1"), ("h", b"2")]))

    assert (b"key", b"{", 1_790_000_000_000) == (letter.key, letter.value, letter.timestamp)
    assert [("h", b"1"), ("h", b"2")] == letter.headers
    assert RecordPosition("feedback.raw.kumomta", 3, 7) == letter.origin
    assert RecordPosition("feedback.dead-letters", 1, 0) == letter.position
    assert ("SourceError", "no JSON", "") == (letter.error, letter.message, letter.replayed)
    assert letter.version


def test_headers_of_the_record_are_not_taken_for_those_of_the_engine() -> None:
    letter = written(Record(headers=[("aftersend.error", b"mine"), ("aftersend.topic", b"my topic")]))

    assert [("aftersend.error", b"mine"), ("aftersend.topic", b"my topic")] == letter.headers
    assert ("SourceError", "feedback.raw.kumomta") == (letter.error, letter.origin.topic)


def test_a_dead_letter_of_a_replay_is_marked() -> None:
    letter = written(Record(headers=[("aftersend.replayed", b"feedback.raw.kumomta-3-2")]))

    assert "feedback.raw.kumomta-3-2" == letter.replayed
    assert not DeadLetterFilter(replayed=False).matches(letter)
    assert DeadLetterFilter().matches(letter)


def test_a_foreign_record_on_the_topic_is_shown() -> None:
    letter = decode_dead_letter(Record(headers=[("aftersend.partition", b"none")]), "feedback.dead-letters", 0)

    assert RecordPosition("", -1, -1) == letter.origin
    assert "" == letter.error


@pytest.mark.parametrize(
    "text, place",
    [
        ("3:17", RecordPosition("letters", 3, 17)),
        ("feedback.raw.kumomta-3-17", RecordPosition("feedback.raw.kumomta", 3, 17)),
        ("feedback.dead-letters-0-0", RecordPosition("feedback.dead-letters", 0, 0)),
    ],
)
def test_positions_are_parsed(text: str, place: RecordPosition) -> None:
    assert place == parse_position(text, "letters")


def test_a_printed_position_can_be_parsed() -> None:
    place = RecordPosition("feedback.dead-letters", 2, 30)

    assert place == parse_position(str(place), "")


@pytest.mark.parametrize("text", ["", "3", "3:", "3:x", "3:4:5", "-3-4", "topic-3", "topic-3-x", "topic-³-1"])
def test_other_text_is_not_a_position(text: str) -> None:
    with pytest.raises(UsageError, match="is not a position"):
        parse_position(text, "letters")


@pytest.fixture
def settings() -> Settings:
    return load(topic_prefix="p", raw_topics={"kumomta": "mta.log"})


def test_a_source_selects_its_topic(settings: Settings) -> None:
    assert frozenset() == topics_of(settings, None)
    assert {"mta.log"} == topics_of(settings, "kumomta")
    assert {"mta.log"} == topics_of(settings, "mta.log")
    assert {"p.raw.tracking"} == topics_of(settings, "tracking")
    assert {"p.events"} == topics_of(settings, "events")


def test_an_unknown_source_is_an_error(settings: Settings) -> None:
    with pytest.raises(UsageError, match="there is no source 'kumo': give one of kumomta"):
        topics_of(settings, "kumo")


@pytest.mark.parametrize(
    "filters, meant",
    [
        (DeadLetterFilter(), True),
        (DeadLetterFilter(topics=frozenset({"feedback.raw.kumomta"})), True),
        (DeadLetterFilter(topics=frozenset({"feedback.raw.tracking"})), False),
        (DeadLetterFilter(error="sourceerror"), True),
        (DeadLetterFilter(error="Source"), False),
        (DeadLetterFilter(error="NO js"), True),
        (DeadLetterFilter(since=1_790_000_000.0), True),
        (DeadLetterFilter(since=1_790_000_000.1), False),
        (DeadLetterFilter(until=1_790_000_000.0), False),
        (DeadLetterFilter(until=1_790_000_000.1), True),
    ],
)
def test_filters(filters: DeadLetterFilter, meant: bool) -> None:
    assert meant == filters.matches(written(Record()))


def test_json_has_bytes_that_are_not_text_in_base64() -> None:
    position, origin = RecordPosition("letters", 0, 5), RecordPosition("raw", 1, 2)
    letter = DeadLetter(position, 1000, b"k", b"\xff", [("h", b"\xff")], origin, "SourceError", "why", "1.0")

    fields = as_json(letter, content=True)

    assert "k" == fields["key"]
    assert b"\xff" == base64.b64decode(fields["value_base64"])
    assert [{"name": "h", "value_base64": "/w=="}] == fields["headers"]
    assert "1970-01-01T00:00:01.000Z" == fields["arrived_at"]
