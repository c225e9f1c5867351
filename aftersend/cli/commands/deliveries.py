"""`aftersend deliveries`."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final, Literal

from cyclopts import App, Parameter

from aftersend.cli.context import Json, Language, command_settings, name_language, wait_for
from aftersend.cli.render.deliveries import delivery_details, delivery_list
from aftersend.cli.render.output import console, count, print_json
from aftersend.cli.times import when_or_none
from aftersend.errors import AftersendError, UsageError
from aftersend.printable import printable
from aftersend.services.deliveries.declare import declare
from aftersend.services.deliveries.overview import as_json as delivery_as_json
from aftersend.services.deliveries.overview import read_deliveries, select
from aftersend.services.names.labels import with_labels

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
PolicyName = Literal["without-efs", "efs", "v8", "enhanced-mta", "creatio", "escala"]
_HOURS_A_DAY: Final = 24


@app.command(name="list")
def list_(
    *, declared: Flag = False, tenant: str = "", limit: int = 50, language: Language = None, as_json: Json = False
) -> None:
    """List deliveries, declared or not, the latest first.

    For example:

        aftersend deliveries list
        aftersend deliveries list --declared --tenant acme
        aftersend deliveries list --json | jq -r 'select(.declared | not) | .delivery_id'

    Exit codes: 0 done, 3 invalid settings, 4 Kafka does not answer.

    Args:
        declared: Only deliveries with a declaration.
        tenant: Only deliveries that are declared for this tenant.
        limit: Number of deliveries to list.
        language: Language of names, such as those of statuses: by default that of LC_ALL, LC_MESSAGES or LANG, else
            English.
        as_json: One line of JSON for each delivery.
    """
    settings, names = command_settings(), name_language(language)
    chosen = select(wait_for(read_deliveries(settings)).values(), declared=declared, tenant=tenant)
    if as_json:
        for one in chosen[:limit]:
            print_json(with_labels(delivery_as_json(one, settings), names.of_labels))
        return
    console().print(delivery_list(chosen[:limit], settings, names.language))
    if len(chosen) > limit:
        console().print(f"… and {count(len(chosen) - limit)} more: --limit")


@app.command
def show(delivery: str, /, *, language: Language = None, as_json: Json = False) -> None:
    """Show the declaration and the dates of a delivery, with the settings that apply where nothing is declared.

    Exit codes: 0 done, 1 unknown delivery, 3 invalid settings, 4 Kafka does not answer.

    Args:
        delivery: Delivery id.
        language: Language of names, such as those of statuses: by default that of LC_ALL, LC_MESSAGES or LANG, else
            English.
        as_json: One JSON object.
    """
    settings, names = command_settings(), name_language(language)
    found = wait_for(read_deliveries(settings)).get(delivery)
    if found is None:
        raise AftersendError(f"delivery {delivery!r} has no declaration and no events (`aftersend deliveries list`)")
    if as_json:
        print_json(with_labels(delivery_as_json(found, settings), names.of_labels))
    else:
        console().print(delivery_details(found, settings, names.language))


Delivery = Annotated[str, Parameter(help="Delivery id.")]
Name = Annotated[Option, Parameter(help="Display name.")]
Tenant = Annotated[Option, Parameter(help="Owner.")]
MessageType = Annotated[
    Literal["campaign", "automation", "transactional"] | None,
    Parameter(name="--type", show_default=False, help="Type of its messages."),
]
Policy = Annotated[
    PolicyName | None, Parameter(show_default=False, help="View that the delivery is shown in by default.")
]
ValidityDays = Annotated[Number, Parameter(help="Days that a sent message waits for an outcome before it expires.")]
ValidityHours = Annotated[Number, Parameter(help="The same in hours.")]
StatisticsUpdatePeriodDays = Annotated[
    Number, Parameter(help="Days after the start until statuses and KPIs are final.")
]
Start = Annotated[
    Option,
    Parameter(help="Time at which sending begins: ISO 8601, in this machine's time zone unless it names another."),
]
ExpectedAudience = Annotated[int | None, Parameter(show_default=False, help="Number of recipients.")]
Replace = Annotated[Flag, Parameter(help="Drop the earlier declaration.")]
DryRun = Annotated[Flag, Parameter(help="Only print the record.")]
AsJson = Annotated[Json, Parameter(help="Print the record as one JSON object.")]


@app.command(name="set")
def set_(
    delivery: Delivery,
    /,
    *,
    name: Name = None,
    tenant: Tenant = None,
    message_type: MessageType = None,
    policy: Policy = None,
    validity_days: ValidityDays = None,
    validity_hours: ValidityHours = None,
    statistics_update_period_days: StatisticsUpdatePeriodDays = None,
    start: Start = None,
    expected_audience: ExpectedAudience = None,
    replace: Replace = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Declare a delivery, by a record on the raw topic of the source "sender".

    Properties that are not given keep their declared values. A new validity applies to messages that wait for an
    outcome as soon as a worker has folded the declaration; expired messages stay expired until their next event.

    For example:

        aftersend deliveries set spring-sale --name "Spring sale" --policy efs --validity-days 3.5
        aftersend deliveries set spring-sale --start 2026-03-20T09:00:00+01:00 --replace --dry-run

    Exit codes: 0 done, 2 invalid properties, 3 invalid settings, 4 Kafka does not answer.
    """
    given = {
        "name": name,
        "tenant": tenant,
        "message_type": message_type,
        "policy": policy,
        "validity_hours": _hours(validity_days, validity_hours),
        "statistics_update_period_days": statistics_update_period_days,
        "start": when_or_none(start, time.time()),
        "expected_audience": expected_audience,
    }
    record = wait_for(declare(command_settings(), delivery, _chosen(given), replace=replace, dry_run=dry_run))
    _print_record(record, dry_run=dry_run, as_json=as_json)


def _chosen(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def _hours(days: float | None, hours: float | None) -> float | None:
    if days is not None and hours is not None:
        raise UsageError("--validity-days and --validity-hours are the same property: give one")
    return hours if days is None else days * _HOURS_A_DAY


def _print_record(record: dict[str, Any], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json(record)
    elif dry_run:
        print_json(record, indented=True)
    else:
        console().print(f"{printable(record['delivery_id'])}: written; it applies as soon as a worker has folded it")
