"""KPIs of deliveries as tables: one delivery, a list of deliveries, views side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.columns import Columns
from rich.console import Group, RenderableType

from aftersend.cli.render.output import Line, LineTable, count, local, share, table
from aftersend.publish.kpis import Kpis
from aftersend.rules.views import VIEWS
from aftersend.rules.views.base import ViewReport

#: KPIs in the list of deliveries, and their headings.
_LISTED: Final = (
    ("audience", "audience"),
    ("sent", "sent"),
    ("delivered", "delivered"),
    ("hard_bounced", "hard bounces"),
    ("unique_opens", "opens"),
    ("unique_clicks", "clicks"),
    ("unsubscribed", "unsubscribed"),
    ("complained", "complained"),
)
_NO_ID: Final = "(no delivery id)"


def kpi_list(deliveries: Sequence[Kpis]) -> LineTable:
    """Return a table of deliveries."""
    numbers = tuple(heading for _, heading in _LISTED)
    result = table("", "delivery", *numbers, "open rate", "last change", right=(*numbers, "open rate"))
    for one in deliveries:
        result.add_row(
            Line(one.delivery_id) if one.delivery_id else Line(_NO_ID, style="dim"),
            *(count(one.kpis[name]) for name, _ in _LISTED),
            share(one.rates()["open_rate"].value),
            local(one.updated_at),
        )
    return result


def kpi_details(kpis: Kpis) -> RenderableType:
    """Return all KPIs of one delivery."""
    title = Line(kpis.delivery_id or _NO_ID, style="bold")
    title.append(f"   {local(kpis.started_at)} to {local(kpis.updated_at)}", style="dim")
    if kpis.archived:
        title.append("   archived: the recipients' rows are deleted, the KPIs stay", style="yellow")
    rates = table("Rates", "", "rate", "of", right=("rate",))
    for name, rate in kpis.rates().items():
        of = f"{count(rate.numerator)} {_words(rate.numerator_name)} / "
        of += f"{count(rate.denominator)} {_words(rate.denominator_name)}"
        rates.add_row(_words(name), share(rate.value), of)
    right = Group(rates, "", _numbers("Statuses", kpis.statuses), "", _numbers("Decisions", kpis.decisions))
    return Group(title, "", Columns([_numbers("Counts", kpis.kpis), right], padding=(0, 4)))


def _numbers(title: str, numbers: dict[str, int]) -> LineTable:
    result = table(title, "", "number", right=("number",))
    result.show_header = False
    for name, number in numbers.items():
        result.add_row(_words(name), count(number), style="" if number else "dim")
    return result


def _words(name: str) -> str:
    return name.replace("_", " ")


def views_side_by_side(delivery_id: str, reports: Sequence[ViewReport]) -> RenderableType:
    """Return views of one delivery, a column each."""
    parts: list[RenderableType] = [Line(delivery_id or _NO_ID, style="bold")]
    parts += [Line(f"{report.view}: {VIEWS[report.view].title}", style="dim") for report in reports]
    for title, numbers in (
        ("Statuses", [report.statuses for report in reports]),
        ("Counts", [report.counts | report.totals for report in reports]),
    ):
        parts += ["", _columns(title, reports, [{n: count(v) for n, v in of.items()} for of in numbers])]
    rates = [
        {name: f"{share(r.value)} = {count(r.numerator)} / {count(r.denominator)}" for name, r in of.rates.items()}
        for of in reports
    ]
    parts += ["", _columns("Rates", reports, rates)]
    return Group(*parts)


def _columns(title: str, reports: Sequence[ViewReport], values: Sequence[dict[str, str]]) -> LineTable:
    """Return a table with a line for each name in any view, in the order of first occurrence."""
    headings = tuple(report.view for report in reports)
    result = table(title, "", *headings, right=headings)
    for name in dict.fromkeys(name for of in values for name in of):
        result.add_row(_words(name), *(of.get(name, "") for of in values))
    return result
