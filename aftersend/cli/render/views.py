"""Views of a delivery side by side, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aftersend.cli.render.output import count, share, table
from aftersend.rules.views import VIEWS
from aftersend.rules.views.base import ViewReport


def picture(delivery_id: str, reports: Sequence[ViewReport]) -> RenderableType:
    """Return views of a delivery side by side."""
    parts: list[RenderableType] = [Text(delivery_id or "(no delivery id)", style="bold")]
    parts += [Text(f"{report.view}: {VIEWS[report.view].title}", style="dim") for report in reports]
    for title, numbers in (
        ("Statuses", [report.statuses for report in reports]),
        ("Counts", [report.counts | report.totals for report in reports]),
    ):
        parts += ["", _side_by_side(title, reports, [{n: count(v) for n, v in of.items()} for of in numbers])]
    rates = [
        {name: f"{share(r.value)} = {count(r.numerator)} / {count(r.denominator)}" for name, r in of.rates.items()}
        for of in reports
    ]
    parts += ["", _side_by_side("Rates", reports, rates)]
    return Group(*parts)


def _side_by_side(title: str, reports: Sequence[ViewReport], values: Sequence[dict[str, str]]) -> Table:
    """Return a table with a line for each name that any view has, in the order in which they first come."""
    headings = tuple(report.view for report in reports)
    result = table(title, "", *headings, right=headings)
    for name in dict.fromkeys(name for of in values for name in of):
        result.add_row(name.replace("_", " "), *(of.get(name, "") for of in values))
    return result
