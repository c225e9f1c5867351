"""Exports a log of a delivery, line by line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from aftersend.config.settings import Settings
from aftersend.errors import AftersendError, UsageError
from aftersend.locale.languages import ENGLISH, LanguageCode
from aftersend.rules.views import creatio
from aftersend.rules.views.adobe.logs import FAILED
from aftersend.rules.views.base import ViewReport
from aftersend.schemas.recipient import Row
from aftersend.services.deliveries.overview import read_declared
from aftersend.services.kpis.views import read_reports
from aftersend.services.log_export.kinds import ERRORS, SENDING, TOTALS, LogChoice, choose_log
from aftersend.services.log_export.labels import OpenWriter, labelled
from aftersend.services.log_export.lines import LogFilter, LogLine, ReasonCounts, WriteLine
from aftersend.services.log_export.rows import read_rows
from aftersend.services.names.views import ViewNames
from aftersend.services.progress import ShowProgress

_CHART_COLUMNS: Final = ("response", "recipients")


class LogSelection(NamedTuple):
    """Lines to export, and their labels."""

    #: Names of statuses or responses, in any language; empty: all.
    statuses: Sequence[str]
    #: Names, in any language, or values of failure reasons; empty: all.
    reasons: Sequence[str]
    #: Include test messages.
    tests: bool
    #: Of label columns; None: none.
    language: LanguageCode | None = None

    def __bool__(self) -> bool:
        """Whether it leaves lines out, or includes more."""
        return bool(self.statuses or self.reasons or self.tests)


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
        selection: lines to export, and their labels.
        open_writer: opens the output once the columns are known.
        show: opens a progress display; None: no display.

    Raises:
        UsageError: if the view has no such log, status or reason, or the log nothing to select by.
        AftersendError: if the delivery has no rows or no KPIs.
        KafkaUnusableError: if Kafka does not answer, or a topic is missing.
    """
    declared = (await read_declared(settings)).get(delivery_id) if view is None else None
    choice = choose_log(view, kind, declared.policy if declared is not None else "")
    open_writer = labelled(open_writer, choice.view, selection.language)
    if choice.log is None:
        await _export_kpis(settings, delivery_id, choice, selection, open_writer)
        return
    statuses = selection.statuses or ((FAILED,) if (choice.kind, choice.log.name) == (ERRORS, SENDING) else ())
    keep = LogFilter(choice.log, statuses, selection.reasons, choice.view, tests=selection.tests)
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
    if selection:
        raise UsageError(
            f"{choice.kind} of {choice.view.name} are KPIs, not a list of recipients: leave --status, --reason and "
            "--tests out"
        )
    report = await _report(settings, choice, delivery_id)
    _write_all(_lines_of(choice, report, selection.language or ENGLISH), _CHART_COLUMNS, open_writer)


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


def _lines_of(choice: LogChoice, report: ViewReport, language: LanguageCode) -> list[LogLine]:
    """Return the lines of a kind that comes from the KPIs; titles are in the language."""
    if choice.kind == TOTALS:
        titles = ViewNames(choice.view, language)
        return [
            {"name": name, "title": _capitalised(titles.number(name)), "number": number}
            for name, number in (report.counts | report.totals).items()
        ]
    return [{"response": name, "recipients": number} for name, number in creatio.chart_of(report).items()]


def _capitalised(title: str) -> str:
    return title[:1].upper() + title[1:]


def _write_all(lines: Sequence[LogLine], columns: Sequence[str], open_writer: OpenWriter) -> None:
    """Write lines; `columns` is the header of a file without lines."""
    write = open_writer(tuple(lines[0]) if lines else columns)
    for line in lines:
        write(line)
