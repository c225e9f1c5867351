"""The addresses that a sender asks about: lines or CSV in, and what each of them is called in the tables."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from aftersend.errors import UsageError
from aftersend.sources.base import SourceError
from aftersend.sources.parsing.address import normalise

#: Headings of the column that holds the address; without one of them it is the first column.
HEADINGS: Final = ("recipient", "email", "e-mail", "address", "mail")


class AddressQuery(NamedTuple):
    """One address as it was asked about."""

    spelled: str
    #: "" if it is no address.
    recipient: str


def read(lines: Iterable[str], name: str) -> Iterator[AddressQuery]:
    """Yield the addresses of a text: one a line, or a CSV file with or without headings.

    Args:
        lines: of the text.
        name: of the file, for errors.

    Raises:
        UsageError: if it is no CSV.
    """
    rows = csv.reader(lines, delimiter=",")
    column = 0
    try:
        for number, row in enumerate(rows):
            if number == 0 and (heading := _heading(row)) is not None:
                column = heading
                continue
            if any(cell.strip() for cell in row):
                spelled = row[column].strip() if column < len(row) else ""
                yield AddressQuery(spelled, key_of(spelled))
    except csv.Error as error:
        raise UsageError(f"{name}: line {rows.line_num}: {error}") from error


def _heading(row: list[str]) -> int | None:
    """Return the column of the address if a row holds headings."""
    names = [cell.strip().lstrip("\ufeff").casefold() for cell in row]
    return next((names.index(heading) for heading in HEADINGS if heading in names), None)


def key_of(spelled: str) -> str:
    """Return what an address is called in the tables; "" if it is none that mail could be sent to."""
    try:
        key = normalise(spelled)
    except SourceError:
        return ""
    local, at, domain = key.rpartition("@")
    return key if local and at and domain else ""
