"""Display of the demo's progress: a live screen on a terminal, else a line from time to time."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from rich.live import Live

from aftersend.cli.render.demo import DemoRenderer, progress_line
from aftersend.cli.render.output import PrintableConsole
from aftersend.sandbox.demo.session import DemoProgress

#: Interval between two lines without a terminal, seconds.
_LINE_SECONDS: Final = 5.0
#: Time over which the speed is computed, seconds.
_SPEED_SECONDS: Final = 2.0


class DemoDisplay:
    """Shows the progress of a run.

    Args:
        console: to print to.
        renderer: of the screen.
        live: screen to draw on; None: lines only.
    """

    def __init__(self, console: PrintableConsole, renderer: DemoRenderer, live: Live | None) -> None:
        self._console = console
        self._renderer = renderer
        self._live = live
        self._next_line = time.monotonic() + _LINE_SECONDS
        #: Times of the last snapshots, and events counted by then.
        self._past: deque[tuple[float, int]] = deque()

    def show(self, progress: DemoProgress) -> None:
        """Show the progress."""
        now = time.monotonic()
        progress = progress._replace(speed=self._speed(now, sum(progress.snapshot.decisions.values())))
        if self._live is not None:
            screen = self._renderer.live(progress, self._console.width, self._console.height)
            self._live.update(screen, refresh=True)
        elif now >= self._next_line:
            self._next_line = now + _LINE_SECONDS
            self._console.print(progress_line(progress), soft_wrap=True)

    def _speed(self, now: float, events: int) -> float:
        self._past.append((now, events))
        while self._past[0][0] < now - _SPEED_SECONDS:
            self._past.popleft()
        then, before = self._past[0]
        return (events - before) / (now - then) if now > then else 0.0


@contextlib.contextmanager
def open_display(console: PrintableConsole, renderer: DemoRenderer) -> Iterator[Callable[[DemoProgress], None]]:
    """Open a display, and yield the function that shows the progress; its screen is removed on exit."""
    if not console.is_terminal:
        yield DemoDisplay(console, renderer, None).show
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield DemoDisplay(console, renderer, live).show
