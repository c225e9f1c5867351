"""`aftersend kpi`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from cyclopts import Parameter
from rich.live import Live

from aftersend.cli.context import Json, Language, NameLanguage, command_settings, name_language, wait_for
from aftersend.cli.render.kpi import kpi_details, kpi_list, views_side_by_side
from aftersend.cli.render.output import Line, console, print_json
from aftersend.config.settings import Settings
from aftersend.errors import AftersendError, UsageError
from aftersend.publish.kpis import Kpis
from aftersend.rules.views.base import ViewReport
from aftersend.services.kpis import views
from aftersend.services.kpis.live import RedisKpis
from aftersend.services.kpis.silent import read_silent, silent_beside_redis
from aftersend.services.kpis.stored import read_stored
from aftersend.services.names.labels import with_labels

#: Names of `aftersend.rules.views.VIEWS`, and `aftersend.services.kpis.views.DECLARED`.
ViewName = Literal["without-efs", "efs", "v8", "enhanced-mta", "creatio", "escala", "declared"]


Delivery = Annotated[str | None, Parameter(help="Delivery id; without it, all deliveries are listed.")]
Source = Annotated[
    Literal["redis", "kafka"],
    Parameter(
        name="--from",
        help="redis: live KPIs, of deliveries that have not expired there (AFTERSEND_REDIS_EXPIRY_DAYS). kafka: the "
        "KPI topic, with every delivery.",
    ),
]
View = Annotated[
    list[ViewName] | None,
    Parameter(
        negative="",
        help="Show the delivery as this product does, by its names and rules; several views are shown side by side. "
        '"declared" is the policy in the delivery\'s declaration. Views are always read from Kafka.',
    ),
]
Watch = Annotated[
    bool,
    Parameter(negative="", show_default=False, help="Keep running and show every change; with --json, one line each."),
]
Limit = Annotated[int, Parameter(help="Number of deliveries to list.")]
AsJson = Annotated[Json, Parameter(help="JSON: one object, or one line for each delivery of a list.")]


def kpi(
    delivery: Delivery = None,
    /,
    *,
    source: Source = "redis",
    view: View = None,
    watch: Watch = False,
    limit: Limit = 50,
    language: Language = None,
    as_json: AsJson = False,
) -> None:
    """Show the KPIs of a delivery, or list the deliveries.

    Counts of recipients are based on facts, which are never removed: a recipient with a delivery, an open and a
    complaint counts in all three. Every rate is shown with its numerator and denominator. "Decisions" counts the events
    by decision; each event has exactly one. A delivery that is declared and has no event so far is shown with zeros.

    For example:

        aftersend kpi                            # all deliveries, the latest first
        aftersend kpi spring-sale --watch        # one delivery, live
        aftersend kpi spring-sale --json | jq .rates.open_rate
        aftersend kpi spring-sale --from kafka   # from the KPI topic instead of Redis
        aftersend kpi spring-sale --view efs --view v8    # as other products show it
        aftersend kpi spring-sale --view declared --watch # in the view that its declaration names, live
        aftersend kpi spring-sale --view efs --language es # with the product's Spanish names

    Events without a delivery id are counted under the empty one: `aftersend kpi ""`.

    Exit codes: 0 done, 1 unknown delivery or Redis does not answer, 3 invalid settings, 4 Kafka does not answer.
    """
    settings = command_settings()
    output = _KpiOutput(as_json, name_language(language))
    if delivery is None:
        if view or watch:
            raise UsageError(f"{'--view' if view else '--watch'} needs a delivery: `aftersend kpi` lists them")
        _print_list(sorted(_all(settings, source), key=lambda kpis: -kpis.updated_at), limit, output)
    elif view:
        wait_for(_show_views(settings, delivery, view, output, watch=watch))
    else:
        _show(settings, delivery, source, output, watch=watch)


class _KpiOutput(NamedTuple):
    """How to print KPIs."""

    as_json: bool
    names: NameLanguage

    def kpis(self, kpis: Kpis) -> dict[str, Any]:
        return with_labels(kpis.as_json(), self.names.of_labels)

    def views(self, delivery: str, reports: list[ViewReport]) -> dict[str, Any]:
        return views.as_json(delivery, reports, self.names.of_labels)


def _show(settings: Settings, delivery: str, source: str, output: _KpiOutput, *, watch: bool) -> None:
    if source == "kafka":
        if watch:
            raise UsageError("--watch reads Redis: leave --from out")
        found = wait_for(read_stored(settings))
        silent = {} if delivery in found else wait_for(read_silent(settings, (), delivery))
        _print(found.get(delivery) or silent.get(delivery), delivery, "Kafka", output)
    elif watch:
        _watch(RedisKpis(settings), delivery, output)
    else:
        kpis = RedisKpis(settings).read(delivery)
        if kpis is None:
            kpis = wait_for(silent_beside_redis(settings, (), delivery)).get(delivery)
        _print(kpis, delivery, "Redis", output)


def _all(settings: Settings, source: str) -> list[Kpis]:
    """Return all deliveries, with those that are declared and have no event so far."""
    if source == "kafka":
        found = wait_for(read_stored(settings))
        return [*found.values(), *wait_for(read_silent(settings, found)).values()]
    found = {kpis.delivery_id: kpis for kpis in RedisKpis(settings).read_all()}
    return [*found.values(), *wait_for(silent_beside_redis(settings, found)).values()]


def _unknown(delivery: str, server: str) -> AftersendError:
    hint = "; deliveries that have expired in Redis are in Kafka: try --from kafka" if server == "Redis" else ""
    return AftersendError(f"{server} has no delivery {delivery!r} (`aftersend kpi` lists them){hint}")


def _print(kpis: Kpis | None, delivery: str, server: str, output: _KpiOutput) -> None:
    if kpis is None:
        raise _unknown(delivery, server)
    if output.as_json:
        print_json(output.kpis(kpis))
    else:
        console().print(kpi_details(kpis, output.names.language))


def _print_list(deliveries: list[Kpis], limit: int, output: _KpiOutput) -> None:
    if output.as_json:
        for one in deliveries[:limit]:
            print_json(output.kpis(one))
        return
    screen = console()
    screen.print(kpi_list(deliveries[:limit], output.names.language))
    if len(deliveries) > limit:
        screen.print(f"{len(deliveries) - limit} more: --limit {len(deliveries)}")


def _watch(live: RedisKpis, delivery: str, output: _KpiOutput) -> None:
    if output.as_json:
        for kpis in live.follow(delivery):
            print_json(output.kpis(kpis))
        return
    with Live(Line(f"waiting for {delivery}"), console=console(), auto_refresh=False) as screen:
        for kpis in live.follow(delivery):
            screen.update(kpi_details(kpis, output.names.language), refresh=True)


async def _show_views(
    settings: Settings, delivery: str, names: Sequence[str], output: _KpiOutput, *, watch: bool
) -> None:
    names = await views.resolve_declared(settings, delivery, names)
    if watch:
        await _watch_views(views.follow_reports(settings, delivery, names), delivery, output)
        return
    reports = await views.read_reports(settings, delivery, names)
    if not reports and await read_silent(settings, (), delivery):
        reports = views.reports_of({}, {}, names)
    if not reports:
        raise _unknown(delivery, "Kafka")
    if output.as_json:
        print_json(output.views(delivery, reports))
    else:
        console().print(views_side_by_side(delivery, reports, output.names.language))


async def _watch_views(changes: AsyncIterator[list[ViewReport]], delivery: str, output: _KpiOutput) -> None:
    if output.as_json:
        async for reports in changes:
            print_json(output.views(delivery, reports))
        return
    with Live(Line(f"waiting for {delivery}"), console=console(), auto_refresh=False) as screen:
        async for reports in changes:
            screen.update(views_side_by_side(delivery, reports, output.names.language), refresh=True)
