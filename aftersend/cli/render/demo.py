"""Screen of the demo, fitted to the width and height of the terminal."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar

from aftersend.cli.render.names import apart
from aftersend.cli.render.output import Line, LineTable
from aftersend.sandbox.demo.session import DemoProgress
from aftersend.sandbox.reference.check import CheckReport
from aftersend.sandbox.reference.domain import DECISIONS
from aftersend.schemas.times import in_this_zone

_ACCENT: Final = "cyan"
_QUIET: Final = "bright_black"
_CHANGED: Final = "bold bright_white"
#: Time for which a changed number is highlighted, seconds.
_HIGHLIGHT_SECONDS: Final = 0.6
_NO_DELIVERY: Final = "(no delivery)"
#: Lines of the screen besides deliveries.
_OTHER_ROWS: Final = 14
#: Width of the screen at most, characters.
_MAX_WIDTH: Final = 130
#: Width of the frame, characters.
_FRAME: Final = 4


class DemoColumn(NamedTuple):
    """One column of the deliveries' table."""

    heading: str
    #: Counter to show.
    name: str
    #: If set, the counter's share in this one is shown.
    of: str = ""
    #: 0: always shown; the others are added in this order while they fit.
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
#: Width of a number at least, so that columns keep their width while it grows.
_DIGITS: Final = 5
_SHARE_DIGITS: Final = len("100.0%")
#: Width of a delivery's name at least, before further columns are added.
_NAME_WIDTH: Final = 18


class DemoRenderer:
    """Renders the demo's screen.

    Args:
        title: of the run.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._seen: dict[tuple[str, str], tuple[int, float]] = {}

    def live(self, progress: DemoProgress, width: int, height: int) -> RenderableType:
        """Return the screen during the campaign."""
        table = self._deliveries(progress.snapshot.deliveries, width, max(3, height - _OTHER_ROWS))
        return Group(
            self._panel(table, width),
            Padding(_progress(progress, width), (0, 2)),
            Padding(_pipeline(progress), (0, 2)),
            Padding(_decisions_line(progress.snapshot.decisions), (0, 2)),
        )

    def final(self, report: CheckReport, width: int) -> RenderableType:
        """Return the last screen."""
        table = self._deliveries(report.kpis, width, len(report.kpis), highlight=False)
        return Group(
            self._panel(table, width),
            Padding(_decisions_table(report), (0, 2, 1, 2)),
        )

    def _panel(self, content: RenderableType, width: int) -> Panel:
        return Panel(
            content,
            title=Line.assemble(("Aftersend", f"bold {_ACCENT}"), f" · {self._title}"),
            title_align="left",
            border_style=_QUIET,
            box=box.ROUNDED,
            padding=(0, 1),
            width=min(width, _MAX_WIDTH),
        )

    def _deliveries(
        self, deliveries: Mapping[str, Counter[str]], width: int, rows: int, *, highlight: bool = True
    ) -> LineTable:
        total: Counter[str] = Counter()
        for counters in deliveries.values():
            total.update(counters)
        columns, left = _fitting(total, min(width, _MAX_WIDTH) - _FRAME)
        table = LineTable(box=None, pad_edge=False, padding=(0, 1, 0, 0), show_footer=True, header_style=_ACCENT)
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
        # The largest deliveries, by name.
        shown = sorted(sorted(deliveries, key=lambda name: -deliveries[name]["audience"])[:rows])
        names = apart(shown, left)
        for delivery_id in shown:
            counters = deliveries[delivery_id]
            cells = [self._cell(delivery_id, counters, column, highlight=highlight) for column in columns]
            name = Line(names[delivery_id]) if delivery_id else Line(_NO_DELIVERY, style=_QUIET)
            table.add_row(name, *cells)
        if len(deliveries) > len(shown):
            table.add_row(Line(f"… {len(deliveries) - len(shown)} more", style=_QUIET))
        return table

    def _cell(self, delivery_id: str, counters: Counter[str], column: DemoColumn, *, highlight: bool) -> Line:
        text = _value(counters, column)
        if column.of:
            return Line(text, style=_QUIET)
        key, now = (delivery_id, column.name), time.monotonic()
        value, since = self._seen.get(key, (-1, 0.0))
        if value != counters[column.name]:
            since = now
            self._seen[key] = counters[column.name], since
        return Line(text, style=_CHANGED if highlight and now - since < _HIGHLIGHT_SECONDS else "")


def _fitting(total: Counter[str], room: int) -> tuple[list[DemoColumn], int]:
    """Return the columns that fit, and the width that is left for names."""
    chosen = {column for column in COLUMNS if not column.turn}
    left = room - sum(_width(total, column) + 1 for column in chosen)
    for column in sorted((column for column in COLUMNS if column.turn), key=lambda column: column.turn):
        if left - _width(total, column) - 1 < _NAME_WIDTH:
            break
        left -= _width(total, column) + 1
        chosen.add(column)
    return [column for column in COLUMNS if column in chosen], max(left - 1, 1)


def _width(total: Counter[str], column: DemoColumn) -> int:
    """Return the width of a column: no value is longer than the total's."""
    if column.of:
        return _SHARE_DIGITS
    return max(len(column.heading), _DIGITS, len(_value(total, column)))


def _value(counters: Counter[str], column: DemoColumn) -> str:
    number = counters[column.name]
    if not column.of:
        return f"{number:,}"
    return f"{number / counters[column.of]:.1%}" if counters[column.of] else "-"


def _progress(progress: DemoProgress, width: int) -> RenderableType:
    grid = LineTable.grid(padding=(0, 1), expand=False)
    grid.add_row(
        Line("campaign time", style=_QUIET),
        Line(local_time(progress.clock), style="bold"),
        ProgressBar(
            total=1.0, completed=progress.share, width=max(10, min(width, _MAX_WIDTH) - 58), complete_style=_ACCENT
        ),
        Line(f"{progress.share:4.0%}"),
    )
    return grid


def _pipeline(progress: DemoProgress) -> RenderableType:
    folded = sum(progress.snapshot.decisions.values())
    waiting = max(0, progress.written - progress.snapshot.parsed)
    arrow = (" → ", _QUIET)
    return Line.assemble(
        ("raw ", _QUIET),
        (f"{progress.written:,}", "bold"),
        arrow,
        ("parsed ", _QUIET),
        (f"{progress.snapshot.parsed:,}", "bold"),
        arrow,
        ("counted ", _QUIET),
        (f"{folded:,}", "bold"),
        ("   waiting ", _QUIET),
        (f"{waiting:,}", "bold"),
        (f"   {progress.speed:,.0f}/s", _ACCENT),
    )


def _decisions_line(decisions: Counter[str]) -> Line:
    parts = [((f"{name} ", _QUIET), (f"{decisions[name]:,}", "bold")) for name in DECISIONS if decisions[name]]
    text = Line()
    for number, ((name, quiet), (count, bold)) in enumerate(parts):
        text.append("   " if number else "")
        text.append(name, style=quiet)
        text.append(count, style=bold)
    return text


#: Meaning of each decision.
MEANINGS: Final = {
    "applied": "moved the status forward",
    "duplicate": "same event id as before",
    "lower_priority": "counted, status unchanged",
    "terminal_locked": "counted, status was final",
    "late": "after the statistics period",
    "test": "test message, counted apart",
    "unattributed": "without delivery or recipient",
}


def _decisions_table(report: CheckReport) -> LineTable:
    """Return the events by decision and source."""
    sources = sorted({source for source, _, _ in report.decisions})
    table = LineTable(box=None, pad_edge=False, padding=(0, 2, 0, 0))
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


def result_line(report: CheckReport) -> Line:
    """Return the line with the result of the verification."""
    mark, style, word = ("✓", "bold green", "equal") if report.equal else ("✗", "bold red", "differ")
    return (
        Line()
        .append(f"{mark} numbers {word}", style)
        .append(
            f": {report.events:,} events from {report.raw_records:,} raw records ({report.unreadable} unreadable), "
            f"{report.rows:,} recipients' rows, {report.contacts:,} contacts, KPIs of {report.deliveries} deliveries "
            "in Kafka and Redis, compared with the reference implementation's fold of the same input"
        )
    )


def progress_line(progress: DemoProgress) -> str:
    """Return the progress as one line."""
    return (
        f"{local_time(time.time())}  campaign time {local_time(progress.clock)} ({progress.share:.0%}), "
        f"{progress.written:,} raw records, {progress.snapshot.parsed:,} parsed, "
        f"{sum(progress.snapshot.decisions.values()):,} events counted"
    )


def local_time(seconds: float) -> str:
    """Return a time (seconds since 1970) in this machine's time zone; a dash for 0."""
    if not seconds:
        return "-"
    return in_this_zone(seconds).isoformat(sep=" ", timespec="seconds")
