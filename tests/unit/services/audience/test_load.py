"""Lines of an audience to events: each address once, with the same ids when it is loaded again."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable

import msgspec

from aftersend.schemas.event import Feedback
from aftersend.services.audience.addresses import read_address
from aftersend.services.audience.file import AudienceLine
from aftersend.services.audience.load import EVENTS_A_RECORD, AudienceLoader, InitialStatus, records
from aftersend.sources.base import SourceOptions
from aftersend.sources.own.sender import SOURCE

parse = SOURCE.parser(SourceOptions())


def line(number: int, spelled: str, *, test: bool = False) -> AudienceLine:
    return AudienceLine(number, spelled, read_address(spelled), test)


LINES = [
    line(2, "Jane@Example.org"),
    line(3, "jo@example.org", test=True),
    line(4, "jane@example.ORG"),
    line(5, "no address"),
    line(6, ""),
    line(7, " jane@example.org"),
    line(8, "boss@brand.example"),
]


def loaded(audience: AudienceLoader, lines: Iterable[AudienceLine] = LINES) -> list[Feedback]:
    """Return the events as the source's parser reads them."""
    return [event for record in records(audience.events(lines), 5.0) for event in parse(record.value)]


def audience(state: InitialStatus = "planned") -> AudienceLoader:
    return AudienceLoader("d", state, {"boss@brand.example"}, "campaign")


def test_lines_become_recipients_duplicates_or_invalid_addresses() -> None:
    one = audience()
    events = loaded(one)
    assert [
        ("jane@example.org", "planned", "", False),
        ("jo@example.org", "planned", "", True),
        ("jane@example.org", "not_sent", "duplicate_address", False),
        ("no address", "not_sent", "invalid_address", False),
        ("jane@example.org", "not_sent", "duplicate_address", False),
        ("boss@brand.example", "planned", "", True),
    ] == [(event.recipient, event.type, event.reason, event.test) for event in events]
    assert {("d", "campaign", "sender")} == {(e.delivery_id, e.message_type, e.source) for e in events}
    assert "Jane@Example.org" == events[0].address
    assert {
        "lines": 7,
        "recipients": 3,
        "tests": 2,
        "duplicates": 2,
        "invalid": 1,
        "empty": 1,
        "empty_lines": [6],
    } == msgspec.to_builtins(one.counts)


def test_the_same_file_again_gives_the_same_ids() -> None:
    first, again = loaded(audience()), loaded(audience())
    assert [event.event_id for event in first] == [event.event_id for event in again]
    assert len(first) == len({event.event_id for event in first}), "two copies are two events"


def test_another_delivery_or_state_gives_other_ids() -> None:
    ids = {event.event_id for event in loaded(audience())}
    assert ids.isdisjoint(event.event_id for event in loaded(AudienceLoader("e", "planned")))
    assert "ready" == loaded(audience("ready"))[0].type
    assert loaded(audience("ready"))[0].event_id not in ids


def test_many_events_go_into_one_record() -> None:
    lines = [line(number, f"r{number}@example.org") for number in range(2 * EVENTS_A_RECORD + 1)]
    made = list(records(audience().events(lines), 5.0))
    assert [EVENTS_A_RECORD, EVENTS_A_RECORD, 1] == [len(list(parse(record.value))) for record in made]
    assert {("sender", None, 5000)} == {(record.source, record.key, record.timestamp_ms) for record in made}


def test_memory_is_a_hash_for_each_address() -> None:
    number = 100_000
    addresses = (f"recipient-with-a-long-name-{i}@some-long-domain.example.org" for i in range(number))
    lines = (AudienceLine(i, address, address) for i, address in enumerate(addresses))
    one = audience()
    tracemalloc.start()
    for _ in records(one.events(lines), 5.0):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert number == one.counts.recipients
    assert peak / number < 150, "bytes"


def test_the_worker_reads_the_same_address_as_the_command() -> None:
    spellings = [
        '"Ana" <A@Example.org>',
        "mailto:b@example.org",
        "c@example.org (C)",
        "'d@example.org'",
        "Ü <e@ü.example>",
    ]
    one = audience()
    events = loaded(one, [line(number, spelled) for number, spelled in enumerate(spellings)])
    expected = ["a@example.org", "b@example.org", "c@example.org", "d@example.org", "e@xn--tda.example"]
    assert expected == [event.recipient for event in events]
    assert {"planned"} == {event.type for event in events}
    assert '"Ana" <A@Example.org>' == events[0].address, "the spelling is kept where the worker reads it"


def test_an_unreadable_value_is_never_an_invalid_address_of_somebody_else() -> None:
    one = audience()
    doubtful = AudienceLine(3, "boss@example.org", "")
    assert [] == loaded(one, [line(2, "Team: <jane@example.org>"), doubtful])
    assert (0, 2) == (one.counts.invalid, one.counts.empty)
