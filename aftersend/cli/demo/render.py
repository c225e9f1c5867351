"""How the demo looks on a terminal."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from aftersend.sandbox.demo.watch import DemoSnapshot
from aftersend.sandbox.reference.check import CheckReport
from aftersend.sandbox.reference.domain import DECISIONS

_ACCENT: Final = "cyan"
_QUIET: Final = "bright_black"
_CHANGED: Final = "bold bright_white"
#: How long a number that has changed stands out, in seconds.
_GLOW: Final = 0.6
_NO_DELIVERY: Final = "(no delivery)"
#: Rows that the rest of the screen needs.
_OTHER_ROWS: Final = 14
#: Wider than this nothing reads well.
_WIDEST: Final = 130
#: What the frame takes, left and right.
_FRAME: Final = 4


class DemoColumn(NamedTuple):
    """One column of the deliveries' table."""

    heading: str
    #: The counter, or with a second one the first's share in the second.
    name: str
    of: str = ""
    #: 0: always shown; the others where there is room for them, in this order.
    turn: int = 0


COLUMNS: Final = (
    DemoColumn("Audience", "audience", turn=2),
    DemoColumn("Sent", "sent", turn=1),
    DemoColumn("Delivered", "delivered"),
    DemoColumn("%", "delivered", "sent", turn=3),
    DemoColumn("Opened", "unique_opens"),
    DemoColumn("%", "unique_opens", "delivered", turn=4),
    DemoColumn("Machine", "unique_machine_opens_only", turn=5),
    DemoColumn("Clicked", "unique_clicks"),
    DemoColumn("Hard", "hard_bounced"),
    DemoColumn("Soft", "soft_bounced"),
    DemoColumn("Unsub", "unsubscribed"),
    DemoColumn("Spam", "complained"),
    DemoColumn("Not sent", "not_sent", turn=6),
)
#: What a number takes at least, so that columns do not jump while it grows.
_DIGITS: Final = 5
_SHARE_DIGITS: Final = len("100.0%")
#: What a delivery's name gets at least where further columns are shown.
_NAME: Final = 18


class DemoProgress(NamedTuple):
    """What is to be shown."""

    snapshot: DemoSnapshot
    #: Raw records that Kafka has.
    written: int
    #: Where the campaign is in its own time, seconds since 1970.
    clock: float
    #: How much of it is written, 0 to 1.
    share: float
    #: Events counted in a second.
    speed: float = 0.0


class DemoRenderer:
    """Renders the demo's screen.

    Args:
        title: what is played.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._seen: dict[tuple[str, str], tuple[int, float]] = {}

    def live(self, state: DemoProgress, width: int, height: int) -> RenderableType:
        """Return the screen while the campaign is played."""
        table = self._deliveries(state.snapshot.deliveries, width, max(3, height - _OTHER_ROWS))
        return Group(
            self._panel(table, width),
            Padding(_progress(state, width), (0, 2)),
            Padding(_pipeline(state), (0, 2)),
            Padding(_decisions_line(state.snapshot.decisions), (0, 2)),
        )

    def final(self, report: CheckReport, width: int) -> RenderableType:
        """Return what stays on the screen in the end."""
        table = self._deliveries(report.kpis, width, len(report.kpis), glow=False)
        return Group(
            self._panel(table, width),
            Padding(_decisions_table(report), (0, 2, 1, 2)),
        )

    def _panel(self, content: RenderableType, width: int) -> Panel:
        return Panel(
            content,
            title=Text.assemble(("Aftersend", f"bold {_ACCENT}"), f" · {self._title}"),
            title_align="left",
            border_style=_QUIET,
            box=box.ROUNDED,
            padding=(0, 1),
            width=min(width, _WIDEST),
        )

    def _deliveries(self, deliveries: Mapping[str, Counter[str]], width: int, rows: int, *, glow: bool = True) -> Table:
        total: Counter[str] = Counter()
        for counters in deliveries.values():
            total.update(counters)
        columns, left = _fitting(total, min(width, _WIDEST) - _FRAME)
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), show_footer=True, header_style=_ACCENT)
        table.add_column("Delivery", footer="all", no_wrap=True, width=left, footer_style="bold")
        for column in columns:
            table.add_column(
                column.heading,
                footer=_value(total, column),
                justify="right",
                no_wrap=True,
                width=_width(total, column),
                footer_style=_QUIET if column.of else "bold",
            )
        # The largest ones, in the order of their names.
        shown = sorted(sorted(deliveries, key=lambda name: -deliveries[name]["audience"])[:rows])
        for delivery_id in shown:
            counters = deliveries[delivery_id]
            cells = [self._cell(delivery_id, counters, column, glow=glow) for column in columns]
            name = Text(delivery_id) if delivery_id else Text(_NO_DELIVERY, style=_QUIET)
            table.add_row(name, *cells)
        if len(deliveries) > len(shown):
            table.add_row(Text(f"… {len(deliveries) - len(shown)} more", style=_QUIET))
        return table

    def _cell(self, delivery_id: str, counters: Counter[str], column: DemoColumn, *, glow: bool) -> Text:
        text = _value(counters, column)
        if column.of:
            return Text(text, style=_QUIET)
        key, now = (delivery_id, column.name), time.monotonic()
        value, since = self._seen.get(key, (-1, 0.0))
        if value != counters[column.name]:
            since = now
            self._seen[key] = counters[column.name], since
        return Text(text, style=_CHANGED if glow and now - since < _GLOW else "")


def _fitting(total: Counter[str], room: int) -> tuple[list[DemoColumn], int]:
    """Return the columns that there is room for, and the room that is left for names."""
    chosen = {column for column in COLUMNS if not column.turn}
    left = room - sum(_width(total, column) + 1 for column in chosen)
    for column in sorted((column for column in COLUMNS if column.turn), key=lambda column: column.turn):
        if left - _width(total, column) - 1 < _NAME:
            break
        left -= _width(total, column) + 1
        chosen.add(column)
    return [column for column in COLUMNS if column in chosen], max(left - 1, 1)


def _width(total: Counter[str], column: DemoColumn) -> int:
    """Return what a column takes; no value in it is longer than the total's."""
    if column.of:
        return _SHARE_DIGITS
    return max(len(column.heading), _DIGITS, len(_value(total, column)))


def _value(counters: Counter[str], column: DemoColumn) -> str:
    number = counters[column.name]
    if not column.of:
        return f"{number:,}"
    return f"{number / counters[column.of]:.1%}" if counters[column.of] else "-"


def _progress(state: DemoProgress, width: int) -> Table:
    grid = Table.grid(padding=(0, 1), expand=False)
    grid.add_row(
        Text("campaign time", style=_QUIET),
        Text(local_time(state.clock), style="bold"),
        ProgressBar(total=1.0, completed=state.share, width=max(10, min(width, _WIDEST) - 58), complete_style=_ACCENT),
        Text(f"{state.share:4.0%}"),
    )
    return grid


def _pipeline(state: DemoProgress) -> Text:
    folded = sum(state.snapshot.decisions.values())
    waiting = max(0, state.written - state.snapshot.parsed)
    arrow = (" → ", _QUIET)
    return Text.assemble(
        ("raw ", _QUIET),
        (f"{state.written:,}", "bold"),
        arrow,
        ("parsed ", _QUIET),
        (f"{state.snapshot.parsed:,}", "bold"),
        arrow,
        ("counted ", _QUIET),
        (f"{folded:,}", "bold"),
        ("   waiting ", _QUIET),
        (f"{waiting:,}", "bold"),
        (f"   {state.speed:,.0f}/s", _ACCENT),
    )


def _decisions_line(decisions: Counter[str]) -> Text:
    parts = [((f"{name} ", _QUIET), (f"{decisions[name]:,}", "bold")) for name in DECISIONS if decisions[name]]
    text = Text()
    for number, ((name, quiet), (count, bold)) in enumerate(parts):
        text.append("   " if number else "")
        text.append(name, style=quiet)
        text.append(count, style=bold)
    return text


#: What each decision means, in a line.
MEANINGS: Final = {
    "applied": "moved the status forward",
    "duplicate": "had come before",
    "lower_priority": "counted, status stayed",
    "terminal_locked": "counted, status was final",
    "late": "after the statistics period",
    "test": "test message, counted apart",
    "unattributed": "no delivery or recipient named",
}


def _decisions_table(report: CheckReport) -> Table:
    """Return the events by decision and source."""
    sources = sorted({source for source, _, _ in report.decisions})
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Decision", header_style=_ACCENT)
    for source in sources:
        table.add_column(source, justify="right", header_style=_ACCENT)
    table.add_column("all", justify="right", header_style=_ACCENT)
    table.add_column("", style=_QUIET)
    counts: Counter[tuple[str, str]] = Counter()
    for (source, _, decision), number in report.decisions.items():
        counts[source, decision] += number
    for decision in DECISIONS:
        numbers = [counts[source, decision] for source in sources]
        if any(numbers):
            table.add_row(decision, *(f"{n:,}" for n in numbers), f"{sum(numbers):,}", MEANINGS[decision])
    return table


def result_line(report: CheckReport) -> Text:
    """Return the line that says whether all numbers are right."""
    mark, style, word = ("✓", "bold green", "equal") if report.equal else ("✗", "bold red", "differ")
    return Text.assemble(
        (f"{mark} numbers {word}", style),
        f": {report.events:,} events from {report.raw_records:,} raw records ({report.unreadable} unreadable), "
        f"{report.rows:,} recipients' rows, {report.contacts:,} contacts, KPIs of {report.deliveries} deliveries in "
        "Kafka and Redis, against a plain reference fold of the same input",
    )


def progress_line(state: DemoProgress) -> str:
    """Return a state as one line."""
    return (
        f"{local_time(time.time())}  campaign time {local_time(state.clock)} ({state.share:.0%}), "
        f"{state.written:,} raw records, {state.snapshot.parsed:,} parsed, "
        f"{sum(state.snapshot.decisions.values()):,} events counted"
    )


def local_time(seconds: float) -> str:
    """Return a time (seconds since 1970) to the second, with its zone; a dash where there is none yet."""
    if not seconds:
        return "-"
    return datetime.fromtimestamp(seconds, UTC).astimezone().isoformat(sep=" ", timespec="seconds")
