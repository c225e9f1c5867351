"""Loop of `aftersend top`: read a snapshot, draw it, wait for the next interval or a key."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from typing import Final

from rich.live import Live

from aftersend.cli.render.output import console, print_json
from aftersend.cli.render.top import screen
from aftersend.cli.top.keys import pressed_keys
from aftersend.config.settings import Settings
from aftersend.errors import EXIT_FAILED, EXIT_OK
from aftersend.services.monitor.rates import SORTS, Rates, compute_rates
from aftersend.services.monitor.snapshot import Snapshot, SnapshotReader

#: A resized terminal is redrawn within this time, seconds.
_RESIZE_SECONDS: Final = 0.2
_KEYS: Final = "q quit, s sort by the next column, S by the one before"


class Top:
    """One run of the command.

    Args:
        settings: of the installation.
        interval: seconds between two snapshots.
        deliveries: number of deliveries to show.
        sort: one of `SORTS`.
        as_json: print JSON lines instead of screens.
    """

    def __init__(self, settings: Settings, interval: float, deliveries: int, sort: str, *, as_json: bool) -> None:
        self._reader = SnapshotReader(settings)
        self._interval = interval
        self._deliveries = deliveries
        self._sort = sort
        self._as_json = as_json
        self._console = console()
        self._before: Snapshot | None = None
        self._last: Snapshot | None = None

    async def once(self) -> int:
        """Print one screen, made of two snapshots an interval apart; return the exit code."""
        try:
            await self._read()
            await asyncio.sleep(self._interval)
            return self._print(self._rates(await self._read()))
        finally:
            await self._reader.close()

    async def lines(self) -> int:
        """Print one screen after the other, for a pipe or a file, until interrupted."""
        try:
            while True:
                began = time.monotonic()
                self._print(self._rates(await self._read()))
                await asyncio.sleep(max(0.0, began + self._interval - time.monotonic()))
        finally:
            await self._reader.close()

    async def live(self) -> int:
        """Draw on the terminal until q, Ctrl-C or SIGTERM."""
        loop = asyncio.get_running_loop()
        with (
            pressed_keys(loop) as keys,
            Live(console=self._console, auto_refresh=False, screen=True) as shown,
        ):
            loop.add_signal_handler(signal.SIGTERM, keys.put_nowait, "q")
            # A snapshot takes seconds where a server is away; keys take effect meanwhile.
            refreshing = asyncio.ensure_future(self._refresh(shown))
            try:
                await self._handle_keys(keys, refreshing, shown)
            finally:
                refreshing.cancel()
                await asyncio.gather(refreshing, return_exceptions=True)
                await self._reader.close()
        return EXIT_OK

    async def _refresh(self, shown: Live) -> None:
        while True:
            began = time.monotonic()
            await self._read()
            self._draw(shown)
            await asyncio.sleep(max(0.0, began + self._interval - time.monotonic()))

    async def _handle_keys(self, keys: asyncio.Queue[str], refreshing: asyncio.Future[None], shown: Live) -> None:
        """Handle keys until one means to quit."""
        size = self._console.size
        while not refreshing.done():
            try:
                key = await asyncio.wait_for(keys.get(), _RESIZE_SECONDS)
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
        refreshing.result()

    async def _read(self) -> Snapshot:
        snapshot = await self._reader.read()
        self._before, self._last = self._last, snapshot
        return snapshot

    def _rates(self, snapshot: Snapshot) -> Rates:
        return compute_rates(snapshot, self._before, self._reader.topics, self._sort)

    def _print(self, rates: Rates) -> int:
        if self._as_json:
            print_json(rates.as_json(self._deliveries))
        else:
            self._console.print(screen(rates, self._console.width, None, self._deliveries))
            self._console.print()
            sys.stdout.flush()
        return EXIT_FAILED if rates.problems else EXIT_OK

    def _draw(self, shown: Live) -> None:
        if self._last is None:
            return
        # The terminal may have been resized since the last time.
        width, height = self._console.size
        footer = f"sorted by {self._sort}; {_KEYS}"
        shown.update(screen(self._rates(self._last), width, height, self._deliveries, footer), refresh=True)
