"""Reads an audience file line by line; encoding, separator and columns are detected."""

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
#: Byte order marks of UTF-16.
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
#: Values of the test column that mean yes, besides those of `is_true`.
_YES: Final = frozenset({"yes", "y", "x", "ja", "si", "sí", "oui", "да"})
_MORE_HEADINGS: Final = ("email address", "e-mail address", "email_address", "emailaddress", "mail address")


class AudienceLine(NamedTuple):
    """One line of an audience."""

    #: Line number in the file, from 1.
    number: int
    #: Address as in the file; "" if there is none.
    spelled: str
    #: The line marks a test address.
    test: bool


class AudienceColumns(msgspec.Struct, frozen=True):
    """Layout of a file."""

    separator: str
    #: Index of the column with the address.
    address: int
    #: Index of the column that marks test addresses; None: there is none.
    test: int | None
    #: The first line is a header.
    headings: bool


def open_text(path: Path, encoding: str = "") -> TextIO:
    """Open a file as text.

    Args:
        path: of the file.
        encoding: of the file; "": UTF-8, or UTF-16 if it starts with its byte order mark.

    Raises:
        UsageError: if the file is unreadable, or there is no such encoding.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(2)
        chosen = encoding or ("utf-16" if begin in _UTF16 else "utf-8-sig")
        return path.open(encoding=chosen, newline="")
    except (OSError, LookupError) as error:
        raise UsageError(f"{path} can't be read: {error}") from error


def detect_columns(path: Path, encoding: str, separator: str, address: str, test: str) -> AudienceColumns:
    """Return the layout of a file.

    Args:
        path: of the file.
        encoding: of the file; "": detected.
        separator: between columns; backslash and t mean a tab; "": detected.
        address: heading of the column with the address; "": detected.
        test: heading of the column that marks test addresses; "": there is none.

    Raises:
        UsageError: if the file is unreadable or the layout can't be detected.
    """
    with open_text(path, encoding) as text:
        try:
            first = next(iter(text), "")
        except UnicodeDecodeError as error:
            raise UsageError(f"{path}: {error}; set --encoding to that of the file, such as cp1252") from error
    if len(separator) > 1 and separator != "\\t":
        raise UsageError(f"--separator is one character, not {separator!r}")
    return find_columns(first, separator="\t" if separator == "\\t" else separator, address=address, test=test)


def find_columns(first: str, *, separator: str = "", address: str = "", test: str = "") -> AudienceColumns:
    """Return the layout of a file by its first line.

    Args:
        first: the first line.
        separator: between columns; "": the one of comma, semicolon, tab and bar that makes most columns.
        address: heading of the column with the address; "": one of the usual headings, else the first column with an
            address.
        test: heading of the column that marks test addresses; "": there is none.

    Raises:
        UsageError: if there is no such heading, or no address.
    """
    if not separator:
        separator = max(_SEPARATORS, key=lambda one: len(_cells(first, one)))
    names = [cell.strip().casefold() for cell in _cells(first, separator)]
    if address:
        index = _index(names, address, "--address-column")
    else:
        index = next((names.index(name) for name in (*HEADINGS, *_MORE_HEADINGS) if name in names), -1)
    mark = _index(names, test, "--test-column") if test else None
    if index >= 0:
        return AudienceColumns(separator, index, mark, headings=True)
    index = next((i for i, cell in enumerate(names) if "@" in cell), 0 if len(names) <= 1 else -1)
    if index < 0 or test:
        raise UsageError(
            f"the column with the address can't be detected: set --address-column to one of {_listed(names)}"
        )
    return AudienceColumns(separator, index, None, headings=False)


def _cells(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator), [])


def _index(names: list[str], heading: str, option: str) -> int:
    if heading.casefold() not in names:
        raise UsageError(f"{option}: there is no column {heading!r}; the first line has {_listed(names)}")
    return names.index(heading.casefold())


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names))


def read_lines(lines: Iterable[str], columns: AudienceColumns, name: str) -> Iterator[AudienceLine]:
    """Yield the lines of an audience; empty lines are skipped.

    Args:
        lines: of the text, from the first.
        columns: layout of the file.
        name: of the file, for error messages.

    Raises:
        UsageError: if the text is not valid CSV, or not in the file's encoding.
    """
    rows = csv.reader(lines, delimiter=columns.separator)
    try:
        for index, row in enumerate(rows):
            if (index == 0 and columns.headings) or not any(cell.strip() for cell in row):
                continue
            spelled = row[columns.address].strip() if columns.address < len(row) else ""
            mark = row[columns.test] if columns.test is not None and columns.test < len(row) else ""
            yield AudienceLine(rows.line_num, spelled, is_true(mark) or mark.strip().casefold() in _YES)
    except csv.Error as error:
        raise UsageError(f"{name}: line {rows.line_num}: {error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{name}: line {rows.line_num + 1} or after: {error}; set --encoding to that of the file, such as cp1252"
        ) from error
