"""Each raw record's events exactly once, unreadable ones among the dead letters exactly once and untouched."""

from collections.abc import Iterable
from zlib import crc32

import msgspec
import pytest

from aftersend.sandbox.reference.compare import Differences
from aftersend.sandbox.reference.raw import RawCheck
from aftersend.schemas.event import Feedback
from aftersend.sources.base import Parser, SourceError
from tests.unit.folding_in_memory import Record

TOPIC = "feedback.raw.kumomta"
PARTITIONS = 4


def parse(raw: bytes) -> Iterable[Feedback]:
    """Read a recipient a word."""
    if b"?" in raw:
        raise SourceError("no recipient has a question mark")
    return [Feedback(f"{word}-1", "d", word, "sent", source="kumomta") for word in raw.decode().split()]


class Books:
    """What lies on the topics: one raw record, and what came of it."""

    def __init__(self, raw: bytes, parser: Parser = parse) -> None:
        self.parse = parser
        self.raw = Record(7, 1000, b"key", raw, [("h", b"1")])
        self.events: list[tuple[int, Record]] = []
        self.letters: list[Record] = []
        self.found = Differences()

    def event(self, recipient: str, offset: int = 7, partition: int | None = None, tenant: str = "") -> "Books":
        event = Feedback(f"{recipient}-1", "d", recipient, "sent", source="kumomta", tenant=tenant)
        event.raw_partition, event.raw_offset = 1, offset
        where = crc32(recipient.encode()) % PARTITIONS if partition is None else partition
        self.events.append((where, Record(0, 1000, recipient.encode(), msgspec.json.encode(event))))
        return self

    def letter(self, value: bytes) -> "Books":
        headers = [("h", b"1"), ("aftersend.error", b"SourceError"), ("aftersend.message", b"why")]
        place = [("aftersend.topic", TOPIC.encode()), ("aftersend.partition", b"1"), ("aftersend.offset", b"7")]
        self.letters.append(Record(0, 1000, b"key", value, headers + place))
        return self

    def check(self) -> list[str]:
        weighing = RawCheck({"kumomta": TOPIC}, PARTITIONS, self.found)
        for letter in self.letters:
            weighing.dead_letter(letter)  # type: ignore[arg-type]
        for partition, record in self.events:
            weighing.event(partition, record, msgspec.json.decode(record.value or b"", type=Feedback))  # type: ignore[arg-type]
        weighing.raw(TOPIC, 1, self.raw, self.parse)  # type: ignore[arg-type]
        weighing.finish()
        return self.found.lines()


def test_all_is_well() -> None:
    assert [] == Books(b"a b").event("a").event("b").check()
    assert [] == Books(b"").check()
    assert [] == Books(b"?").letter(b"?").check()


@pytest.mark.parametrize(
    "books, expected",
    [
        (Books(b"a b").event("a"), "1 of 2 event(s) missing"),
        (Books(b"a").event("a").event("a"), "1 event(s) too many"),
        (Books(b"a").event("b"), "not what the parser makes of it"),
        (Books(b"a").event("a", partition=9), "not what the parser makes of it"),
        (Books(b"a").event("a").event("a", offset=8), "no such record"),
        (Books(b"a").event("a").letter(b"a"), "can be read, but is among the dead letters"),
        (Books(b"?"), "not among the dead letters"),
        (Books(b"?").letter(b"?").letter(b"?"), "2 times"),
        (Books(b"?").letter(b"touched"), "0 of them untouched"),
        (Books(b"?").letter(b"?").event("a"), "there are events of it"),
        (Books(b"a b").event("b", partition=0).event("a", offset=6, partition=0), "comes after"),
    ],
)
def test_all_that_may_be_wrong(books: Books, expected: str) -> None:
    assert expected in "\n".join(books.check())


@pytest.mark.parametrize(
    "ticks, expected",
    [
        ({0: [1, 3], 1: [1, 3], 2: [1, 3], 3: [1, 3]}, ""),
        ({0: [1, 3], 1: [1, 3, 4], 2: [1, 3], 3: [1, 3]}, ""),
        ({0: [1, 3], 1: [1, 2, 3], 2: [1, 3], 3: [1, 3]}, "partition 1: other ticks"),
        ({0: [1, 3], 1: [1, 3, 3], 2: [1, 3], 3: [1, 3]}, "partition 1: a tick came twice"),
        ({0: [9], 1: [9], 2: [9], 3: [9]}, "never wrote"),
    ],
    ids=["all", "one more", "skipped", "twice", "invented"],
)
def test_ticks_are_the_same_everywhere(ticks: dict[int, list[int]], expected: str) -> None:
    found = Differences()
    weighing = RawCheck({"kumomta": TOPIC}, PARTITIONS, found)
    for partition, offsets in ticks.items():
        for offset in offsets:
            tick = Feedback(f"tick-{offset}", "", "", "tick", source="clock", raw_partition=0, raw_offset=offset)
            weighing.event(partition, Record(0, 1000, b"", msgspec.json.encode(tick)), tick)  # type: ignore[arg-type]
    weighing.tick_source([0, 1, 2, 3, 4])
    assert expected in "\n".join(found.lines())
    assert bool(expected) == bool(found.total)


def test_what_can_be_read_of_a_record_counts() -> None:
    """And the record is among the dead letters all the same."""

    def half(raw: bytes) -> Iterable[Feedback]:
        yield from parse(raw)
        raise SourceError("1 of 2 can't be read")

    assert [] == Books(b"a", half).event("a").letter(b"a").check()
    assert "missing" in Books(b"a b", half).event("a").letter(b"a b").check()[0]
    assert "not among the dead letters" in Books(b"a", half).event("a").check()[0]


def of_tenants(raw: bytes) -> Iterable[Feedback]:
    """Read `tenant/recipient` a word."""
    for word in raw.decode().split():
        tenant, _, recipient = word.partition("/")
        yield Feedback(f"{recipient}-1", "d", recipient, "sent", source="kumomta", tenant=tenant)


def test_an_event_of_another_tenant_than_the_records_is_no_event() -> None:
    books = Books(b"/a brand/b shop/c", of_tenants)
    books.raw.headers = [("h", b"1"), ("aftersend.tenant", b"brand")]
    books.event("a", tenant="brand").event("b", tenant="brand")

    (found,) = books.check()

    assert "can't be read, but is not among the dead letters" in found
