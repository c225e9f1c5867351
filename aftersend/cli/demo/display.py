"""Where the demo shows how things stand: a live view on a terminal, else a line now and then."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.live import Live

from aftersend.cli.demo.render import DemoProgress, DemoRenderer, progress_line

#: Seconds between two lines where there is no terminal.
_LINE: Final = 5.0
#: Seconds over which the speed is taken.
_SPEED_OVER: Final = 2.0


class DemoDisplay:
    """Shows states one after the other.

    Args:
        console: where to.
        view: how.
        live: what to draw on; None: lines only.
    """

    def __init__(self, console: Console, view: DemoRenderer, live: Live | None) -> None:
        self._console = console
        self._view = view
        self._live = live
        self._next_line = time.monotonic() + _LINE
        self._past: deque[tuple[float, int]] = deque()

    def show(self, state: DemoProgress) -> None:
        """Show a state."""
        now = time.monotonic()
        state = state._replace(speed=self._speed(now, sum(state.snapshot.decisions.values())))
        if self._live is not None:
            self._live.update(self._view.live(state, self._console.width, self._console.height), refresh=True)
        elif now >= self._next_line:
            self._next_line = now + _LINE
            self._console.print(progress_line(state), soft_wrap=True)

    def _speed(self, now: float, events: int) -> float:
        self._past.append((now, events))
        while self._past[0][0] < now - _SPEED_OVER:
            self._past.popleft()
        then, before = self._past[0]
        return (events - before) / (now - then) if now > then else 0.0


@contextlib.contextmanager
def open_display(console: Console, view: DemoRenderer) -> Iterator[DemoDisplay]:
    """Return a screen; what it has drawn is gone when this ends."""
    if not console.is_terminal:
        yield DemoDisplay(console, view, None)
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield DemoDisplay(console, view, live)
