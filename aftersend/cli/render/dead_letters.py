"""Dead letters as tables and text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import msgspec

from aftersend.cli.render.output import Line, LineTable, count, local, table
from aftersend.services.dead_letters.records import DeadLetter

#: Bytes in a line of a hex dump.
_LINE: Final = 16
_PRINTABLE: Final = range(0x20, 0x7F)


def letter_list(letters: list[DeadLetter]) -> LineTable:
    """Return a table of letters."""
    result = table("", "dead letter", "arrived", "record", "error", "version", "message")
    for letter in letters:
        result.add_row(
            f"{letter.position.partition}:{letter.position.offset}",
            local(letter.timestamp / 1000),
            str(letter.origin),
            Line(letter.error + (" (replayed)" if letter.replayed else "")),
            Line(letter.version),
            Line(letter.message),
        )
    return result


def letter_counts(counts: Counter[tuple[str, str]]) -> LineTable:
    """Return a table of the numbers of letters by topic and class of the error."""
    result = table("", "topic", "error", "letters", right=("letters",))
    for (topic, error), number in counts.most_common():
        result.add_row(topic, Line(error), count(number))
    return result


def letter_details(letter: DeadLetter) -> Iterator[str]:
    """Yield the lines of one letter: error, headers and value."""
    yield from _pairs(
        ("dead letter", str(letter.position)),
        ("record", str(letter.origin)),
        ("arrived", local(letter.timestamp / 1000) or f"Kafka timestamp {letter.timestamp} ms"),
        ("error", letter.error),
        ("message", letter.message),
        ("version", letter.version),
        ("replayed", f"yes, first position {letter.replayed}" if letter.replayed else "no"),
        *(((("left out", _left_out(letter)),)) if letter.left_out_bytes else ()),
        ("key", _short(letter.key)),
        *((f"header {name}", _short(value)) for name, value in letter.headers),
    )
    yield ""
    yield from content(letter.value)


def _pairs(*pairs: tuple[str, str]) -> Iterator[str]:
    width = max(len(name) for name, _ in pairs) + 2
    for name, value in pairs:
        yield f"{name:<{width}}{value}"


def _left_out(letter: DeadLetter) -> str:
    state = "is in its own topic, shown below" if letter.value is not None else "is gone from its own topic"
    return f"the record of {letter.left_out_bytes:,} bytes is too large for a letter; it {state}"


def _short(value: bytes | None) -> str:
    return "(none)" if value is None else repr(value)[2:-1] if value else "(empty)"


def content(value: bytes | None) -> Iterator[str]:
    """Yield the lines of a value: JSON indented, other text unchanged, anything else as a hex dump."""
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
            yield from _hex_dump(value)
            return
    if all(character.isprintable() or character in "\n\r\t" for character in text):
        yield from text.splitlines()
    else:
        # Control characters may be the error, and must not reach the terminal.
        yield from _hex_dump(value)


def _hex_dump(value: bytes) -> Iterator[str]:
    for start in range(0, len(value), _LINE):
        line = value[start : start + _LINE]
        text = "".join(chr(byte) if byte in _PRINTABLE else "." for byte in line)
        yield f"{start:08x}  {line.hex(' '):<{3 * _LINE}} {text}"
