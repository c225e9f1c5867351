"""How commands show things: tables for people, JSON for scripts, times with their zone."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from aftersend.schemas.times import iso

__all__ = ["console", "count", "iso", "local", "print_json", "share", "table"]


def console() -> Console:
    """Return where tables go: as wide as the terminal, and wide enough for a file."""
    return Console(width=None if sys.stdout.isatty() else 200, highlight=False)


def print_json(value: Any) -> None:
    """Print one line of JSON."""
    print(orjson.dumps(value, default=str).decode(), flush=True)


def local(seconds: float | None) -> str:
    """Return a time (seconds since 1970) as people here read it, with the zone; "" where it is not known."""
    if not seconds:
        return ""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")


def count(number: int) -> str:
    """Return a number with its thousands apart."""
    return f"{number:,}"


def share(value: float | None) -> str:
    """Return a ratio as a percentage; a dash where there is nothing to divide by."""
    return "-" if value is None else f"{value:.2%}"


def table(title: str, *columns: str, right: tuple[str, ...] = ()) -> Table:
    """Return an empty table.

    Args:
        title: above it, to the left.
        columns: their headings.
        right: those whose values stand to the right, as numbers do.
    """
    result = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in columns:
        result.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return result
