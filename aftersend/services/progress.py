"""How a service reports the progress of long work to whoever asked for it, without printing anything itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

#: Called with the number of records done so far.
Move = Callable[[int], None]
#: Opens a progress display, given a label and the approximate number of records; gives the function that moves it.
ShowProgress = Callable[[str, int], AbstractContextManager[Move]]


@contextlib.contextmanager
def no_progress(_label: str, _expected: int) -> Iterator[Move]:
    """Show nothing."""
    yield lambda _done: None
