"""Checking that the events topic holds exactly the events of the raw topics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from aftersend.engine.aiokafka.records import FetchedRecord as _Record
from aftersend.sandbox.reference.compare import Differences
from aftersend.schemas.event import Feedback, FoldEvent
from aftersend.schemas.raw import RecordPosition
from aftersend.sources.base import Parser, SourceError
from aftersend.sources.bounds import SMALL_EVENT_BYTES, enforce_bounds

_encode: Final = msgspec.json.Encoder().encode
#: Headers of a dead letter besides those of its record.
_LETTER_HEADERS: Final = (
    "aftersend.error",
    "aftersend.message",
    "aftersend.topic",
    "aftersend.partition",
    "aftersend.offset",
    "aftersend.version",
)
#: Header of a dead letter that is a reference to a record too large to be copied: the record's size in bytes.
_LEFT_OUT: Final = "aftersend.left-out-bytes"
#: A smaller record has no reason to be a reference; a smaller event has none to be set aside.
_LARGE: Final = 100_000


class _Letter(NamedTuple):
    """A dead letter."""

    #: Hash of key, value, timestamp and the record's own headers.
    content: int
    #: Size of the record in bytes where the letter is only a reference, else 0.
    left_out: int
    #: The broker did not take the events of the record for its timestamp.
    untimely: bool = False


class _FoundEvent(NamedTuple):
    """An event on the events topic; a hash instead of key and value, since there are many events."""

    partition: int
    timestamp: int
    content: int


class RawCheck:
    """Compares events and dead letters with the raw records that they should come from.

    1. Pass all dead letters and events. 2. Pass all raw records. 3. Call `finish`.

    Args:
        raw_topics: by source.
        partitions: of the events topic.
        differences: collects the differences.
        max_events: that one raw record may make.
        max_event_bytes: likewise, of encoded events.
    """

    def __init__(
        self,
        raw_topics: Mapping[str, str],
        partitions: int,
        differences: Differences,
        max_events: int = 10_000,
        max_event_bytes: int = 16 * 1024 * 1024,
    ) -> None:
        self._max_events = max_events
        self._max_event_bytes = max_event_bytes
        self._raw_topics = raw_topics
        self._partitions = partitions
        self._differences = differences
        self._events: dict[RecordPosition, list[_FoundEvent]] = {}
        self._letters: dict[RecordPosition, list[_Letter]] = {}
        #: By events partition and raw partition, the last raw offset seen: events keep the order of their records.
        self._last: dict[tuple[int, str, int], int] = {}
        self._ticks: dict[int, Counter[int]] = {}
        self.raw_records = 0
        self.unreadable = 0

    def event(self, partition: int, record: _Record, event: FoldEvent) -> None:
        """Take a record of the events topic."""
        if event.type == "tick" and event.raw_offset < 0:  # forged by another program
            return
        if event.type == "tick":
            self._ticks.setdefault(partition, Counter())[event.raw_offset] += 1
            return
        topic = self._raw_topics.get(event.source)
        if topic is None or event.raw_offset < 0:  # written to the events topic directly, by another program
            return
        position = RecordPosition(topic, event.raw_partition, event.raw_offset)
        found = _FoundEvent(partition, record.timestamp, hash((record.key, record.value)))
        self._events.setdefault(position, []).append(found)
        last = self._last.get((partition, topic, event.raw_partition), -1)
        if event.raw_offset < last:
            self._differences.add(f"{_name(position)}: its event comes after that of offset {last}")
        self._last[partition, topic, event.raw_partition] = event.raw_offset

    def dead_letter(self, record: _Record) -> None:
        """Take a record of the dead-letter topic."""
        headers = dict(record.headers)
        position = RecordPosition(
            (headers.get("aftersend.topic") or b"").decode(),
            int(headers.get("aftersend.partition") or -1),
            int(headers.get("aftersend.offset") or -1),
        )
        if not headers.get("aftersend.error") or not headers.get("aftersend.message"):
            self._differences.add(f"dead letter of {_name(position)} does not say why")
        # The last of each name: a record may have come with such headers of its own, as one that was replayed does.
        left_out = int(headers.get(_LEFT_OUT) or 0)
        untouched, letters_own = list(record.headers), {*_LETTER_HEADERS, *([_LEFT_OUT] if left_out else [])}
        for at in range(len(untouched) - 1, -1, -1):
            if untouched[at][0] in letters_own:
                letters_own.discard(untouched.pop(at)[0])
        untimely = b"InvalidTimestampError" in (headers.get("aftersend.message") or b"")
        self._letters.setdefault(position, []).append(_Letter(_content(record, untouched), left_out, untimely))

    def raw(self, topic: str, partition: int, record: _Record, parse: Parser) -> None:
        """Take a raw record."""
        self.raw_records += 1
        position = RecordPosition(topic, partition, record.offset)
        letters = self._letters.get(position, [])
        if letters and letters[0].untimely and position not in self._events:
            self.unreadable += 1
            self._expect_letter(position, record, self._letters.pop(position))
        else:
            self._compare(position, record, parse)

    def _compare(self, position: RecordPosition, record: _Record, parse: Parser) -> None:
        """Compare a raw record with its events and dead letters."""
        events = self._events.pop(position, [])
        letters = self._letters.pop(position, [])
        expected: list[_FoundEvent] = []
        unreadable = False
        try:
            size = number = 0
            # The readable events of a record count, even if another part of it is unreadable.
            for event in parse(record.value or b""):
                if not _is_of_tenant(event, record):
                    unreadable = True
                    continue
                one, event_size = self._expected(event, position, record.timestamp)
                size += event_size
                number += 1
                if number > self._max_events or size > self._max_event_bytes:
                    expected, unreadable = [], True
                    break
                if event.type == "declared" and not event.recipient:  # comes to all partitions
                    expected += [one._replace(partition=partition) for partition in range(self._partitions)]
                else:
                    expected.append(one)
        except (SourceError, UnicodeError):
            unreadable = True
        if unreadable:
            self.unreadable += 1
            if events and not expected:
                self._differences.add(f"{_name(position)} can't be read, but there are events of it")
                events = []
            self._expect_letter(position, record, letters)
        elif letters:
            self._differences.add(f"{_name(position)} can be read, but is among the dead letters")
        if events != expected and Counter(events) != Counter(expected):
            self._differences.add(f"{_name(position)}: {_describe(Counter(events), Counter(expected))}")

    def unread_event(self, topic: str, partition: int, record: _Record) -> None:
        """Take an unreadable record of the events topic."""
        position = RecordPosition(topic, partition, record.offset)
        self._expect_letter(position, record, self._letters.pop(position, []))

    def tick_source(self, offsets: list[int]) -> None:
        """Take the offsets of the clock's records: each partition must have the same of them, each once."""
        written = set(offsets)
        ticks = [self._ticks.get(partition, Counter()) for partition in range(self._partitions)]
        # Ticks are written while partitions are read, so only some may have the last tick.
        last_of_all = min((max(found, default=-1) for found in ticks), default=-1)
        expected = {offset for offset in ticks[0] if offset <= last_of_all}
        for partition, found in enumerate(ticks):
            where = f"events, partition {partition}"
            if any(count > 1 for count in found.values()):
                self._differences.add(f"{where}: a tick came twice")
            if found.keys() - written:
                self._differences.add(f"{where}: a tick that the clock never wrote")
            if {offset for offset in found if offset <= last_of_all} != expected:
                self._differences.add(f"{where}: other ticks than in partition 0")

    def finish(self) -> None:
        """Add a difference for each event and dead letter without a raw record."""
        for position in self._events:
            self._differences.add(f"{_name(position)}: there are events of it, but no such record")
        for position in self._letters:
            self._differences.add(f"{_name(position)}: there is a dead letter of it, but no such record")

    def is_set_aside(self, topic: str, partition: int, record: _Record) -> bool:
        """Return whether an event is among the dead letters and large enough to be there."""
        return RecordPosition(topic, partition, record.offset) in self._letters and _size(record) > _LARGE

    def _expected(self, event: Feedback, position: RecordPosition, timestamp: int) -> tuple[_FoundEvent, int]:
        """Return how an event should lie on the events topic, and its size in bytes before it is brought into bounds.

        Raises:
            SourceError: if one of its keys is too long.
        """
        event.raw_partition, event.raw_offset = position.partition, position.offset
        value = _encode(event)
        size = len(value)
        if size > SMALL_EVENT_BYTES:
            enforce_bounds(event)
            value = _encode(event)
        key = event.recipient.encode()
        return _FoundEvent(crc32(key) % self._partitions, timestamp, hash((key, value))), size

    def _expect_letter(self, position: RecordPosition, record: _Record, letters: list[_Letter]) -> None:
        size = _size(record)
        if size > _LARGE and [size] == [letter.left_out for letter in letters]:
            return
        untouched = [letter.content for letter in letters if not letter.left_out].count(
            _content(record, record.headers)
        )
        if untouched != 1 or len(letters) != 1:
            found = f"{len(letters)} times, {untouched} of them untouched" if letters else "not"
            self._differences.add(f"{_name(position)} can't be read, but is {found} among the dead letters")


def _size(record: _Record) -> int:
    own = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + own


def _content(record: _Record, headers: list[tuple[str, bytes | None]]) -> int:
    fixed = tuple((name, value or b"") for name, value in headers)
    return hash((record.key, record.value, record.timestamp, fixed))


def _is_of_tenant(event: Feedback, record: _Record) -> bool:
    """Give an event the tenant in its raw record's header, if there is one; False: it names another one."""
    header = (dict(record.headers).get("aftersend.tenant") or b"").decode()
    if header and event.tenant not in {"", header}:
        return False
    event.tenant = header or event.tenant
    return True


def _name(position: RecordPosition) -> str:
    return f"{position.topic}, partition {position.partition}, offset {position.offset}"


def _describe(found: Counter[_FoundEvent], expected: Counter[_FoundEvent]) -> str:
    missing, extra = expected - found, found - expected
    if not missing:
        return f"{extra.total()} event(s) too many (it makes {expected.total()})"
    if not extra:
        return f"{missing.total()} of {expected.total()} event(s) missing"
    return "its event is not what the parser makes of it, or lies in another partition, or has another timestamp"
