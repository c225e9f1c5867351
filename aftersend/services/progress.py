"""Interface for progress displays: services report progress through it, and print nothing themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

#: Called with the number of records done so far.
SetProgress = Callable[[int], None]
#: Opens a progress display, given a label and the approximate number of records.
ShowProgress = Callable[[str, int], AbstractContextManager[SetProgress]]


@contextlib.contextmanager
def no_progress(_label: str, _expected: int) -> Iterator[SetProgress]:
    """Display nothing."""
    yield lambda _done: None
