"""Output of commands: tables for people, JSON for programs, numbers and times as text.

Everything that a command shows passes here, because much of it was written by strangers: what receiving servers,
providers and tenants say reaches no terminal as it is (`aftersend.printable`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Final

import orjson
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from aftersend.printable import printable, printable_json, printable_lines
from aftersend.schemas.times import in_this_zone

#: Width of tables in a pipe or a file, characters.
_FILE_WIDTH: Final = 200


class Line(Text):
    """One line of text, or a part of it, in which everything is visible.

    Args:
        text: may be anybody's.
        options: rich's.
    """

    def __init__(self, text: str = "", *options: Any, **named: Any) -> None:
        super().__init__(printable(text), *options, **named)

    def append(self, text: Text | str, style: str | Style | None = None) -> Line:
        """Append text; returns itself."""
        super().append(printable(text) if isinstance(text, str) else text, style)
        return self


class LineTable(Table):
    """A table whose cells are one line of text each."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row."""
        super().add_row(*(Line(cell) if isinstance(cell, str) else cell for cell in cells), **options)


class PrintableConsole(Console):
    """A console on which everything is visible and nothing is markup.

    Args:
        options: rich's.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"highlight": False, "markup": False, "emoji": False, **options})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of anything, made printable whatever it is made of."""
        for segment in super().render(renderable, options):
            text = segment.text
            if segment.control or text == "\n" or text.isprintable():
                yield segment
            else:
                yield Segment(printable_lines(text), segment.style)


def console() -> PrintableConsole:
    """Return the console for tables: as wide as the terminal, or `_FILE_WIDTH`."""
    return PrintableConsole(width=None if sys.stdout.isatty() else _FILE_WIDTH)


def say(text: str, *, error: bool = False, end: str = "\n") -> None:
    """Print text of one or several lines.

    Args:
        text: may be anybody's.
        error: print it on standard error.
        end: printed after it.
    """
    print(printable_lines(text), end=end, file=sys.stderr if error else sys.stdout, flush=error)


def say_json(encoded: bytes) -> None:
    """Print JSON, as one line."""
    print(printable_json(encoded).decode(), flush=True)


def print_json(value: Any, *, indented: bool = False) -> None:
    """Print a value as one line of JSON, or indented for people."""
    say_json(orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2 if indented else None))


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


def table(title: str, *columns: str, right: tuple[str, ...] = ()) -> LineTable:
    """Return an empty table.

    Args:
        title: above the table; "": none.
        columns: headings.
        right: headings of the right-aligned columns.
    """
    result = LineTable(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in columns:
        result.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return result
