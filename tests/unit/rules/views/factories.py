"""Rows of views' tests: real ones, folded, with ends of waits as sweeps make them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from aftersend.rules.recipient.fold import expire, expires_at
from aftersend.rules.views import VIEWS
from aftersend.rules.views.base import ViewReport
from aftersend.schemas.event import FoldEvent
from aftersend.schemas.packing import pack_bucket
from aftersend.schemas.recipient import Row
from tests.unit.rules.factories import START, WINDOWS, event, folded

#: Stands for the end of the row's window, as a sweep notices it.
OVER: Final = "validity over"


def history(*steps: str | FoldEvent) -> list[Row]:
    """Return a row as it was at first and after each step: an event, its type, or `OVER`.

    A bare type stands for an event a second after the step before.
    """
    rows = [Row()]
    late = 0.0
    for number, step in enumerate(steps):
        row = replace(rows[-1])
        if step == OVER:
            expiry = expires_at(row, WINDOWS)
            if expiry is not None:
                expire(row, expiry)
                late = expiry - START
        else:
            one = event(step, late + number) if isinstance(step, str) else step
            row = folded(one, row=row).row
        rows.append(row)
    return rows


def row_of(*steps: str | FoldEvent) -> Row:
    """Return a row after some steps."""
    return history(*steps)[-1]


def bucket(row: Row) -> int:
    """Return a row's class in the KPIs."""
    return pack_bucket(row.status, row.facts)


def cells(rows: Iterable[Row]) -> dict[int, int]:
    """Return the histogram of some rows."""
    result: dict[int, int] = {}
    for row in rows:
        result[bucket(row)] = result.get(bucket(row), 0) + 1
    return result


def report(view: str, *rows: Row) -> ViewReport:
    """Return the view of a delivery of some rows."""
    return VIEWS[view].kpis(cells(rows), {})


def status(view: str, *steps: str | FoldEvent) -> str:
    """Return what a view shows of a row after some steps."""
    row = row_of(*steps)
    return VIEWS[view].status_of(row.facts, row.status).name


def movements(view: str, *steps: str | FoldEvent) -> list[dict[str, int]]:
    """Return what each step does to a view's counts."""
    rows = history(*steps)
    befores: Sequence[int | None] = [None, *(bucket(row) for row in rows[1:-1])]
    return [VIEWS[view].movement(b, bucket(row)) for b, row in zip(befores, rows[1:], strict=True)]


def counts(view: str, *steps: str | FoldEvent) -> dict[str, int]:
    """Return a view's counts of a single row after some steps, those that are not 0."""
    return {name: number for name, number in report(view, row_of(*steps)).counts.items() if number}
