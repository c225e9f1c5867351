"""How dead letters are shown: for people, and for scripts."""

from __future__ import annotations

import base64
import heapq
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from rich.table import Table
from rich.text import Text

from aftersend.cli.render.output import count, iso, local, table
from aftersend.services.dead_letters.letters import DeadLetter

#: Bytes in a line of a hex dump.
_LINE: Final = 16
_PRINTABLE: Final = range(0x20, 0x7F)


class Overview:
    """The latest letters, and how many there are by topic and class of error; keeps no more than it shows.

    Args:
        limit: how many letters to keep.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._latest: list[tuple[int, str, int, DeadLetter]] = []
        self.counts: Counter[tuple[str, str]] = Counter()
        self.replayed = 0

    def add(self, letter: DeadLetter) -> None:
        """Take a letter."""
        self.counts[letter.origin.topic, letter.error] += 1
        self.replayed += bool(letter.replayed)
        kept = letter if letter.value is None else msgspec.structs.replace(letter, value=letter.value[:0])
        entry = (letter.timestamp, str(letter.place), letter.place.offset, kept)
        if len(self._latest) < self._limit:
            heapq.heappush(self._latest, entry)
        elif self._limit:
            heapq.heappushpop(self._latest, entry)

    @property
    def total(self) -> int:
        """Letters there are."""
        return self.counts.total()

    def latest(self) -> list[DeadLetter]:
        """Return the latest letters, the very latest first."""
        return [entry[-1] for entry in sorted(self._latest, reverse=True)]


def listing(letters: list[DeadLetter]) -> Table:
    """Return a table of letters."""
    shown = table("", "dead letter", "arrived", "record", "error", "version", "message")
    for one in letters:
        shown.add_row(
            f"{one.place.partition}:{one.place.offset}",
            local(one.timestamp / 1000),
            str(one.origin),
            Text(one.error + (" (replayed)" if one.replayed else "")),
            Text(one.version),
            Text(one.message),
        )
    return shown


def summary(counts: Counter[tuple[str, str]]) -> Table:
    """Return a table of how many letters there are by topic and class of error."""
    shown = table("", "topic", "error", "letters", right=("letters",))
    for (topic, error), number in counts.most_common():
        shown.add_row(topic, Text(error), count(number))
    return shown


def as_json(letter: DeadLetter, *, content: bool) -> dict[str, Any]:
    """Return a letter as scripts read it.

    Args:
        letter: to be shown.
        content: whether to tell key, value and headers: as text where they are UTF-8, else as Base64 beside it.
    """
    result: dict[str, Any] = {
        "place": str(letter.place),
        "arrived_at": iso(letter.timestamp / 1000),
        "error": letter.error,
        "message": letter.message,
        "topic": letter.origin.topic,
        "partition": letter.origin.partition,
        "offset": letter.origin.offset,
        "version": letter.version,
        "replayed": letter.replayed or None,
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


def picture(letter: DeadLetter) -> Iterator[str]:
    """Yield the lines of a letter as people look at it."""
    yield from _pairs(
        ("dead letter", str(letter.place)),
        ("record", str(letter.origin)),
        ("arrived", local(letter.timestamp / 1000) or f"Kafka timestamp {letter.timestamp} ms"),
        ("error", letter.error),
        ("message", letter.message),
        ("version", letter.version),
        ("replayed", f"yes, lay first at {letter.replayed}" if letter.replayed else "no"),
        ("key", _short(letter.key)),
        *((f"header {name}", _short(value)) for name, value in letter.headers),
    )
    yield ""
    yield from content(letter.value)


def _pairs(*pairs: tuple[str, str]) -> Iterator[str]:
    width = max(len(name) for name, _ in pairs) + 2
    for name, value in pairs:
        yield f"{name:<{width}}{value}"


def _short(value: bytes | None) -> str:
    return "(none)" if value is None else repr(value)[2:-1] if value else "(empty)"


def content(value: bytes | None) -> Iterator[str]:
    """Yield the lines that show a value: JSON indented, text as it is, else in hexadecimal."""
    if value is None:
        yield "(no value)"
        return
    if not value:
        yield "(empty)"
        return
    try:
        text = msgspec.json.format(value, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = ""
    if not text:
        try:
            text = value.decode()
        except UnicodeDecodeError:
            yield from _hexadecimal(value)
            return
    if all(character.isprintable() or character in "\n\r\t" for character in text):
        yield from text.splitlines()
    else:
        # What can't be printed may be what is wrong with it; and a terminal must not obey it.
        yield from _hexadecimal(value)


def _hexadecimal(value: bytes) -> Iterator[str]:
    for start in range(0, len(value), _LINE):
        line = value[start : start + _LINE]
        text = "".join(chr(byte) if byte in _PRINTABLE else "." for byte in line)
        yield f"{start:08x}  {line.hex(' '):<{3 * _LINE}} {text}"
