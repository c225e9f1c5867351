"""KPIs of deliveries as tables: one delivery, a list of deliveries, views side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from rich.columns import Columns
from rich.console import Group, RenderableType

from aftersend.cli.render.output import Line, LineTable, count, local, share, table
from aftersend.locale.catalogue import name_of
from aftersend.locale.languages import ENGLISH, LanguageCode
from aftersend.publish.kpis import Kpis
from aftersend.rules.views import VIEWS
from aftersend.rules.views.base import ViewReport
from aftersend.services.names.terms import DECISION, HEADING, KPI, RATE, STATUS
from aftersend.services.names.views import ViewNames

#: KPIs in the list of deliveries.
_LISTED: Final = (
    "audience",
    "sent",
    "delivered",
    "hard_bounced",
    "unique_opens",
    "unique_clicks",
    "unsubscribed",
    "complained",
)
_NO_ID: Final = "(no delivery id)"


def kpi_list(deliveries: Sequence[Kpis], language: LanguageCode = ENGLISH) -> LineTable:
    """Return a table of deliveries, with names in a language."""
    numbers = tuple(name_of(language, KPI, name) for name in _LISTED)
    rate = name_of(language, RATE, "open_rate")
    result = table("", "delivery", *numbers, rate, "last change", right=(*numbers, rate))
    for one in deliveries:
        result.add_row(
            Line(one.delivery_id) if one.delivery_id else Line(_NO_ID, style="dim"),
            *(count(one.kpis[name]) for name in _LISTED),
            share(one.rates()["open_rate"].value),
            local(one.updated_at),
        )
    return result


def kpi_details(kpis: Kpis, language: LanguageCode = ENGLISH) -> RenderableType:
    """Return all KPIs of one delivery, with names in a language."""
    title = Line(kpis.delivery_id or _NO_ID, style="bold")
    title.append(f"   {local(kpis.started_at)} to {local(kpis.updated_at)}", style="dim")
    if kpis.silent:
        expected = "" if kpis.expected_audience is None else f", {count(kpis.expected_audience)} recipients expected"
        title.append(f"   declared, without an event so far{expected}", style="yellow")
    if kpis.archived:
        title.append("   archived: the recipients' rows are deleted, the KPIs stay", style="yellow")
    rates = table(name_of(language, HEADING, "Rates"), "", "rate", "of", right=("rate",))
    for name, rate in kpis.rates().items():
        of = f"{count(rate.numerator)} {name_of(language, KPI, rate.numerator_name)} / "
        of += f"{count(rate.denominator)} {name_of(language, KPI, rate.denominator_name)}"
        rates.add_row(name_of(language, RATE, name), share(rate.value), of)
    statuses = _numbers("Statuses", STATUS, kpis.statuses, language)
    right = Group(rates, "", statuses, "", _numbers("Decisions", DECISION, kpis.decisions, language))
    return Group(title, "", Columns([_numbers("Counts", KPI, kpis.kpis, language), right], padding=(0, 4)))


def _numbers(heading: str, context: str, numbers: dict[str, int], language: LanguageCode) -> LineTable:
    result = table(name_of(language, HEADING, heading), "", "number", right=("number",))
    result.show_header = False
    for name, number in numbers.items():
        result.add_row(name_of(language, context, name), count(number), style="" if number else "dim")
    return result


def views_side_by_side(
    delivery_id: str, reports: Sequence[ViewReport], language: LanguageCode = ENGLISH
) -> RenderableType:
    """Return views of one delivery, a column each, with the products' own names.

    Args:
        delivery_id: of the delivery.
        reports: of the views.
        language: of the names.
    """
    names = [ViewNames(VIEWS[report.view], language) for report in reports]
    parts: list[RenderableType] = [Line(delivery_id or _NO_ID, style="bold")]
    parts += [Line(f"{of.view}: {named.title}", style="dim") for of, named in zip(reports, names, strict=True)]
    statuses = [{n: count(v) for n, v in of.statuses.items()} for of in reports]
    numbers = [{n: count(v) for n, v in (of.counts | of.totals).items()} for of in reports]
    rates = [
        {name: f"{share(r.value)} = {count(r.numerator)} / {count(r.denominator)}" for name, r in of.rates.items()}
        for of in reports
    ]
    blocks = _together(named.block for named in names)
    for title, values, titles in (
        (name_of(language, HEADING, "Statuses"), statuses, [named.status for named in names]),
        (blocks, numbers, [named.number for named in names]),
        (name_of(language, HEADING, "Rates"), rates, [named.rate for named in names]),
    ):
        parts += ["", _columns(title, reports, values, titles)]
    return Group(*parts)


def _columns(
    title: str,
    reports: Sequence[ViewReport],
    values: Sequence[dict[str, str]],
    titles: Sequence[Callable[[str], str]],
) -> LineTable:
    """Return a table with a line for each key in any view, in the order of first occurrence.

    Args:
        title: of the table.
        reports: of the views.
        values: by key, of each view.
        titles: of each view: the name of a key.
    """
    headings = tuple(report.view for report in reports)
    result = table(title, "", *headings, right=headings)
    for key in dict.fromkeys(key for of in values for key in of):
        names = (title_of(key) for of, title_of in zip(values, titles, strict=True) if key in of)
        result.add_row(_together(names), *(of.get(key, "") for of in values))
    return result


def _together(names: Iterable[str]) -> str:
    """Return what products call the same thing, each name once."""
    return " / ".join(dict.fromkeys(names))
