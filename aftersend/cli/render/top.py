"""Screen of `aftersend top`, fitted to the width and height of the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from rich.console import Group, RenderableType

from aftersend.cli.render.names import apart
from aftersend.cli.render.output import Line, LineTable, count, local, share
from aftersend.services.monitor.rates import DeliveryRate, Rates, TopicRate

#: Lag from which a topic is shown as behind (yellow), and as far behind (red), seconds.
_BEHIND_SECONDS: Final = 5.0
_FAR_BEHIND_SECONDS: Final = 60.0
#: Header line of the deliveries' table, and the line below the screen that a terminal keeps free.
_HEADER_LINES: Final = 2
_NAME_WIDTH: Final = 12
_GAP: Final = 2
_NUMBER_WIDTH: Final = 7
#: Rates below this are shown with a decimal.
_DECIMAL_BELOW: Final = 10
#: Time spans: below the limit (seconds) they are shown in this unit, with so many decimals.
_SPANS: Final = ((10.0, 1, "s", 1), (120.0, 1, "s", 0), (7200.0, 60, "min", 0), (172_800.0, 3600, "h", 0))
_DAY_SECONDS: Final = 86_400


class TopColumn(NamedTuple):
    """One column of the deliveries' table."""

    heading: str
    width: int
    #: On a narrow terminal the column with the lowest priority is left out first.
    priority: int
    cell: Callable[[DeliveryRate], str]


def _kpi(name: str) -> Callable[[DeliveryRate], str]:
    return lambda delivery: count(delivery.kpis.kpis[name])


def _rate(name: str) -> Callable[[DeliveryRate], str]:
    return lambda delivery: share(delivery.kpis.rates()[name].value)


COLUMNS: Final = (
    TopColumn("events/s", 9, 8, lambda delivery: per_second(delivery.per_second)),
    TopColumn("audience", 10, 5, _kpi("audience")),
    TopColumn("sent", 10, 3, _kpi("sent")),
    TopColumn("delivered", 10, 10, _kpi("delivered")),
    TopColumn("opens", 10, 9, _kpi("unique_opens")),
    TopColumn("clicks", 9, 9, _kpi("unique_clicks")),
    TopColumn("bounces", 8, 7, _kpi("hard_bounced")),
    TopColumn("unsubs", 7, 4, _kpi("unsubscribed")),
    TopColumn("spam", 6, 6, _kpi("complained")),
    TopColumn("delivered %", 11, 2, _rate("delivered_rate")),
    TopColumn("opened %", 8, 6, _rate("open_rate")),
    TopColumn("clicked %", 9, 3, _rate("click_through_rate")),
    TopColumn("last change", 25, 1, lambda delivery: local(delivery.kpis.updated_at)),
)


def per_second(value: float | None) -> str:
    """Return a rate as text; a dash for None."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= _DECIMAL_BELOW or not value else f"{value:.1f}"


def time_span(seconds: float) -> str:
    """Return a time span in the unit that fits."""
    for limit, divisor, unit, decimals in _SPANS:
        if seconds < limit:
            return f"{seconds / divisor:.{decimals}f} {unit}"
    return f"{seconds / _DAY_SECONDS:.0f} d"


def fitting(columns: tuple[TopColumn, ...], width: int) -> tuple[TopColumn, ...]:
    """Return the columns that fit beside the delivery's name, in their order."""
    kept = list(columns)
    while kept and _NAME_WIDTH + sum(column.width + _GAP for column in kept) > width:
        kept.remove(min(kept, key=lambda column: column.priority))
    return tuple(kept)


def screen(rates: Rates, width: int, height: int | None, deliveries: int, footer: str = "") -> RenderableType:
    """Return the screen.

    Args:
        rates: what to show.
        width: of the terminal, characters.
        height: of the terminal, lines; None: unlimited.
        deliveries: number of deliveries to show at most.
        footer: the last line.
    """
    parts: list[RenderableType] = [_title(rates), *(Line(problem, style="red") for problem in rates.problems)]
    parts += [Line(), _topics(rates.topics, width), Line(), _decisions(rates, width), Line()]
    # A problem's message may wrap.
    above = len(parts) + len(rates.topics) + sum(len(problem) // max(1, width) for problem in rates.problems)
    room = deliveries if height is None else min(deliveries, max(1, height - above - _HEADER_LINES - bool(footer)))
    shown = rates.deliveries[:room]
    parts.append(_deliveries(shown, width))
    if left := len(rates.deliveries) - len(shown):
        footer = f"{left:,} more deliveries{'; ' + footer if footer else ''}"
    if footer:
        parts.append(Line(footer, style="dim", no_wrap=True, overflow="ellipsis"))
    return Group(*parts)


def _title(rates: Rates) -> Line:
    title = Line("aftersend", style="bold", no_wrap=True, overflow="ellipsis")
    title.append(f"  {local(rates.at)}", style="dim")
    style = "bold green" if rates.events_per_second else ""
    title.append(f"  {per_second(rates.events_per_second)} events/s", style=style)
    lag = max((topic.lag_seconds for topic in rates.topics), default=0.0)
    if rates.topics:
        title.append(f"  lag {time_span(lag)}", style=_lag_style(lag))
    return title


def _lag_style(seconds: float) -> str:
    return "" if seconds < _BEHIND_SECONDS else "yellow" if seconds < _FAR_BEHIND_SECONDS else "bold red"


def _table() -> LineTable:
    return LineTable(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")


def _topics(topics: list[TopicRate], width: int) -> LineTable:
    table = _table()
    # The numbers keep their width; the names get the rest.
    longest = max((len(topic.topic) for topic in topics), default=0)
    name_width = max(_NAME_WIDTH - _GAP, min(longest, width - 3 * (_NUMBER_WIDTH + _GAP)))
    table.add_column("topic", no_wrap=True, overflow="ellipsis", width=name_width)
    for heading in ("read/s", "waiting", "lag"):
        table.add_column(heading, justify="right", no_wrap=True, min_width=_NUMBER_WIDTH)
    for topic in topics:
        style = "bold red" if topic.lost else _lag_style(topic.lag_seconds)
        lag = time_span(topic.lag_seconds) + (f", {count(topic.lost)} lost" if topic.lost else "")
        table.add_row(topic.topic, per_second(topic.per_second), count(topic.waiting), lag, style=style)
    return table


def _decisions(rates: Rates, width: int) -> Line:
    text = Line(no_wrap=True, overflow="ellipsis", end="")
    used = 0
    for name, number in rates.decisions.items():
        if not number:
            continue
        rate = rates.decisions_per_second.get(name)
        part = f"{name.replace('_', ' ')} {count(number)} ({per_second(rate)}/s)   "
        used += len(part)
        if used > width:
            break
        text.append(part, style="" if rate else "dim")
    return text


def _deliveries(shown: list[DeliveryRate], width: int) -> LineTable:
    columns = fitting(COLUMNS, width)
    table = _table()
    taken = sum(column.width + _GAP for column in columns)
    # The names get the rest, but no more than the longest needs.
    longest = max((len(delivery.kpis.delivery_id) for delivery in shown), default=0)
    name_width = max(_NAME_WIDTH - _GAP, min(longest, width - taken - _GAP))
    table.add_column("delivery", no_wrap=True, overflow="ellipsis", width=name_width)
    for column in columns:
        table.add_column(column.heading, justify="right", no_wrap=True, min_width=column.width, overflow="ellipsis")
    names = apart((delivery.kpis.delivery_id for delivery in shown), name_width)
    for delivery in shown:
        delivery_id = delivery.kpis.delivery_id
        name = Line(names[delivery_id] or "(no delivery id)", style="" if delivery_id else "dim")
        cells = (column.cell(delivery) for column in columns)
        table.add_row(name, *cells, style="" if delivery.per_second else "dim")
    return table
