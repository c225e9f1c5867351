"""Splits text into rows and fields, as CSV (RFC 4180) with any separator, in bounded memory.

A field in quotes may hold separators, line breaks and doubled quotes. Lists of addresses have quotes that belong to the
value, as in `"Doe, Jane" <jane@example.org>`: text after the closing quote makes the field one that is kept as it is,
with its quotes, and separators within the quotes do not divide it. Python's `csv` drops such quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple, TextIO

from aftersend.errors import UsageError

#: Characters of a row at most, the line breaks within its quotes included.
MAX_ROW: Final = 1 << 17
_LINE_END: Final = "\r\n"


class FileRow(NamedTuple):
    """One row of a file."""

    #: Number of its first line, from 1.
    line: int
    #: Without the quotes around them, blanks kept.
    fields: list[str]


class _Patterns(NamedTuple):
    opening: re.Pattern[str]
    #: A field in quotes, blanks around them allowed.
    quoted: re.Pattern[str]
    #: A field that begins with quotes, and goes on after them.
    named: re.Pattern[str]
    plain: re.Pattern[str]


@lru_cache(maxsize=32)
def _patterns(separator: str) -> _Patterns:
    until = re.escape(separator)
    blank = "" if separator == " " else " *+"
    return _Patterns(
        opening=re.compile(f'{blank}"'),
        quoted=re.compile(rf'{blank}"((?:[^"]++|"")*+)"{blank}(?=[\r\n{until}]|\Z)'),
        named=re.compile(rf'{blank}"(?:[^"\r\n]++|"")*+"[^\r\n{until}]*+'),
        plain=re.compile(rf"[^\r\n{until}]*+"),
    )


def read_rows(text: TextIO, separator: str, name: str) -> Iterator[FileRow]:
    """Yield the rows of a text, blank ones included.

    Args:
        text: opened without translation of line ends; lines end with CR, LF or both.
        separator: between fields; "": each row is one field.
        name: of the file, for error messages.

    Raises:
        UsageError: if a row is too long, a quote is not closed, or the text is not in the file's encoding.
    """
    number = 1
    while line := _read_line(text, MAX_ROW, name, number):
        first, row = number, line
        number += 1
        if '"' not in line:
            bare = line.rstrip(_LINE_END)
            yield FileRow(first, bare.split(separator) if separator else [bare])
            continue
        fields: list[str] = []
        position = _split(row, 0, separator, fields)
        while position >= 0:  # a quote opens here and is not closed in this line
            more, count = _until_quote(text, MAX_ROW - len(row), name, number)
            if not more:
                raise _not_closed(name, first)
            row, number = row + more, number + count
            position = _split(row, position, separator, fields)
        if position == _BROKEN:
            raise _not_closed(name, first)
        yield FileRow(first, fields)


#: Results of `_split` beside positions.
_DONE: Final = -1
_BROKEN: Final = -2


def _split(row: str, position: int, separator: str, fields: list[str]) -> int:
    """Add the fields of a row from a position on; return where a field begins whose quote is not closed, else `_DONE`.

    `_BROKEN` is returned for text after quotes that go over several lines: there, a quote is missing or too many.
    """
    patterns = _patterns(separator)
    while True:
        if patterns.opening.match(row, position) is None:
            match = patterns.plain.match(row, position)
            fields.append(match[0] if match else "")
        elif match := patterns.quoted.match(row, position):
            fields.append(match[1].replace('""', '"'))
        elif match := patterns.named.match(row, position):
            fields.append(match[0])
        if match is None:
            return position if row.count('"', position) % 2 else _BROKEN
        position = match.end()
        if position < len(row) and row[position] not in _LINE_END:
            position += 1
            continue
        return _DONE if not row[position:].strip(_LINE_END) else _BROKEN


def _until_quote(text: TextIO, limit: int, name: str, number: int) -> tuple[str, int]:
    """Return the lines up to the next one in which quotes may be closed, and how many they are; "" at the end."""
    lines: list[str] = []
    length = 0
    while line := _read_line(text, limit - length, name, number + len(lines)):
        lines.append(line)
        length += len(line)
        if line.count('"') % 2:
            return "".join(lines), len(lines)
    return "", 0


def _read_line(text: TextIO, limit: int, name: str, number: int) -> str:
    try:
        line = text.readline(limit + 1)
    except UnicodeError as error:
        raise UsageError(
            f"{name}: line {number} or after: {error}; set --encoding to that of the file, such as cp1252"
        ) from error
    if len(line) > limit:
        raise UsageError(
            f"{name}: line {number}: a row has more than {MAX_ROW} characters: a quote is not closed, or this is no "
            "list of addresses"
        )
    return line


def _not_closed(name: str, line: int) -> UsageError:
    return UsageError(f"{name}: line {line}: a quote opens and is not closed: close it, or double it within quotes")
