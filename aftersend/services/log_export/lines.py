"""Lines of a log: filtering, counting, and writing as CSV or JSON."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TextIO

import orjson

from aftersend.errors import UsageError
from aftersend.printable import csv_cell, printable_json
from aftersend.rules.recipient.facts import Fact
from aftersend.rules.views.base import View, ViewLog
from aftersend.schemas.recipient import Row
from aftersend.schemas.times import iso
from aftersend.services.names.views import reasons_named, statuses_named

#: Values of a line by column name.
LogLine = Mapping[str, Any]
#: Writes one line.
WriteLine = Callable[[LogLine], None]

#: Names of the status column in the views.
_STATUS: Final = ("status", "response")
#: Columns of a failure reason.
_REASON: Final = ("reason_value", "reason", "reason_type")


class LogFilter:
    """Selects lines of a log.

    Args:
        log: the log.
        statuses: names of statuses or responses, in any language and any case; empty: all.
        reasons: names, in any language and any case, or values of failure reasons; empty: all.
        view: that the log is of.
        tests: include test messages.

    Raises:
        UsageError: if the log has no such column, or the view no such status or reason.
    """

    def __init__(
        self, log: ViewLog, statuses: Sequence[str], reasons: Sequence[str], view: View, *, tests: bool
    ) -> None:
        self._log = log
        columns = {column.name for column in log.columns}
        self._status = next((name for name in _STATUS if name in columns), "")
        self._tests = tests
        if statuses and not self._status:
            raise UsageError(f"the log {log.name} has no status: leave --status out")
        if reasons and "reason" not in columns:
            raise UsageError(f"the log {log.name} has no reason: leave --reason out")
        self._statuses = frozenset(statuses_named(view, statuses))
        self._reasons = frozenset(reasons_named(reasons))

    def line(self, recipient: str, row: Row) -> LogLine | None:
        """Return a row's line; None: it is not in the log, or not selected."""
        if row.facts & Fact.TEST and not self._tests:
            return None
        line = self._log.line(recipient, row)
        if line is None or (self._statuses and line[self._status] not in self._statuses):
            return None
        if self._reasons and line["reason"] not in self._reasons:
            return None
        return line


class ReasonCounts:
    """Counts lines by failure reason."""

    columns = (*_REASON, "recipients")

    def __init__(self) -> None:
        self._counts: Counter[tuple[Any, ...]] = Counter()

    def add(self, line: LogLine) -> None:
        """Count a line."""
        self._counts[tuple(line[name] for name in _REASON)] += 1

    def lines(self) -> list[LogLine]:
        """Return a line for each reason, the most frequent first."""
        return [
            dict(zip(self.columns, (*reason, number), strict=True)) for reason, number in self._counts.most_common()
        ]


def csv_writer(columns: Sequence[str], out: TextIO) -> WriteLine:
    """Write the header; return the function that writes a line.

    Texts are those of `aftersend.printable.csv_cell`: diagnostics come from foreign mail servers.

    Args:
        columns: names, in order.
        out: stream to write to.
    """
    write = csv.writer(out, lineterminator="\n").writerow
    write(columns)

    def line(values: LogLine) -> None:
        write([csv_cell(_value(name, values[name])) for name in columns])

    return line


def json_writer(out: TextIO) -> WriteLine:
    """Return the function that writes a line as a JSON object."""

    def line(values: LogLine) -> None:
        encoded = orjson.dumps({name: _value(name, value) for name, value in values.items()})
        out.write(printable_json(encoded).decode() + "\n")

    return line


def _value(name: str, value: Any) -> Any:
    return iso(value) if value is not None and name.endswith("_at") else value
