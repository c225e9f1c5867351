"""Exports a log of a delivery, line by line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from aftersend.config.settings import Settings
from aftersend.errors import AftersendError, UsageError
from aftersend.rules.views import creatio
from aftersend.rules.views.adobe.logs import FAILED
from aftersend.rules.views.base import ViewReport
from aftersend.schemas.recipient import Row
from aftersend.services.deliveries.overview import read_declared
from aftersend.services.kpis.views import read_reports
from aftersend.services.log_export.kinds import ERRORS, SENDING, TOTALS, LogChoice, choose_log
from aftersend.services.log_export.lines import LogFilter, LogLine, ReasonCounts, WriteLine
from aftersend.services.log_export.rows import read_rows
from aftersend.services.progress import ShowProgress

#: Returns the function that writes a line, given the columns.
OpenWriter = Callable[[Sequence[str]], WriteLine]

_CHART_COLUMNS: Final = ("response", "recipients")


class LogSelection(NamedTuple):
    """Lines to export."""

    #: Names of statuses or responses; empty: all.
    statuses: Sequence[str]
    #: Names or values of failure reasons; empty: all.
    reasons: Sequence[str]
    #: Include test messages.
    tests: bool


async def export_log(
    settings: Settings,
    delivery_id: str,
    view: str | None,
    kind: str | None,
    selection: LogSelection,
    open_writer: OpenWriter,
    show: ShowProgress | None = None,
) -> None:
    """Export a log.

    Args:
        settings: of the installation.
        delivery_id: of the delivery.
        view: name of the view; None: the delivery's declared policy, or a default.
        kind: of the log; None: the view's default.
        selection: lines to export.
        open_writer: opens the output once the columns are known.
        show: opens a progress display; None: no display.

    Raises:
        UsageError: if the view has no such log, or the log nothing to select by.
        AftersendError: if the delivery has no rows or no KPIs.
        KafkaUnusableError: if Kafka does not answer, or a topic is missing.
    """
    declared = (await read_declared(settings)).get(delivery_id) if view is None else None
    choice = choose_log(view, kind, declared.policy if declared is not None else "")
    if choice.log is None:
        await _export_kpis(settings, delivery_id, choice, selection, open_writer)
        return
    statuses = selection.statuses or ((FAILED,) if (choice.kind, choice.log.name) == (ERRORS, SENDING) else ())
    keep = LogFilter(choice.log, statuses, selection.reasons, choice.view.statuses, tests=selection.tests)
    if choice.kind == choice.log.name:
        columns = tuple(column.name for column in choice.log.columns)
        lines = _OpenedLate(open_writer, columns)
        await _read(settings, delivery_id, keep, lines.write, show)
        lines.open()
        return
    reasons = ReasonCounts()
    await _read(settings, delivery_id, keep, reasons.add, show)
    _write_all(reasons.lines(), reasons.columns, open_writer)


class _OpenedLate:
    """An output that is opened with its first line, so that a log that can't be read has no heading either.

    Args:
        open_writer: opens it.
        columns: of the log.
    """

    def __init__(self, open_writer: OpenWriter, columns: Sequence[str]) -> None:
        self._open_writer = open_writer
        self._columns = columns
        self._write: WriteLine | None = None

    def open(self) -> WriteLine:
        """Open it, unless it is open."""
        if self._write is None:
            self._write = self._open_writer(self._columns)
        return self._write

    def write(self, line: LogLine) -> None:
        """Write a line."""
        (self._write or self.open())(line)


async def _export_kpis(
    settings: Settings, delivery_id: str, choice: LogChoice, selection: LogSelection, open_writer: OpenWriter
) -> None:
    """Export a kind that comes from the KPIs."""
    if any(selection):
        raise UsageError(
            f"{choice.kind} of {choice.view.name} are KPIs, not a list of recipients: leave --status, --reason and "
            "--tests out"
        )
    _write_all(_lines_of(choice, await _report(settings, choice, delivery_id)), _CHART_COLUMNS, open_writer)


async def _read(
    settings: Settings, delivery_id: str, keep: LogFilter, write: WriteLine, show: ShowProgress | None
) -> None:
    def on_row(recipient: str, row: Row) -> None:
        line = keep.line(recipient, row)
        if line is not None:
            write(line)

    if not await read_rows(settings, delivery_id, on_row, show):
        raise AftersendError(
            f"Kafka has no recipients of delivery {delivery_id!r}: it has no events, or its rows are older than "
            "AFTERSEND_RETENTION_DAYS"
        )


async def _report(settings: Settings, choice: LogChoice, delivery_id: str) -> ViewReport:
    reports = await read_reports(settings, delivery_id, [choice.view.name])
    if not reports:
        raise AftersendError(f"Kafka has no delivery {delivery_id!r} (`aftersend kpi --from kafka` lists them)")
    return reports[0]


def _lines_of(choice: LogChoice, report: ViewReport) -> list[LogLine]:
    """Return the lines of a kind that comes from the KPIs."""
    if choice.kind == TOTALS:
        titles = {count.name: count.title for count in choice.view.counts}
        numbers = report.counts | report.totals
        return [
            {"name": name, "title": titles.get(name, name.replace("_", " ").capitalize()), "number": number}
            for name, number in numbers.items()
        ]
    return [{"response": name, "recipients": number} for name, number in creatio.chart_of(report).items()]


def _write_all(lines: Sequence[LogLine], columns: Sequence[str], open_writer: OpenWriter) -> None:
    """Write lines; `columns` is the header of a file without lines."""
    write = open_writer(tuple(lines[0]) if lines else columns)
    for line in lines:
        write(line)
