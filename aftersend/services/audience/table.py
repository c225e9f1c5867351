"""Reading an audience's file: its encoding, its separator and its columns found out, a line at a time."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, TextIO

import msgspec

from aftersend.errors import UsageError
from aftersend.services.suppression import HEADINGS
from aftersend.sources.parsing.metadata import is_true

_SEPARATORS: Final = ",;\t|"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_YES: Final = frozenset({"yes", "y", "x", "ja", "si", "sí", "oui", "да"})
_MORE_HEADINGS: Final = ("email address", "e-mail address", "email_address", "emailaddress", "mail address")


class AudienceLine(NamedTuple):
    """One line of an audience."""

    #: Of the file, from 1.
    number: int
    spelled: str
    test: bool


class AudienceColumns(msgspec.Struct, frozen=True):
    """Where things stand in a file."""

    separator: str
    address: int
    #: None: no column marks test addresses.
    test: int | None
    #: The first line holds headings.
    headings: bool


def open_text(path: Path, encoding: str = "") -> TextIO:
    """Open a file as text.

    Args:
        path: of the file.
        encoding: of the file; "": UTF-8, or UTF-16 where it begins like that. A byte order mark is passed over.

    Raises:
        UsageError: if it can't be read, or there is no such encoding.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(2)
        chosen = encoding or ("utf-16" if begin in _UTF16 else "utf-8-sig")
        return path.open(encoding=chosen, newline="")
    except (OSError, LookupError) as error:
        raise UsageError(f"{path} can't be read: {error}") from error


def find_columns(first: str, *, separator: str = "", address: str = "", test: str = "") -> AudienceColumns:
    """Find the columns out by a file's first line.

    Args:
        first: the line.
        separator: between columns; "": the one of comma, semicolon, tab and bar that makes most of them.
        address: heading of the column with the address; "": one of the usual headings, else the first column that
            holds an address.
        test: heading of the column that marks test addresses; "": there is none.

    Raises:
        UsageError: if there is no such heading, or nothing looks like an address.
    """
    if not separator:
        separator = max(_SEPARATORS, key=lambda one: len(_cells(first, one)))
    names = [cell.strip().casefold() for cell in _cells(first, separator)]
    usual = (*HEADINGS, *_MORE_HEADINGS)
    if address:
        at = _place(names, address, "--address-column")
    else:
        at = next((names.index(name) for name in usual if name in names), -1)
    mark = _place(names, test, "--test-column") if test else None
    if at >= 0:
        return AudienceColumns(separator, at, mark, headings=True)
    at = next((place for place, cell in enumerate(names) if "@" in cell), 0 if len(names) <= 1 else -1)
    if at < 0 or test:
        raise UsageError(
            f"which column holds the address? Name it with --address-column: {', '.join(map(repr, names))}"
        )
    return AudienceColumns(separator, at, None, headings=False)


def _cells(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator), [])


def _place(names: list[str], heading: str, option: str) -> int:
    if heading.casefold() not in names:
        raise UsageError(f"{option}: there is no column {heading!r}; the first line has {', '.join(map(repr, names))}")
    return names.index(heading.casefold())


def read(lines: Iterable[str], columns: AudienceColumns, name: str) -> Iterator[AudienceLine]:
    """Yield the lines of an audience; empty ones are passed over.

    Args:
        lines: of the text, from the first.
        columns: where things stand.
        name: of the file, for errors.

    Raises:
        UsageError: if it is no CSV, or not in the encoding that it was opened with.
    """
    rows = csv.reader(lines, delimiter=columns.separator)
    try:
        for at, row in enumerate(rows):
            if (at == 0 and columns.headings) or not any(cell.strip() for cell in row):
                continue
            spelled = row[columns.address].strip() if columns.address < len(row) else ""
            mark = row[columns.test] if columns.test is not None and columns.test < len(row) else ""
            yield AudienceLine(rows.line_num, spelled, is_true(mark) or mark.strip().casefold() in _YES)
    except csv.Error as error:
        raise UsageError(f"{name}: line {rows.line_num}: {error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{name}: line {rows.line_num + 1} or after: {error}; name the file's --encoding, such as cp1252"
        ) from error
