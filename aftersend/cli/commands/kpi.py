"""`aftersend kpi`."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Annotated, Final, Literal

import orjson
import redis
from cyclopts import Parameter
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from aftersend.cli.context import Json, command_settings, wait_for
from aftersend.cli.render.output import console, count, local, print_json, share, table
from aftersend.cli.render.views import picture as views_picture
from aftersend.config.settings import Settings
from aftersend.errors import AftersendError, RedisUnusableError, UsageError
from aftersend.rules.views.base import ViewReport
from aftersend.services import views
from aftersend.services.cluster import partitions_of
from aftersend.services.deliveries.known import read_declared
from aftersend.services.kpis import Kpis, RedisKpis, from_hash, read_kafka

#: Redrawn at most so often, seconds.
_PAUSE: Final = 0.25
#: Looked at again after so long even if nothing was announced, seconds: announcements may get lost.
_PATIENCE: Final = 5.0
_AWAY: Final = 1.0

#: By the names of `aftersend.rules.views.VIEWS`; or the one that the delivery was declared with.
ViewName = Literal["without-efs", "efs", "v8", "enhanced-mta", "creatio", "escala", "declared"]
_DECLARED: Final = "declared"

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


def kpi(
    delivery: str | None = None,
    /,
    *,
    source: Annotated[Literal["redis", "kafka"], Parameter(name="--from")] = "redis",
    view: Annotated[list[ViewName] | None, Parameter(negative="")] = None,
    watch: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    limit: int = 50,
    as_json: Json = False,
) -> None:
    """Show the KPIs of a delivery, or list the deliveries.

    Counts of recipients come from facts, which are never taken back: who was delivered, then opened, then complained
    counts in all three. Every rate is shown with its numerator and denominator. "Decisions" says what became of the
    events: each has exactly one.

    For example:

        aftersend kpi                            # all deliveries, the latest first
        aftersend kpi spring-sale --watch        # one, live
        aftersend kpi spring-sale --json | jq .rates.open_rate
        aftersend kpi spring-sale --from kafka   # the truth, not the copy in Redis
        aftersend kpi spring-sale --view efs --view v8    # as other products show it
        aftersend kpi spring-sale --view declared --watch # as its sender declared it (`deliveries set --policy`), live

    What came without a delivery id is counted under the empty one: `aftersend kpi ""`.

    Args:
        delivery: The delivery's id; without it, all are listed.
        source: Redis is live and quick; Kafka's KPI topic is what Redis is a copy of, and has every delivery there
            ever was.
        view: As this product shows it, by its names and rules; several stand side by side. "declared" is the policy
            that the delivery was declared with. From Kafka's KPI topic, of any delivery there ever was.
        watch: Stay, and show every change; with --json, one line for each.
        limit: How many deliveries to list.
        as_json: JSON: an object, or one a line for a list.
    """
    settings = command_settings()
    if view:
        if delivery is None:
            raise UsageError("--view shows one delivery: `aftersend kpi` lists them")
        wait_for(_views(settings, delivery, view, watch=watch, as_json=as_json))
        return
    if source == "kafka":
        if watch:
            raise UsageError("--watch follows Redis: leave --from out")
        known = wait_for(_from_kafka(settings))
        found = known.get(delivery) if delivery is not None else None
    else:
        live = RedisKpis(settings)
        if watch:
            _watch(live, _needed(delivery), as_json=as_json)
            return
        known = {} if delivery is not None else {k.delivery_id: k for k in live.many(live.deliveries())}
        values = live.read(delivery) if delivery is not None else {}
        found = from_hash(delivery, values) if delivery is not None and values else None
    if delivery is not None:
        if found is None:
            raise AftersendError(_unknown(delivery, source))
        _show(found, as_json=as_json)
        return
    _list(sorted(known.values(), key=lambda k: -k.updated_at), limit, as_json=as_json)


async def _views(settings: Settings, delivery: str, names: Sequence[str], *, watch: bool, as_json: bool) -> None:
    names = await _named(settings, delivery, names)
    partitions = await partitions_of(settings, settings.topics.kpis)
    if watch:
        await _watch_views(views.follow_reports(settings, partitions, delivery, names), delivery, as_json=as_json)
        return
    reports = await views.read_reports(settings, partitions, delivery, names)
    if not reports:
        raise AftersendError(_unknown(delivery, "kafka"))
    if as_json:
        print_json(views.as_json(delivery, reports))
    else:
        console().print(views_picture(delivery, reports))


async def _watch_views(changes: AsyncIterator[list[ViewReport]], delivery: str, *, as_json: bool) -> None:
    if as_json:
        async for reports in changes:
            print_json(views.as_json(delivery, reports))
        return
    with Live(Text(f"waiting for {delivery}"), console=console(), auto_refresh=False) as screen:
        async for reports in changes:
            screen.update(views_picture(delivery, reports), refresh=True)


async def _named(settings: Settings, delivery: str, names: Sequence[str]) -> list[str]:
    """Return names of views with that of the declared policy in the place of "declared"."""
    if _DECLARED not in names:
        return list(names)
    declared = (await read_declared(settings)).get(delivery)
    if declared is None or not declared.policy:
        raise UsageError(
            f"no policy was declared of {delivery!r}: `aftersend deliveries set {delivery} --policy efs` does, or name "
            "a view"
        )
    return [declared.policy if name == _DECLARED else name for name in names]


async def _from_kafka(settings: Settings) -> dict[str, Kpis]:
    return await read_kafka(settings, await partitions_of(settings, settings.topics.kpis))


def _needed(delivery: str | None) -> str:
    if delivery is None:
        raise UsageError("--watch needs a delivery: `aftersend kpi` lists them")
    return delivery


def _unknown(delivery: str, source: str) -> str:
    where = "Redis" if source == "redis" else "Kafka"
    hint = "; what was silent for long has left Redis: try --from kafka" if source == "redis" else ""
    return f"{where} knows of no delivery {delivery!r} (`aftersend kpi` lists them){hint}"


def _show(kpis: Kpis, *, as_json: bool) -> None:
    if as_json:
        print_json(kpis.as_json())
    else:
        console().print(picture(kpis))


def _list(deliveries: list[Kpis], limit: int, *, as_json: bool) -> None:
    shown = deliveries[:limit]
    if as_json:
        for one in shown:
            print_json(one.as_json())
        return
    numbers = tuple(heading for _, heading in _LISTED)
    overview = table("", "delivery", *numbers, "open rate", "last change", right=(*numbers, "open rate"))
    for one in shown:
        overview.add_row(
            Text(one.delivery_id) if one.delivery_id else Text("(no delivery id)", style="dim"),
            *(count(one.kpis[name]) for name, _ in _LISTED),
            share(one.rates()["open_rate"].value),
            local(one.updated_at),
        )
    screen = console()
    screen.print(overview)
    if len(deliveries) > len(shown):
        screen.print(f"{len(deliveries) - len(shown)} more: --limit {len(deliveries)}")


def picture(kpis: Kpis) -> RenderableType:
    """Return a delivery's KPIs as people look at them."""
    title = Text(kpis.delivery_id or "(no delivery id)", style="bold")
    title.append(f"   {local(kpis.started_at)} to {local(kpis.updated_at)}", style="dim")
    if kpis.archived:
        title.append("   archived: the recipients' rows are gone, the KPIs stay", style="yellow")
    counts = _pairs("Counts", kpis.kpis)
    rates = table("Rates", "", "rate", "of", right=("rate",))
    for name, rate in kpis.rates().items():
        of = f"{count(rate.numerator)} {_words(rate.numerator_name)} / "
        of += f"{count(rate.denominator)} {_words(rate.denominator_name)}"
        rates.add_row(_words(name), share(rate.value), of)
    right = Group(rates, "", _pairs("Statuses", kpis.statuses), "", _pairs("Decisions", kpis.decisions))
    return Group(title, "", Columns([counts, right], padding=(0, 4)))


def _pairs(title: str, numbers: dict[str, int]) -> Table:
    result = table(title, "", "number", right=("number",))
    result.show_header = False
    for name, number in numbers.items():
        result.add_row(_words(name), count(number), style="" if number else "dim")
    return result


def _words(name: str) -> str:
    return name.replace("_", " ")


def _watch(live: RedisKpis, delivery: str, *, as_json: bool) -> None:
    if as_json:
        for kpis in _changes(live, delivery):
            print_json(kpis.as_json())
        return
    with Live(Text(f"waiting for {delivery}"), console=console(), auto_refresh=False) as screen:
        for kpis in _changes(live, delivery):
            screen.update(picture(kpis), refresh=True)


def _changes(live: RedisKpis, delivery: str) -> Iterator[Kpis]:
    """Yield a delivery's KPIs now and whenever they have changed."""
    revision = None
    while True:
        try:
            with live.announcements() as announcements:
                while True:
                    values = live.read(delivery)
                    if values and values.get("revision") != revision:
                        revision = values.get("revision")
                        yield from_hash(delivery, values)
                        time.sleep(_PAUSE)
                    _await(announcements, delivery)
        except (redis.RedisError, RedisUnusableError) as error:
            if revision is None:
                raise live.unusable(error) from error
            time.sleep(_AWAY)  # was there before, so it may well come back


def _await(announcements: redis.client.PubSub, delivery: str) -> None:
    """Return when a change of the delivery was announced, or after a while."""
    end = time.monotonic() + _PATIENCE
    while (left := end - time.monotonic()) > 0:
        message = announcements.get_message(timeout=left)
        if message is not None and orjson.loads(message["data"]).get("delivery_id") == delivery:
            return
