"""The loop of `aftersend top`: look, show, wait for the next time or for a key."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from typing import Final

from rich.live import Live

from aftersend.cli.render.output import console, print_json
from aftersend.cli.top.keys import keys
from aftersend.cli.top.view import screen
from aftersend.config.settings import Settings
from aftersend.errors import EXIT_FAILED, EXIT_OK
from aftersend.services.monitor.rates import SORTS, Pulse, pulse
from aftersend.services.monitor.snapshot import Eye, Look

#: A terminal that has been resized is drawn anew after so many seconds.
_NAP: Final = 0.2
_FOOTING: Final = "q quit, s sort by the next column, S by the one before"


class Top:
    """One run.

    Args:
        settings: of the installation.
        interval: seconds between two looks.
        deliveries: how many to show.
        sort: one of `SORTS`.
        as_json: whether scripts read it.
    """

    def __init__(self, settings: Settings, interval: float, deliveries: int, sort: str, *, as_json: bool) -> None:
        self._eye = Eye(settings)
        self._interval = interval
        self._deliveries = deliveries
        self._sort = sort
        self._as_json = as_json
        self._console = console()
        self._before: Look | None = None
        self._last: Look | None = None

    async def once(self) -> int:
        """Show one picture, of two looks an interval apart; return the exit code."""
        try:
            await self._look()
            await asyncio.sleep(self._interval)
            await self._look()
            return self._print(self._pulse())
        finally:
            await self._eye.close()

    async def lines(self) -> int:
        """Show picture after picture, for a pipe or a file, until interrupted."""
        try:
            while True:
                began = time.monotonic()
                await self._look()
                self._print(self._pulse())
                await asyncio.sleep(max(0.0, began + self._interval - time.monotonic()))
        finally:
            await self._eye.close()

    async def live(self) -> int:
        """Show it on the terminal until q, Ctrl-C or SIGTERM."""
        loop = asyncio.get_running_loop()
        with (
            keys(loop) as pressed,
            Live(console=self._console, auto_refresh=False, screen=True) as shown,
        ):
            loop.add_signal_handler(signal.SIGTERM, pressed.put_nowait, "q")
            # Looking takes its time where a server is away; keys are obeyed all the same.
            looking = asyncio.ensure_future(self._keep_looking(shown))
            try:
                await self._obey(pressed, looking, shown)
            finally:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)
                await self._eye.close()
        return EXIT_OK

    async def _keep_looking(self, shown: Live) -> None:
        while True:
            began = time.monotonic()
            await self._look()
            self._draw(shown)
            await asyncio.sleep(max(0.0, began + self._interval - time.monotonic()))

    async def _obey(self, pressed: asyncio.Queue[str], looking: asyncio.Future[None], shown: Live) -> None:
        """Obey keys until one says to quit."""
        size = self._console.size
        while not looking.done():
            try:
                key = await asyncio.wait_for(pressed.get(), _NAP)
            except TimeoutError:
                if self._console.size != size:
                    size = self._console.size
                    self._draw(shown)
                continue
            if key in {"q", "Q", "\x1b"}:
                return
            if key in {"s", "S"}:
                step = 1 if key == "s" else -1
                self._sort = SORTS[(SORTS.index(self._sort) + step) % len(SORTS)]
                self._draw(shown)
        looking.result()

    async def _look(self) -> None:
        look = await self._eye.look()
        self._before, self._last = self._last, look

    def _pulse(self) -> Pulse:
        assert self._last is not None  # noqa: S101 - looked before
        return pulse(self._last, self._before, self._eye.topics, self._sort)

    def _print(self, current: Pulse) -> int:
        if self._as_json:
            print_json(current.as_json(self._deliveries))
        else:
            self._console.print(screen(current, self._console.width, None, self._deliveries))
            self._console.print()
            sys.stdout.flush()
        return EXIT_FAILED if current.problems else EXIT_OK

    def _draw(self, shown: Live) -> None:
        if self._last is None:
            return
        # Asked anew each time: the terminal may have another size by now.
        width, height = self._console.size
        footing = f"sorted by {self._sort}; {_FOOTING}"
        shown.update(screen(self._pulse(), width, height, self._deliveries, footing), refresh=True)
