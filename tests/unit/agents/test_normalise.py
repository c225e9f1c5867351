"""Raw records to events: what can be read counts, what can't is kept."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from aftersend.agents.normalise import Normalise, NormaliseState
from aftersend.config.settings import Settings
from aftersend.engine.partitions.batch import Batch
from aftersend.engine.transaction import MAX_BATCH_BYTES
from aftersend.schemas.event import Feedback
from aftersend.schemas.raw import TENANT_HEADER
from aftersend.sources.base import SourceOptions, readable_part
from aftersend.sources.bounds import TEXT_BYTES
from aftersend.sources.registry import REGISTRY
from tests.unit.folding_in_memory import Record

TOPIC = "feedback.raw.sendgrid"
SENDGRID = REGISTRY["sendgrid"].parser(SourceOptions())


class Output:
    """Takes what a batch writes, by topic."""

    def __init__(self) -> None:
        self.topics: dict[str, list[tuple[bytes, bytes, Any]]] = {}

    def channel(self, topic: str, _partition: int) -> Any:
        def append(key: bytes, value: bytes, _timestamp: int, headers: Any = ()) -> None:
            self.topics.setdefault(topic, []).append((key, value, headers))

        return SimpleNamespace(append=append)


def normalise(parse: Any, *values: bytes, tenant: str = "") -> tuple[list[Feedback], list[tuple[bytes, Any]], Any]:
    """Return the events and the dead letters of raw records, and what was counted."""
    given: dict[str, Any] = {}
    settings = Settings(**given)
    output: Any = Output()
    agent = Normalise(settings, {TOPIC: parse}, 4)
    headers: Any = [(TENANT_HEADER, tenant.encode())] if tenant else []
    records: Any = [Record(offset, 1000, b"", value, headers) for offset, value in enumerate(values)]
    counted = agent.process(NormaliseState(TOPIC, 0, parse), Batch(0, records), output)
    events = output.topics.get(settings.topics.events, [])
    letters = output.topics.get(settings.topics.dead_letters, [])
    decoded = [msgspec.json.decode(value, type=Feedback) for _, value, _ in events]
    return decoded, [(value, dict(headers)) for _, value, headers in letters], counted


def test_events_beside_an_unreadable_one_count_and_the_record_is_kept() -> None:
    body = b'[{"event":"open","email":"a@b.example"},{"event":7},{"event":"click","email":"c@d.example"}]'
    events, letters, counted = normalise(SENDGRID, body, b'[{"event":"open","email":"e@f.example"}]')
    assert [("opened", 0), ("clicked", 0), ("opened", 1)] == [(event.type, event.raw_offset) for event in events]
    assert [body] == [value for value, _ in letters]
    assert b"1 of 3 can't be read: event 1: the event has no type (`event`)" == letters[0][1]["aftersend.message"]
    assert (2, 3) == (counted.records, counted.events)


def test_events_of_another_tenant_than_that_of_their_path_are_left_out() -> None:
    """Whoever can sign for one tenant must not write the events of another."""
    own = b'{"event":"open","email":"a@b.example"},{"event":"open","email":"c@d.example","tenant":"brand"}'
    body = b'[{"event":"click","email":"e@f.example","tenant":"shop"},%b]' % own

    events, letters, counted = normalise(SENDGRID, body, b"[%b]" % own, tenant="brand")

    assert [("opened", "brand", 0)] * 2 + [("opened", "brand", 1)] * 2 == [
        (event.type, event.tenant, event.raw_offset) for event in events
    ]
    assert [body] == [value for value, _ in letters]
    assert (
        b"1 event(s) name another tenant than the path that they came by, 'brand'" == letters[0][1]["aftersend.message"]
    )
    assert (2, 4) == (counted.records, counted.events)


def test_a_replay_of_the_dead_letter_gives_the_same_events() -> None:
    body = b'[{"event":"open","email":"a@b.example","timestamp":5},{"event":7}]'
    once, _, _ = normalise(SENDGRID, body)
    again, _, _ = normalise(SENDGRID, body)
    assert [event.event_id for event in once] == [event.event_id for event in again]


def test_a_text_of_an_event_that_is_too_long_is_cut() -> None:
    def parse(raw: bytes) -> Iterable[Feedback]:
        long = Feedback("l", "d", "r", "clicked", url="x" * MAX_BATCH_BYTES)
        return readable_part([Feedback("a", "d", raw.decode(), "sent"), long, Feedback("b", "d", "r", "sent")], [])

    events, letters, _ = normalise(parse, b"r")
    assert ["a", "l", "b"] == [event.event_id for event in events]
    assert TEXT_BYTES["url"] == len(events[1].url.encode())
    assert [] == letters


def test_a_key_that_is_too_long_sends_the_record_to_the_dead_letters() -> None:
    def parse(raw: bytes) -> Iterable[Feedback]:
        return [Feedback("a", "d", "r", "sent"), Feedback("b", "d", raw.decode() * 2_000, "sent")]

    events, letters, _ = normalise(parse, b"r")
    assert ["a"] == [event.event_id for event in events]
    assert b"recipient takes 2000 bytes, more than the 512 that a key may have" == letters[0][1]["aftersend.message"]


@pytest.mark.parametrize(
    "events,size", [(10_001, 10), (100, 200_000)], ids=["too many events", "too many bytes of events"]
)
def test_a_record_that_makes_too_much_goes_to_the_dead_letters_whole(events: int, size: int) -> None:
    def parse(raw: bytes) -> Iterable[Feedback]:
        if raw == b"honest":
            return [Feedback("a", "d", "r", "sent")]
        return (Feedback(str(number), "d", "r", "sent", url="x" * size) for number in range(events))

    made, letters, counted = normalise(parse, b"much", b"honest")
    assert ["a"] == [event.event_id for event in made]
    assert [b"much"] == [value for value, _ in letters]
    assert b"AFTERSEND_MAX_EVENTS_PER_RECORD" in letters[0][1]["aftersend.message"]
    assert ({"TooManyEventsError": 1}, 1) == (counted.errors, counted.events)


def test_a_record_that_is_as_large_as_kafka_takes_becomes_a_reference() -> None:
    """With our headers it would be larger, and the transaction would fail for good."""
    junk = b"x" * MAX_BATCH_BYTES
    _, letters, _ = normalise(SENDGRID, junk, b"[{]")
    assert [None, b"[{]"] == [value for value, _ in letters]
    assert str(len(junk)).encode() == letters[0][1]["aftersend.left-out-bytes"]
    assert (TOPIC.encode(), b"0", b"0") == tuple(
        letters[0][1][f"aftersend.{name}"] for name in ("topic", "partition", "offset")
    )


def test_a_declaration_comes_to_every_partition_as_ticks_do() -> None:
    """A delivery's rows lie in all of them; what is said of a recipient comes to his own only."""
    parse = REGISTRY["sender"].parser(SourceOptions())
    body = b'[{"type":"delivery","delivery_id":"d"},{"type":"planned","delivery_id":"d","recipient":"a@b.example"}]'
    events, letters, counted = normalise(parse, body)
    assert [*["declared"] * 4, "planned"] == [event.type for event in events]
    assert 1 == len({event.event_id for event in events if event.type == "declared"})
    assert ([], 5) == (letters, counted.events)
