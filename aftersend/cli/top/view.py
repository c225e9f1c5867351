"""How `aftersend top` draws things: as wide and as high as there is room for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aftersend.cli.render.output import count, local, share
from aftersend.services.monitor.rates import Flow, Moving, Pulse

#: A topic whose next record has waited so long is behind, seconds, and one that is so far behind needs help.
_BEHIND: Final = 5.0
_FAR_BEHIND: Final = 60.0
#: Lines that are not rows of the deliveries: heading, its line, footing.
_MARGIN: Final = 1
_NAME_WIDTH: Final = 12
_GAP: Final = 2
_NUMBER_WIDTH: Final = 7


class Column(NamedTuple):
    """A column of the deliveries."""

    heading: str
    width: int
    #: The lowest is left out first where there is no room.
    priority: int
    show: Callable[[Moving], str]


def _kpi(name: str) -> Callable[[Moving], str]:
    return lambda one: count(one.kpis.kpis[name])


def _rate(name: str) -> Callable[[Moving], str]:
    return lambda one: share(one.kpis.rates()[name].value)


COLUMNS: Final = (
    Column("events/s", 9, 8, lambda one: speed(one.per_second)),
    Column("audience", 10, 5, _kpi("audience")),
    Column("sent", 10, 3, _kpi("sent")),
    Column("delivered", 10, 10, _kpi("delivered")),
    Column("opens", 10, 9, _kpi("unique_opens")),
    Column("clicks", 9, 9, _kpi("unique_clicks")),
    Column("bounces", 8, 7, _kpi("hard_bounced")),
    Column("unsubs", 7, 4, _kpi("unsubscribed")),
    Column("spam", 6, 6, _kpi("complained")),
    Column("delivered %", 11, 2, _rate("delivered_rate")),
    Column("opened %", 8, 6, _rate("open_rate")),
    Column("clicked %", 9, 3, _rate("click_through_rate")),
    Column("last change", 25, 1, lambda one: local(one.kpis.updated_at)),
)


def speed(value: float | None) -> str:
    """Return a number a second; a dash where it is not known."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 10 or not value else f"{value:.1f}"  # noqa: PLR2004 - digits that matter


def span(seconds: float) -> str:
    """Return a span of time in the unit that fits."""
    for limit, divisor, unit in ((10.0, 1, "s"), (120.0, 1, "s"), (7200.0, 60, "min"), (172_800.0, 3600, "h")):
        if seconds < limit:
            return f"{seconds / divisor:.{1 if limit == 10.0 else 0}f} {unit}"  # noqa: PLR2004 - a digit for short ones
    return f"{seconds / 86_400:.0f} d"


def fitting(columns: tuple[Column, ...], width: int) -> tuple[Column, ...]:
    """Return the columns that there is room for beside the name, in their order."""
    kept = list(columns)
    while kept and _NAME_WIDTH + sum(column.width + _GAP for column in kept) > width:
        kept.remove(min(kept, key=lambda column: column.priority))
    return tuple(kept)


def screen(pulse: Pulse, width: int, height: int | None, deliveries: int, footing: str = "") -> RenderableType:
    """Return a picture.

    Args:
        pulse: what to show.
        width: columns of text there are.
        height: lines there are; None: any number.
        deliveries: show at most so many.
        footing: the last line.
    """
    parts: list[RenderableType] = [_title(pulse), *(Text(problem, style="red") for problem in pulse.problems)]
    parts += [Text(), _pipeline(pulse.flows, width), Text(), _decisions(pulse, width), Text()]
    # Whatever a problem's words need when they are folded.
    above = len(parts) + len(pulse.flows) + sum(len(problem) // max(1, width) for problem in pulse.problems)
    room = deliveries if height is None else min(deliveries, max(1, height - above - _MARGIN - 1 - bool(footing)))
    shown = pulse.deliveries[:room]
    parts.append(_deliveries(shown, width))
    if left := len(pulse.deliveries) - len(shown):
        footing = f"{left:,} more deliveries{'; ' + footing if footing else ''}"
    if footing:
        parts.append(Text(footing, style="dim", no_wrap=True, overflow="ellipsis"))
    return Group(*parts)


def _title(pulse: Pulse) -> Text:
    title = Text("aftersend", style="bold", no_wrap=True, overflow="ellipsis")
    title.append(f"  {local(pulse.at)}", style="dim")
    title.append(f"  {speed(pulse.events_per_second)} events/s", style="bold green" if pulse.events_per_second else "")
    worst = max((flow.seconds for flow in pulse.flows), default=0.0)
    if pulse.flows:
        title.append(f"  lag {span(worst)}", style=_style(worst))
    return title


def _style(seconds: float) -> str:
    return "" if seconds < _BEHIND else "yellow" if seconds < _FAR_BEHIND else "bold red"


def _table() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")


def _pipeline(flows: list[Flow], width: int) -> Table:
    table = _table()
    # Numbers first; names get what is left.
    longest = max((len(flow.topic) for flow in flows), default=0)
    name_width = max(_NAME_WIDTH - _GAP, min(longest, width - 3 * (_NUMBER_WIDTH + _GAP)))
    table.add_column("topic", no_wrap=True, overflow="ellipsis", width=name_width)
    for heading in ("read/s", "waiting", "lag"):
        table.add_column(heading, justify="right", no_wrap=True, min_width=_NUMBER_WIDTH)
    for flow in flows:
        style = "bold red" if flow.lost else _style(flow.seconds)
        lag = span(flow.seconds) + (f", {count(flow.lost)} lost" if flow.lost else "")
        table.add_row(flow.topic, speed(flow.per_second), count(flow.waiting), lag, style=style)
    return table


def _decisions(pulse: Pulse, width: int) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis", end="")
    used = 0
    for name, number in pulse.decisions.items():
        if not number:
            continue
        rate = pulse.decisions_per_second.get(name)
        part = f"{name.replace('_', ' ')} {count(number)} ({speed(rate)}/s)   "
        used += len(part)
        if used > width:
            break
        text.append(part, style="" if rate else "dim")
    return text


def _deliveries(shown: list[Moving], width: int) -> Table:
    columns = fitting(COLUMNS, width)
    table = _table()
    taken = sum(column.width + _GAP for column in columns)
    # The names get what is left, but no more than the longest needs.
    longest = max((len(one.kpis.delivery_id) for one in shown), default=0)
    name_width = max(_NAME_WIDTH - _GAP, min(longest, width - taken - _GAP))
    table.add_column("delivery", no_wrap=True, overflow="ellipsis", width=name_width)
    for column in columns:
        table.add_column(column.heading, justify="right", no_wrap=True, min_width=column.width, overflow="ellipsis")
    for one in shown:
        name = Text(one.kpis.delivery_id or "(no delivery id)", style="" if one.kpis.delivery_id else "dim")
        table.add_row(name, *(column.show(one) for column in columns), style="" if one.per_second else "dim")
    return table
