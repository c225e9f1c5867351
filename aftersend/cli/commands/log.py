"""`aftersend log`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Final, NamedTuple

from cyclopts import Parameter

from aftersend.cli.context import Json, command_settings, wait_for
from aftersend.cli.render.progress import bar
from aftersend.config.settings import Settings
from aftersend.errors import AftersendError, UsageError
from aftersend.rules.views import creatio
from aftersend.rules.views.adobe.view import FAILED
from aftersend.rules.views.base import ViewReport
from aftersend.schemas.recipient import Row
from aftersend.services import views
from aftersend.services.cluster import partitions_of
from aftersend.services.deliveries.known import read_declared
from aftersend.services.log_export.kinds import ERRORS, SENDING, TOTALS, KindName, LogChoice, ViewName, choose
from aftersend.services.log_export.lines import LogFilter, LogLine, ReasonCounts, csv_writer, json_writer
from aftersend.services.log_export.rows import read_rows

_NOBODY: Final = (
    "Kafka has no recipients of the delivery {!r}: it was never heard of, or its rows are past `retention_days`"
)


def log(
    delivery: str,
    /,
    *,
    view: ViewName | None = None,
    kind: KindName | None = None,
    status: Annotated[list[str] | None, Parameter(name=["--status", "--response"], negative="")] = None,
    reason: Annotated[list[str] | None, Parameter(negative="")] = None,
    tests: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    as_json: Json = False,
) -> None:
    """Write a log of a delivery, recipient by recipient, as other products have it.

    CSV with a heading, or with --json one object a line; times are ISO 8601 in UTC. Recipients come in no particular
    order. Read from the compacted status topic, one partition after the other: the truth as of now, and no more in
    memory than the rows of one partition. Progress is shown on standard error.

    What there is, by view:

        without-efs, efs, v8, enhanced-mta   sending, exclusions, tracking; causes, errors: by reason; totals
        creatio                              audience; errors: the error chart; totals
        escala                               recipients; totals

    For example:

        aftersend log spring-sale > sending.csv
        aftersend log spring-sale --status failed --reason "mailbox full" --reason 1
        aftersend log spring-sale --kind exclusions --json | jq .reason
        aftersend log spring-sale --view creatio --response "hard bounce" --response rejected > audience.csv
        aftersend log spring-sale --view creatio --kind errors

    Args:
        delivery: The delivery's id.
        view: Whose log; without it, as the delivery was declared, else the first of efs, creatio and escala that has
            such a log.
        kind: Which of its logs; without it, the view's first.
        status: Only those with this status or response, in any case; several may be given.
        reason: Only those with this failure reason, by its name or value; several may be given.
        tests: Test messages too.
        as_json: JSON lines instead of CSV.
    """
    settings = command_settings()
    wait_for(_write(settings, delivery, view, kind, _Wanted(status or (), reason or (), tests), as_json=as_json))


class _Wanted(NamedTuple):
    """What the options for filtering say."""

    statuses: Sequence[str]
    reasons: Sequence[str]
    tests: bool


async def _write(
    settings: Settings, delivery: str, view: str | None, kind: str | None, wanted: _Wanted, *, as_json: bool
) -> None:
    declared = (await read_declared(settings)).get(delivery) if view is None else None
    choice = choose(view, kind, declared.policy if declared is not None else "")
    if choice.log is None:
        if any(wanted):
            raise UsageError(
                f"{choice.kind} of {choice.view.name} are the KPIs' own numbers: there is nothing to filter"
            )
        lines = _of_report(choice, await _report(settings, choice, delivery))
        _all(lines, tuple(lines[0]) if lines else ("response", "recipients"), as_json=as_json)
        return
    statuses = wanted.statuses or ((FAILED,) if (choice.kind, choice.log.name) == (ERRORS, SENDING) else ())
    keep = LogFilter(choice.log, statuses, wanted.reasons, choice.view.statuses, tests=wanted.tests)
    if choice.kind == choice.log.name:
        columns = tuple(column.name for column in choice.log.columns)
        await _read(settings, delivery, keep, _writer(columns, as_json=as_json))
        return
    reasons = ReasonCounts()
    await _read(settings, delivery, keep, reasons.add)
    _all(reasons.lines(), reasons.columns, as_json=as_json)


async def _read(settings: Settings, delivery: str, keep: LogFilter, take: Callable[[LogLine], None]) -> None:
    def on_row(recipient: str, row: Row) -> None:
        line = keep.line(recipient, row)
        if line is not None:
            take(line)

    if not await read_rows(settings, delivery, on_row, bar(quiet=sys.stdout.isatty())):
        raise AftersendError(_NOBODY.format(delivery))


async def _report(settings: Settings, choice: LogChoice, delivery: str) -> ViewReport:
    partitions = await partitions_of(settings, settings.topics.kpis)
    reports = await views.read_reports(settings, partitions, delivery, [choice.view.name])
    if not reports:
        raise AftersendError(f"Kafka knows of no delivery {delivery!r} (`aftersend kpi` lists them)")
    return reports[0]


def _of_report(choice: LogChoice, report: ViewReport) -> list[LogLine]:
    if choice.kind == TOTALS:
        titles = {count.name: count.title for count in choice.view.counts}
        numbers = report.counts | report.totals
        return [
            {"name": name, "title": titles.get(name, name.replace("_", " ").capitalize()), "number": number}
            for name, number in numbers.items()
        ]
    return [{"response": name, "recipients": number} for name, number in creatio.chart_of(report).items()]


def _writer(columns: Sequence[str], *, as_json: bool) -> Callable[[LogLine], None]:
    return json_writer(sys.stdout) if as_json else csv_writer(columns, sys.stdout)


def _all(lines: Sequence[LogLine], columns: Sequence[str], *, as_json: bool) -> None:
    write = _writer(columns, as_json=as_json)
    for line in lines:
        write(line)
