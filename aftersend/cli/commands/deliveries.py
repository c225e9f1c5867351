"""`aftersend deliveries`."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final, Literal

from cyclopts import App, Parameter
from rich.text import Text

from aftersend.cli.context import Json, command_settings, wait_for
from aftersend.cli.render.output import console, count, local, print_json, table
from aftersend.cli.times import when
from aftersend.config.settings import Settings
from aftersend.errors import AftersendError, UsageError
from aftersend.services.deliveries.declare import encode, merged, write
from aftersend.services.deliveries.known import DeliveryOverview, as_json, read_declared, read_deliveries

app: Final = App(
    name="deliveries",
    help="""List deliveries, and declare what they are.

    Name, policy, validity, statistics period, start, expected audience. A delivery that nobody declares is made by its
    first event, with the installation's settings (docs/guide/declare-deliveries.md).
    """,
)

Option = Annotated[str | None, Parameter(show_default=False)]
Number = Annotated[float | None, Parameter(show_default=False)]
Policy = Literal["without-efs", "efs", "v8", "enhanced-mta", "creatio", "escala"]


@app.command(name="list")
def list_(
    *,
    declared: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    tenant: str = "",
    limit: int = 50,
    as_json: Json = False,
) -> None:
    """List deliveries, the latest first: those that were declared and those that were only heard of.

    For example:

        aftersend deliveries list
        aftersend deliveries list --declared --tenant acme
        aftersend deliveries list --json | jq -r 'select(.declared | not) | .delivery_id'

    Args:
        declared: Only those that were declared.
        tenant: Only those of this tenant, as declared.
        limit: How many to list.
        as_json: A line for each delivery.
    """
    settings = command_settings()
    known = wait_for(read_deliveries(settings))
    chosen = [
        one
        for one in known.values()
        if (one.declared is not None or not (declared or tenant))
        and (not tenant or (one.declared is not None and one.declared.tenant == tenant))
    ]
    chosen.sort(key=lambda one: (-one.latest, one.delivery_id))
    if as_json:
        for one in chosen[:limit]:
            print_json(_json(one, settings))
        return
    _list(chosen[:limit], settings)
    if len(chosen) > limit:
        console().print(f"… and {count(len(chosen) - limit)} more: --limit")


@app.command
def show(delivery: str, /, *, as_json: Json = False) -> None:
    """Show what is known of a delivery, and what is in force where nothing was declared.

    Args:
        delivery: The delivery's id.
        as_json: One JSON object.
    """
    settings = command_settings()
    known = wait_for(read_deliveries(settings)).get(delivery)
    if known is None:
        raise AftersendError(
            f"nothing was declared or heard of the delivery {delivery!r} (`aftersend deliveries list`)"
        )
    if as_json:
        print_json(_json(known, settings))
        return
    view = table("", "", "")
    for name, value in _lines(known, settings):
        view.add_row(name, Text(value))
    console().print(view)


@app.command(name="set")
def set_(
    delivery: str,
    /,
    *,
    name: Option = None,
    tenant: Option = None,
    message_type: Annotated[
        Literal["campaign", "automation", "transactional"] | None, Parameter(name="--type", show_default=False)
    ] = None,
    policy: Annotated[Policy | None, Parameter(show_default=False)] = None,
    validity_days: Number = None,
    validity_hours: Number = None,
    statistics_update_period_days: Number = None,
    start: Option = None,
    expected_audience: Annotated[int | None, Parameter(show_default=False)] = None,
    replace: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    dry_run: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    as_json: Json = False,
) -> None:
    """Declare a delivery: a record on the raw topic of the source "sender", folded like every other.

    What is not named stays as it was declared. Rows that wait for an outcome go by the new validity as soon as a worker
    has folded it; what has ended before stays as it is until something is heard of it.

    For example:

        aftersend deliveries set spring-sale --name "Spring sale" --policy efs --validity-days 3.5
        aftersend deliveries set spring-sale --start 2026-03-20T09:00:00+01:00 --expected-audience 120000
        aftersend deliveries set spring-sale --replace --dry-run

    Args:
        delivery: The delivery's id.
        name: For people.
        tenant: Whose it is.
        message_type: Of its messages.
        policy: The view it is meant to be looked at in.
        validity_days: How long a message may wait for an outcome after it was sent.
        validity_hours: The same in hours.
        statistics_update_period_days: How long statuses and KPIs change after the start.
        start: When sending begins: ISO 8601, in this machine's zone unless it names another.
        expected_audience: How many recipients it is meant for.
        replace: Forget what was declared before.
        dry_run: Only show the record.
        as_json: Show the record as one JSON object.
    """
    if validity_days is not None and validity_hours is not None:
        raise UsageError("--validity-days and --validity-hours say the same: give one")
    settings = command_settings()
    given: dict[str, Any] = {
        "name": name,
        "tenant": tenant,
        "message_type": message_type,
        "policy": policy,
        "validity_hours": validity_hours if validity_days is None else validity_days * 24,
        "statistics_update_period_days": statistics_update_period_days,
        "start": None if start is None else when(start, time.time()),
        "expected_audience": expected_audience,
    }
    chosen = {option: value for option, value in given.items() if value is not None}
    if not chosen and not replace:
        raise UsageError("nothing to declare: name an option, such as --name (`aftersend deliveries set --help`)")
    record = wait_for(_set(settings, delivery, chosen, replace=replace, dry_run=dry_run))
    if as_json:
        print_json(record)
    elif dry_run:
        console().print_json(data=record)
    else:
        console().print(f"{delivery}: written; in force as soon as a worker has folded it")


async def _set(
    settings: Settings, delivery: str, chosen: dict[str, Any], *, replace: bool, dry_run: bool
) -> dict[str, Any]:
    known = None if replace else (await read_declared(settings)).get(delivery)
    record = merged(known, delivery, chosen)
    value = encode(record)
    if not dry_run:
        await write(settings, delivery, value)
    return record


def _json(known: DeliveryOverview, settings: Settings) -> dict[str, Any]:
    return as_json(known, settings)


def _list(deliveries: list[DeliveryOverview], settings: Settings) -> None:
    overview = table(
        "",
        *("delivery", "name", "tenant", "type", "policy", "validity", "statistics", "audience", "expected", "start"),
        "last change",
        right=("validity", "statistics", "audience", "expected"),
    )
    for known in deliveries:
        told = dict(_lines(known, settings))
        overview.add_row(
            Text(known.delivery_id, style="" if known.declared is not None else "dim"),
            *(Text(told.get(name, "")) for name in ("name", "tenant", "message type", "policy")),
            *(told[name].split(" (")[0] for name in ("validity", "statistics period")),
            *(told.get(name, "") for name in ("audience", "expected audience", "start", "last change")),
        )
    console().print(overview)


def _lines(known: DeliveryOverview, settings: Settings) -> list[tuple[str, str]]:
    """Return what is known of a delivery, in words; what nothing says is left out."""
    declared, seen = known.declared, known.seen
    lines = [("delivery", known.delivery_id)]
    hours = days = start = None
    if declared is not None:
        hours, days, start = declared.validity_hours, declared.statistics_update_period_days, declared.start
        expected = declared.expected_audience
        lines += [
            ("name", declared.name),
            ("tenant", declared.tenant),
            ("message type", declared.message_type),
            ("policy", declared.policy),
            ("expected audience", "" if expected is None else count(expected)),
            ("declared", local(declared.declared_at)),
        ]
    else:
        lines.append(("declared", "no: made by its first event"))
    period = settings.statistics_update_period_days if days is None else days
    lines += [
        ("validity", f"{hours:g} h" if hours is not None else "by source (settings)"),
        ("statistics period", f"{period:g} d" if days is not None else f"{period:g} d (settings)"),
    ]
    if start is not None:
        lines.append(("start", local(start)))
    elif seen is not None:
        lines.append(("start", local(seen.started_at)))
    if seen is not None:
        lines += [
            ("audience", count(seen.kpis["audience"])),
            ("first event", local(seen.started_at)),
            ("last change", local(seen.updated_at)),
            ("rows", "forgotten after their retention" if seen.archived else ""),
        ]
    return [(name, value) for name, value in lines if value]
