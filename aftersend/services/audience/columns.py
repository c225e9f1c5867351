"""Chooses the column with the addresses: by the caller's option, by the headings, and by what the columns hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from aftersend.services.audience.headings import ADDRESS, EMAIL, NAMED_EMAIL, NO_HEADING, heading_key, heading_rank

#: Columns that an error message lists.
_LISTED: Final = 20
#: Characters of a heading in an error message.
_SHOWN: Final = 40


class UncertainColumnError(ValueError):
    """No column is chosen; the message says why and which option helps."""


class Table(NamedTuple):
    """First rows of a file, as one separator divides them."""

    #: Fields by row; at least one row, none of them blank.
    rows: Sequence[Sequence[str]]
    #: The normalised address in each field; "": none.
    addresses: Sequence[Sequence[str]]


class Columns(NamedTuple):
    """Columns of a table."""

    #: Index of the column with the addresses.
    address: int
    #: Index of the column that marks test addresses; None: there is none.
    test: int | None
    #: The first row has headings.
    headings: bool
    #: Columns of a row; rows with more are divided wrongly.
    width: int
    #: How surely the heading is that of addresses (`aftersend.services.audience.headings`).
    rank: int


def choose_columns(table: Table, address: str, test: str) -> Columns:
    """Return the columns of a table.

    Args:
        table: first rows of the file.
        address: heading or number, from 1, of the column with the addresses; "": detected.
        test: heading or number of the column that marks test addresses; "": there is none.

    Raises:
        UncertainColumnError: if there is no such column, none with addresses, or several that could be it.
    """
    first = table.rows[0]
    named = address if address and not _is_number(first, address) else ""
    headings = bool(named or test) or _has_headings(table)
    data = table.addresses[1:] if headings else table.addresses
    if address:
        index = _index(first, max(map(len, table.rows)), address, "--address-column")
    else:
        index = _detect(table, data, headings=headings)
    longer = sum(is_longer(row, len(first)) for row in table.rows)
    if headings and index > 0 and longer * 2 > len(table.rows):
        raise UncertainColumnError(
            f"most rows have more columns than the first line ({len(first)}): set --separator, or put values that have "
            "a separator in quotes"
        )
    mark = _index(first, len(first), test, "--test-column") if test else None
    rank = heading_rank(first[index]) if headings and index < len(first) else NO_HEADING
    width = len(first) if headings else Counter(map(len, table.rows)).most_common(1)[0][0]
    return Columns(index, mark, headings, width, rank)


def is_longer(fields: Sequence[str], width: int) -> bool:
    """Return whether a row has more columns than it should, blank ones not counted."""
    return len(fields) > width and any(field.strip() for field in fields[width:])


def holding_columns(data: Sequence[Sequence[str]], rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the columns of which at least half of the values are addresses.

    Args:
        data: address in each field, by row.
        rows: the same rows' fields.
    """
    found: Counter[int] = Counter()
    filled: Counter[int] = Counter()
    for addresses, fields in zip(data, rows, strict=True):
        found.update(index for index, one in enumerate(addresses) if one)
        filled.update(index for index, field in enumerate(fields) if field.strip())
    return sorted(index for index, number in found.items() if number * 2 >= filled[index])


def _has_headings(table: Table) -> bool:
    """Return whether the first row has headings: known ones, or names beside a column of addresses."""
    first = table.rows[0]
    if any("@" in field for field in first):
        return False
    if any(heading_rank(field) != NO_HEADING for field in first):
        return True
    keys = [heading_key(field) for field in first]
    return (
        len(first) > 1
        and len(table.rows) > 1
        and len(set(keys)) == len(keys)
        and not any(not key or key.isdigit() for key in keys)
    )


def _detect(table: Table, data: Sequence[Sequence[str]], *, headings: bool) -> int:
    first = table.rows[0]
    holding = holding_columns(data, table.rows[-len(data) :] if data else ())
    ranks = [heading_rank(field) for field in first] if headings else []
    for rank in (EMAIL, NAMED_EMAIL, ADDRESS):
        named = [index for index, one in enumerate(ranks) if one == rank]
        fitting = [index for index in named if index in holding]
        if len(fitting) > 1 or (len(named) > 1 and not holding):
            raise UncertainColumnError(_several(first, fitting or named))
        if fitting:
            return fitting[0]
        if rank == EMAIL and named:
            return _unless_elsewhere(first, named[0], holding)
    if len(holding) == 1:
        return holding[0]
    if holding:
        raise UncertainColumnError(_several(first, holding) if headings else _several_numbers(holding))
    if max(map(len, table.rows)) == 1:
        return 0
    usable = [index for index, one in enumerate(ranks) if one != NO_HEADING]
    if len(usable) == 1 and not data:
        return usable[0]
    raise UncertainColumnError(
        f"no column has addresses: set --address-column to a heading or a number; the first line has {_listed(first)}"
    )


def _unless_elsewhere(first: Sequence[str], index: int, holding: Sequence[int]) -> int:
    """Return a column with a heading and without addresses, unless another one has addresses."""
    if not holding:
        return index
    other = _name(first, holding[0])
    raise UncertainColumnError(
        f"the column {_name(first, index)} has no addresses, but {other} has: set --address-column to one of them"
    )


def _is_number(first: Sequence[str], column: str) -> bool:
    """Return whether an option names a column by its number; a heading of that name comes first."""
    return column.isascii() and column.isdigit() and column not in (field.strip() for field in first)


def _index(first: Sequence[str], width: int, column: str, option: str) -> int:
    """Return the index of the column that an option names."""
    if _is_number(first, column):
        # More digits than any number of columns has: `int` refuses thousands of them.
        number = int(column[:9])
        if 1 <= number <= width:
            return number - 1
        raise UncertainColumnError(f"{option}: there is no column {column[:_SHOWN]}; the file has {width}")
    wanted = column.strip().casefold()
    found = [index for index, field in enumerate(first) if field.strip(" \ufeff").casefold() == wanted]
    if not found:
        raise UncertainColumnError(
            f"{option}: there is no column {column[:_SHOWN]!r}; the first line has {_listed(first)}"
        )
    if len(found) > 1:
        raise UncertainColumnError(f"{option}: several columns are {column[:_SHOWN]!r}: give the number, such as 1")
    return found[0]


def _several(first: Sequence[str], columns: Sequence[int]) -> str:
    names = ", ".join(_name(first, index) for index in columns[:_LISTED])
    return f"several columns may be the one with the addresses: set --address-column to one of {names}"


def _several_numbers(columns: Sequence[int]) -> str:
    numbers = ", ".join(str(index + 1) for index in columns[:_LISTED])
    return (
        f"several columns have addresses: set --address-column to one of {numbers}, or have one address a line in the "
        "file"
    )


def _name(first: Sequence[str], index: int) -> str:
    return repr(first[index].strip()[:_SHOWN]) if index < len(first) and first[index].strip() else str(index + 1)


def _listed(first: Sequence[str]) -> str:
    return ", ".join(repr(field.strip()[:_SHOWN]) for field in first[:_LISTED])
