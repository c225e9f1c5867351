"""Dead letters as records: decoding, selection, and the JSON object of `aftersend dead-letters`."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from aftersend.config.installation import raw_sources
from aftersend.config.settings import Settings
from aftersend.engine.dead_letters import HEADERS, LEFT_OUT, REPLAYED
from aftersend.errors import UsageError
from aftersend.schemas.raw import RecordPosition
from aftersend.schemas.times import iso


def parse_position(text: str, topic: str) -> RecordPosition:
    """Return the position that `partition:offset` of a topic, or `topic-partition-offset`, stands for.

    Raises:
        UsageError: if it is neither.
    """
    # A topic's name may contain dashes.
    name, partition, offset = (topic, *text.split(":", 1)) if ":" in text else ("", "", *text.rsplit("-", 2))[-3:]
    if name and all(number.isascii() and number.isdigit() for number in (partition, offset)):
        return RecordPosition(name, int(partition), int(offset))
    raise UsageError(f"{text!r} is not a position: give PARTITION:OFFSET of the dead letter, or TOPIC-PARTITION-OFFSET")


class DeadLetter(msgspec.Struct):
    """One dead letter."""

    #: Position of the dead letter.
    position: RecordPosition
    #: Kafka timestamp of the unreadable record, milliseconds since 1970: its arrival.
    timestamp: int
    key: bytes | None
    value: bytes | None
    #: The record's own headers.
    headers: list[tuple[str, bytes]]
    #: Position of the unreadable record.
    origin: RecordPosition
    #: Class of the error.
    error: str
    message: str
    #: Version of Aftersend that could not read the record.
    version: str
    #: Position of the record that was replayed; "" if this letter does not come from a replay.
    replayed: str = ""
    #: Size of the record in bytes if the letter only refers to it, since it is too large for a letter; else 0.
    left_out_bytes: int = 0


class DeadLetterFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Selects dead letters."""

    #: Topics of the unreadable records; empty: all.
    topics: frozenset[str] = frozenset()
    #: Class of the error, or part of its message, in any case; "": any.
    error: str = ""
    #: Earliest arrival, seconds since 1970; None: any.
    since: float | None = None
    #: Arrival is before this, seconds since 1970; None: any.
    until: float | None = None
    #: Include letters that come from a replay.
    replayed: bool = True

    def matches(self, letter: DeadLetter) -> bool:
        """Return whether a dead letter is selected."""
        if self.topics and letter.origin.topic not in self.topics:
            return False
        error = self.error.casefold()
        if error and error != letter.error.casefold() and error not in letter.message.casefold():
            return False
        if letter.replayed and not self.replayed:
            return False
        at = letter.timestamp / 1000
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


def topics_of(settings: Settings, source: str | None) -> frozenset[str]:
    """Return the topics of a `--source`: the raw topic of a source, or a topic by its own name; None: all topics.

    Raises:
        UsageError: if there is no such source or topic.
    """
    if source is None:
        return frozenset()
    topics = settings.topics
    known = {name: topics.raw(name) for name in (*raw_sources(), "clock")} | {"events": topics.events}
    if source not in known and source not in known.values():
        raise UsageError(f"there is no source {source!r}: give one of {', '.join(known)}, or the name of its topic")
    return frozenset({known.get(source, source)})


def decode_dead_letter(record: Any, topic: str, partition: int) -> DeadLetter:
    """Return a record of the dead-letter topic as a dead letter.

    The last header of each of our names is ours; earlier ones are the unreadable record's own.
    """
    headers = [(name, bytes(value or b"")) for name, value in record.headers]
    ours: dict[str, str] = {}
    names = {*HEADERS, LEFT_OUT} if record.key is None and record.value is None else {*HEADERS}
    for index in range(len(headers) - 1, -1, -1):
        name, value = headers[index]
        if name in names and name not in ours:
            ours[name] = value.decode("utf-8", "replace")
            del headers[index]
    origin = RecordPosition(
        ours.get("aftersend.topic", ""),
        _number(ours.get("aftersend.partition", "")),
        _number(ours.get("aftersend.offset", "")),
    )
    replayed = [value for name, value in headers if name == REPLAYED]
    return DeadLetter(
        RecordPosition(topic, partition, record.offset),
        record.timestamp,
        record.key,
        record.value,
        headers,
        origin,
        ours.get("aftersend.error", ""),
        ours.get("aftersend.message", ""),
        ours.get("aftersend.version", ""),
        replayed[-1].decode("utf-8", "replace") if replayed else "",
        max(0, _number(ours.get(LEFT_OUT, ""))),
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else -1


def as_json(letter: DeadLetter, *, content: bool) -> dict[str, Any]:
    """Return the JSON object of a dead letter.

    Args:
        letter: the dead letter.
        content: include key, value and headers: as text if they are UTF-8, else in Base64.
    """
    result: dict[str, Any] = {
        "place": str(letter.position),
        "arrived_at": iso(letter.timestamp / 1000),
        "error": letter.error,
        "message": letter.message,
        "topic": letter.origin.topic,
        "partition": letter.origin.partition,
        "offset": letter.origin.offset,
        "version": letter.version,
        "replayed": letter.replayed or None,
        "left_out_bytes": letter.left_out_bytes or None,
    }
    if content:
        result |= _content("key", letter.key) | _content("value", letter.value)
        result["headers"] = [{"name": name, **_content("value", value)} for name, value in letter.headers]
    return result


def _content(name: str, value: bytes | None) -> dict[str, str | None]:
    try:
        return {name: None if value is None else value.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(value or b"").decode()}
