"""A bar that shows how far a command has come with its records."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from aftersend.services.progress import ShowProgress


@contextlib.contextmanager
def progress(what: str, expected: int, *, shown: bool, unit: str = "records") -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error; gives the function that moves it to so many done.

    Args:
        what: is going on.
        expected: how many there will be, about.
        shown: whether there is somebody to see it.
        unit: what is counted.
    """
    if not shown:
        yield lambda _: None
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeElapsedColumn())
    with Progress(*columns, transient=True, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=expected)
        yield lambda done: bar.update(task, completed=done, total=max(expected, done))


def bar(*, quiet: bool) -> ShowProgress | None:
    """Return what shows a bar for a service's work.

    Args:
        quiet: somebody else reads the terminal; then, and where standard error is no terminal, this is None.
    """
    return None if quiet or not sys.stderr.isatty() else lambda label, expected: progress(label, expected, shown=True)
