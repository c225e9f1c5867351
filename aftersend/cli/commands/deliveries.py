"""`aftersend deliveries`."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final, Literal

from cyclopts import App, Parameter

from aftersend.cli.context import Json, command_settings, wait_for
from aftersend.cli.render.deliveries import delivery_details, delivery_list
from aftersend.cli.render.output import console, count, print_json
from aftersend.cli.times import when
from aftersend.errors import AftersendError, UsageError
from aftersend.services.deliveries.declare import declare
from aftersend.services.deliveries.overview import as_json as delivery_as_json
from aftersend.services.deliveries.overview import read_deliveries, select

app: Final = App(
    name="deliveries",
    help="""List deliveries, and declare their properties.

    A declaration sets a delivery's name, policy, validity, statistics period, start and expected audience. A delivery
    without one is created by its first event, with the installation's settings (docs/guide/declare-deliveries.md).
    """,
)

Option = Annotated[str | None, Parameter(show_default=False)]
Number = Annotated[float | None, Parameter(show_default=False)]
Flag = Annotated[bool, Parameter(negative="", show_default=False)]
MessageType = Annotated[
    Literal["campaign", "automation", "transactional"] | None, Parameter(name="--type", show_default=False)
]
Policy = Literal["without-efs", "efs", "v8", "enhanced-mta", "creatio", "escala"]
_HOURS_A_DAY: Final = 24


@app.command(name="list")
def list_(*, declared: Flag = False, tenant: str = "", limit: int = 50, as_json: Json = False) -> None:
    """List deliveries, declared or not, the latest first.

    For example:

        aftersend deliveries list
        aftersend deliveries list --declared --tenant acme
        aftersend deliveries list --json | jq -r 'select(.declared | not) | .delivery_id'

    Args:
        declared: Only deliveries with a declaration.
        tenant: Only deliveries that are declared for this tenant.
        limit: Number of deliveries to list.
        as_json: One line of JSON for each delivery.
    """
    settings = command_settings()
    chosen = select(wait_for(read_deliveries(settings)).values(), declared=declared, tenant=tenant)
    if as_json:
        for one in chosen[:limit]:
            print_json(delivery_as_json(one, settings))
        return
    console().print(delivery_list(chosen[:limit], settings))
    if len(chosen) > limit:
        console().print(f"… and {count(len(chosen) - limit)} more: --limit")


@app.command
def show(delivery: str, /, *, as_json: Json = False) -> None:
    """Show the declaration and the dates of a delivery, with the settings that apply where nothing is declared.

    Exit codes: 0 done, 1 unknown delivery, 3 invalid settings, 4 Kafka does not answer.

    Args:
        delivery: Delivery id.
        as_json: One JSON object.
    """
    settings = command_settings()
    found = wait_for(read_deliveries(settings)).get(delivery)
    if found is None:
        raise AftersendError(f"delivery {delivery!r} has no declaration and no events (`aftersend deliveries list`)")
    if as_json:
        print_json(delivery_as_json(found, settings))
    else:
        console().print(delivery_details(found, settings))


@app.command(name="set")
def set_(
    delivery: str,
    /,
    *,
    name: Option = None,
    tenant: Option = None,
    message_type: MessageType = None,
    policy: Annotated[Policy | None, Parameter(show_default=False)] = None,
    validity_days: Number = None,
    validity_hours: Number = None,
    statistics_update_period_days: Number = None,
    start: Option = None,
    expected_audience: Annotated[int | None, Parameter(show_default=False)] = None,
    replace: Flag = False,
    dry_run: Flag = False,
    as_json: Json = False,
) -> None:
    """Declare a delivery, by a record on the raw topic of the source "sender".

    Properties that are not given keep their declared values. A new validity applies to messages that wait for an
    outcome as soon as a worker has folded the declaration; expired messages stay expired until their next event.

    For example:

        aftersend deliveries set spring-sale --name "Spring sale" --policy efs --validity-days 3.5
        aftersend deliveries set spring-sale --start 2026-03-20T09:00:00+01:00 --expected-audience 120000
        aftersend deliveries set spring-sale --replace --dry-run

    Args:
        delivery: Delivery id.
        name: Display name.
        tenant: Owner.
        message_type: Type of its messages.
        policy: View that the delivery is shown in by default.
        validity_days: Days that a sent message waits for an outcome before it expires.
        validity_hours: The same in hours.
        statistics_update_period_days: Days after the start until statuses and KPIs are final.
        start: Time at which sending begins: ISO 8601, in this machine's time zone unless it names another.
        expected_audience: Number of recipients.
        replace: Drop the earlier declaration.
        dry_run: Only print the record.
        as_json: Print the record as one JSON object.
    """
    if validity_days is not None and validity_hours is not None:
        raise UsageError("--validity-days and --validity-hours are the same property: give one")
    settings = command_settings()
    given: dict[str, Any] = {
        "name": name,
        "tenant": tenant,
        "message_type": message_type,
        "policy": policy,
        "validity_hours": validity_hours if validity_days is None else validity_days * _HOURS_A_DAY,
        "statistics_update_period_days": statistics_update_period_days,
        "start": None if start is None else when(start, time.time()),
        "expected_audience": expected_audience,
    }
    chosen = {option: value for option, value in given.items() if value is not None}
    if not chosen and not replace:
        raise UsageError("nothing to declare: give an option, such as --name (`aftersend deliveries set --help`)")
    record = wait_for(declare(settings, delivery, chosen, replace=replace, dry_run=dry_run))
    if as_json:
        print_json(record)
    elif dry_run:
        console().print_json(data=record)
    else:
        console().print(f"{delivery}: written; it applies as soon as a worker has folded it")
