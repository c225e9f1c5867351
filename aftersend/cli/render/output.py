"""Output of commands: tables for people, JSON for programs, numbers and times as text."""

from __future__ import annotations

import sys
from typing import Any, Final

import orjson
from rich.console import Console
from rich.table import Table

from aftersend.schemas.times import in_this_zone

#: Width of tables in a pipe or a file, characters.
_FILE_WIDTH: Final = 200


def console() -> Console:
    """Return the console for tables: as wide as the terminal, or `_FILE_WIDTH`."""
    return Console(width=None if sys.stdout.isatty() else _FILE_WIDTH, highlight=False)


def print_json(value: Any) -> None:
    """Print a value as one line of JSON."""
    print(orjson.dumps(value, default=str).decode(), flush=True)


def local(seconds: float | None) -> str:
    """Return a time (seconds since 1970) in this machine's time zone; "" if it is unknown."""
    if not seconds:
        return ""
    return in_this_zone(seconds).strftime("%Y-%m-%d %H:%M:%S %z")


def count(number: int) -> str:
    """Return a number with thousands separators."""
    return f"{number:,}"


def share(value: float | None) -> str:
    """Return a ratio as a percentage; a dash for None."""
    return "-" if value is None else f"{value:.2%}"


def table(title: str, *columns: str, right: tuple[str, ...] = ()) -> Table:
    """Return an empty table.

    Args:
        title: above the table; "": none.
        columns: headings.
        right: headings of the right-aligned columns.
    """
    result = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in columns:
        result.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return result
