"""Detects the layout of a file with addresses by its first rows: separator, headings, column with the addresses.

Each separator is tried. The one that divides the rows so that most of them have an address is right, unless another one
finds other addresses: then the layout is uncertain, and the caller has to say the separator.
"""

from __future__ import annotations

import contextlib
import io
import re
from itertools import islice
from typing import Final, NamedTuple

from aftersend.errors import UsageError
from aftersend.services.audience.addresses import read_address
from aftersend.services.audience.columns import (
    Columns,
    Table,
    UncertainColumnError,
    choose_columns,
    holding_columns,
)
from aftersend.services.audience.headings import NO_HEADING
from aftersend.services.audience.rows import read_rows
from aftersend.sources.parsing.address import without_invisible

#: Characters and rows by which a layout is detected.
SAMPLE_CHARACTERS: Final = 1 << 18
_SAMPLE_ROWS: Final = 500
_SEPARATORS: Final = (",", ";", "\t", "|")
#: What a row without values may have.
_BLANK: Final = "".join(_SEPARATORS) + " \u00a0\r\n"
_NAMES: Final = {"\t": "tab", "": "none", " ": "blank"}
#: Another separator that finds addresses in more than 1 of so many rows, where the best one has none, is plausible too.
_PLAUSIBLE: Final = 10
#: Excel's own first line that names the separator.
_SEPARATOR_LINE: Final = re.compile(r'\A\ufeff?"?sep=([^\r\n])"?[\r\n]', re.IGNORECASE)


class FileOptions(NamedTuple):
    """What the caller says about a file; "": to be detected."""

    #: Heading or number, from 1, of the column with the addresses.
    address_column: str = ""
    #: One character; backslash and t mean a tab.
    separator: str = ""
    encoding: str = ""
    #: Heading or number of the column that marks test addresses; "": there is none.
    test_column: str = ""


class Layout(NamedTuple):
    """Layout of a file."""

    #: Between fields; "": each row is one value.
    separator: str
    columns: Columns
    #: The separator is detected.
    detected: bool
    #: The first row only names the separator.
    separator_line: bool = False
    #: The sample has no text.
    empty: bool = False


_EMPTY: Final = Layout("", Columns(0, None, headings=False, width=1, rank=NO_HEADING), detected=False, empty=True)


class _SampleReading(NamedTuple):
    """First rows as one separator divides them."""

    separator: str
    columns: Columns | None
    #: Why there are no columns.
    problem: str
    #: The address or addresses of each row; "": none.
    found: list[str]

    @property
    def rank(self) -> tuple[int, int, int]:
        """Sort key: the number of addresses, a usual heading, and a separator.

        Without headings, a comma before an address is taken for one of its name, as in `Doe, Jane <jane@example.org>`.
        """
        if self.columns is None:
            return sum(map(bool, self.found)), -NO_HEADING, 0
        by_name = self.separator and not self.columns.headings and self.columns.address
        return sum(map(bool, self.found)), -self.columns.rank, 0 if by_name else 1 + bool(self.separator)


def detect_layout(sample: str, name: str, options: FileOptions) -> Layout:
    """Return the layout of a file.

    Args:
        sample: the beginning of its text, `SAMPLE_CHARACTERS` at most.
        name: of the file, for error messages.
        options: what the caller says.

    Raises:
        UsageError: if the layout is uncertain; the message names the option that helps.
    """
    declared = _declared(options.separator)
    line = _SEPARATOR_LINE.match(sample)
    if line:
        sample = sample[line.end() :].removeprefix("\n")
        declared = declared or line[1]
    separators = (declared,) if declared else (*_SEPARATORS, "")
    readings = [one for one in (_read(sample, separator, name, options) for separator in separators) if one]
    if not readings:
        return _EMPTY._replace(separator=declared, separator_line=bool(line))
    try:
        best = _best(readings)
    except UncertainColumnError as error:
        raise UsageError(f"{name}: {error}") from error
    if best.columns is None:
        raise UsageError(f"{name}: {best.problem}")
    return Layout(best.separator, best.columns, not declared, bool(line))


def is_blank(fields: list[str]) -> bool:
    """Return whether a row has nothing visible but separators."""
    text = "".join(fields)
    return not text or text.isspace() or not without_invisible(text).strip(_BLANK)


def _declared(separator: str) -> str:
    chosen = "\t" if separator == "\\t" else separator
    if len(chosen) > 1 or chosen in {'"', "\r", "\n", "@"}:
        raise UsageError(f"--separator is one character, such as a semicolon, and \\t for a tab, not {separator!r}")
    return chosen


def _read(sample: str, separator: str, name: str, options: FileOptions) -> _SampleReading | None:
    """Return a reading of the sample; None if the separator does not divide it, or it has no rows."""
    table = _table(sample, separator, name)
    if not table.rows:
        return None
    several = sum(len(row) > 1 for row in table.rows)
    if separator and not options.separator and (len(table.rows[0]) == 1 or several * 2 < len(table.rows)):
        return None
    try:
        columns = choose_columns(table, options.address_column, options.test_column)
    except UncertainColumnError as error:
        holding = holding_columns(table.addresses, table.rows)
        found = [" ".join(one[i] for i in holding if i < len(one)).strip() for one in table.addresses]
        return _SampleReading(separator, None, str(error), found)
    index = columns.address
    if not separator and not any(map(any, table.addresses)) and columns.rank == NO_HEADING and _is_divided(table):
        return _SampleReading(separator, None, "no column has addresses: set --separator and --address-column", [])
    return _SampleReading(separator, columns, "", [one[index] if index < len(one) else "" for one in table.addresses])


def _is_divided(table: Table) -> bool:
    """Return whether most rows have separators, though they are read as one value each."""
    divided = sum(any(separator in row[0] for separator in _SEPARATORS) for row in table.rows)
    return len(table.rows) > 1 and divided * 2 >= len(table.rows)


def _table(sample: str, separator: str, name: str) -> Table:
    rows: list[list[str]] = []
    text = io.StringIO(sample, newline="")
    filled = (row.fields for row in read_rows(text, separator, name) if not is_blank(row.fields))
    # The sample may end within a row, and a wrong separator divides quotes. If it is the file, reading it says so.
    with contextlib.suppress(UsageError):
        for fields in islice(filled, _SAMPLE_ROWS):
            rows += [fields]
    if len(sample) >= SAMPLE_CHARACTERS and len(rows) > 1 and text.tell() >= len(sample):
        rows.pop()
    return Table(rows, [[_address(field, separator) for field in row] for row in rows])


def _address(field: str, separator: str) -> str:
    """Return the address in a field, for detection: a bar is taken for a separator."""
    if "@" not in field or ("|" in field and separator != "|"):
        return ""
    return read_address(field)


def _best(readings: list[_SampleReading]) -> _SampleReading:
    """Return the reading that finds most addresses.

    Raises:
        UncertainColumnError: if another one finds other addresses.
    """
    best = max(readings, key=lambda one: one.rank)
    if not any(best.found):
        return _without_addresses(readings)
    for other in readings:
        pairs = list(zip(best.found, other.found, strict=False))  # a broken quote ends a reading before the others
        differing = any(mine and theirs and mine != theirs for mine, theirs in pairs)
        more = sum(1 for mine, theirs in pairs if theirs and not mine)
        if differing or more * _PLAUSIBLE > len(pairs):
            both = " and ".join(_shown(one.separator) for one in (best, other))
            raise UncertainColumnError(f"the separator may be {both}: set --separator")
    return best


def _without_addresses(readings: list[_SampleReading]) -> _SampleReading:
    """Return the reading of rows without any address: by a usual heading, else one value a row."""
    divided = [one for one in readings if one.separator]
    by_heading = [one for one in divided if one.columns]
    if len(by_heading) > 1:
        both = " and ".join(_shown(one.separator) for one in by_heading)
        raise UncertainColumnError(f"the separator may be {both}: set --separator")
    return (by_heading or divided or readings)[0]


def _shown(separator: str) -> str:
    return _NAMES.get(separator, repr(separator))
