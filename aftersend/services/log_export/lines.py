"""Lines of a log: filtered, counted, written as CSV or JSON."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TextIO

import orjson

from aftersend.errors import UsageError
from aftersend.rules.recipient.facts import Fact
from aftersend.rules.views.base import ViewLog
from aftersend.schemas.recipient import Row
from aftersend.schemas.times import iso

LogLine = Mapping[str, Any]

#: What a view calls the column of its statuses.
_STATUS: Final = ("status", "response")
_REASON: Final = ("reason_value", "reason", "reason_type")
#: A spreadsheet takes a cell that begins so for a formula, and what other mail servers say is nobody's to trust.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class LogFilter:
    """Which of a log's lines are wanted.

    Args:
        log: whose lines they are.
        statuses: names of statuses or responses, in any case; none: all.
        reasons: names of failure reasons, or their values; none: all.
        known: the statuses that the view has.
        tests: whether test messages are wanted too.

    Raises:
        UsageError: if the log has nothing of the kind, or the view has no such status.
    """

    def __init__(
        self, log: ViewLog, statuses: Sequence[str], reasons: Sequence[str], known: Sequence[str], *, tests: bool
    ) -> None:
        self._log = log
        columns = {column.name for column in log.columns}
        self._status = next((name for name in _STATUS if name in columns), "")
        self._statuses = {name.casefold() for name in statuses}
        self._reasons = {name.casefold() for name in reasons}
        self._tests = tests
        if statuses and not self._status:
            raise UsageError(f"the log {log.name} has no status to go by")
        if reasons and "reason" not in columns:
            raise UsageError(f"the log {log.name} has no reason to go by")
        if wrong := [name for name in statuses if name.casefold() not in {one.casefold() for one in known}]:
            raise UsageError(f"there is no status {', '.join(map(repr, wrong))}, but {', '.join(known)}")

    def line(self, recipient: str, row: Row) -> LogLine | None:
        """Return a row's line; None: it is not wanted."""
        if row.facts & Fact.TEST and not self._tests:
            return None
        line = self._log.line(recipient, row)
        if line is None or (self._statuses and line[self._status].casefold() not in self._statuses):
            return None
        if self._reasons and not self._reasons & {line["reason"].casefold(), str(line["reason_value"])}:
            return None
        return line


class ReasonCounts:
    """Counts lines by their failure reason."""

    columns = (*_REASON, "recipients")

    def __init__(self) -> None:
        self._counts: Counter[tuple[Any, ...]] = Counter()

    def add(self, line: LogLine) -> None:
        """Count a line."""
        self._counts[tuple(line[name] for name in _REASON)] += 1

    def lines(self) -> list[LogLine]:
        """Return the reasons, the most frequent first."""
        return [
            dict(zip(self.columns, (*reason, number), strict=True)) for reason, number in self._counts.most_common()
        ]


def csv_writer(columns: Sequence[str], out: TextIO) -> Callable[[LogLine], None]:
    """Write the heading; return what writes a line.

    Text that a spreadsheet would take for a formula gets an apostrophe before it.

    Args:
        columns: names, in order.
        out: where to.
    """
    write = csv.writer(out, lineterminator="\n").writerow
    write(columns)

    def line(values: LogLine) -> None:
        write([_cell(name, values[name]) for name in columns])

    return line


def json_writer(out: TextIO) -> Callable[[LogLine], None]:
    """Return what writes a line as one JSON object."""

    def line(values: LogLine) -> None:
        out.write(orjson.dumps({name: _value(name, value) for name, value in values.items()}).decode() + "\n")

    return line


def _value(name: str, value: Any) -> Any:
    return iso(value) if value is not None and name.endswith("_at") else value


def _cell(name: str, value: Any) -> Any:
    value = _value(name, value)
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
