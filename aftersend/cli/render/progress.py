"""Progress bars on standard error."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from aftersend.cli.render.output import PrintableConsole
from aftersend.services.progress import ShowProgress


@contextlib.contextmanager
def progress(title: str, expected: int, *, shown: bool, unit: str = "records") -> Iterator[Callable[[int], None]]:
    """Show a progress bar; yields the function that sets the number done.

    Args:
        title: of the bar.
        expected: the approximate number in the end.
        shown: whether to show it.
        unit: what is counted.
    """
    if not shown:
        yield lambda _: None
        return
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeElapsedColumn())
    with Progress(*columns, transient=True, console=PrintableConsole(stderr=True)) as display:
        task = display.add_task(title, total=expected)
        yield lambda done: display.update(task, completed=done, total=max(expected, done))


def bar(*, quiet: bool, unit: str = "records") -> ShowProgress | None:
    """Return the function that shows a service's progress; None if standard error is not a terminal.

    Args:
        quiet: return None in any case.
        unit: what is counted.
    """
    if quiet or not sys.stderr.isatty():
        return None
    return lambda title, expected: progress(title, expected, shown=True, unit=unit)
