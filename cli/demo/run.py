"""The demo from the first server to the last number."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import Any, Final

from rich.console import Console

from cli.demo.player import Player
from cli.demo.screen import screen
from cli.demo.stage import DemoError, Stage, stage
from cli.demo.view import State, View, local_time, verdict
from cli.demo.watch import Watch
from cli.installation import topic_layouts
from cli.output import print_json
from cli.reference.check import Report, check
from cli.reference.progress import wait_until_folded
from cli.simulation.campaign import simulate_campaign
from engine import admin, logs
from engine.errors import EXIT_FAILED, EXIT_OK

#: How much of the campaign's own time is played.
_CAMPAIGN_SECONDS: Final = 3 * 3600.0
#: How long ago it began, in seconds: its last echoes take as long again, and Kafka takes no record from the future.
_AGO: Final = 2 * _CAMPAIGN_SECONDS + 900.0
#: Raw records for each recipient on average, and those that belong to no recipient of the campaign.
_RECORDS_EACH: Final = 3.0
_OTHER_RECORDS: Final = 140
#: Seconds between two looks.
_LOOK: Final = 0.25
#: Seconds that workers get to come up, and to fold what is left when all is written.
_START_TIMEOUT: Final = 90.0
_FOLD_TIMEOUT: Final = 600.0
_PICTURE_WIDTH: Final = 118
_FONT_FACES: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Options:
    """What is to be played; see `cli.commands.demo`."""

    recipients: int
    deliveries: int
    seed: int
    rate: float
    processes: int
    store: str
    keep_running: bool = False
    as_json: bool = False
    picture: Path | None = None


class Demo:
    """One run.

    Args:
        options: what is to be played.
    """

    def __init__(self, options: Options) -> None:
        """Start nothing yet."""
        self._options = options
        # With --json, standard output is for the one object.
        self._console = Console(stderr=options.as_json, quiet=options.as_json, highlight=False)
        many = "delivery" if options.deliveries == 1 else "deliveries"
        self._view = View(f"{options.recipients:,} recipients, {options.deliveries} {many}, seed {options.seed}")

    def run(self) -> int:
        """Run; return the exit code.

        Raises:
            DemoError: if the worker ends by itself.
            EmbeddedUnavailableError: if a server can't be had here.
        """
        options = self._options
        logs.quiet()
        with _ended_by_signals(), stage(self._say, processes=options.processes, store=options.store) as set_up:
            try:
                report = asyncio.run(self._play(set_up))
                self._show(report)
                if options.keep_running:
                    self._keep_running(set_up, report)
            except KeyboardInterrupt:
                print("stopping", file=sys.stderr)
                raise
        return EXIT_OK if report.equal else EXIT_FAILED

    def _say(self, text: str) -> None:
        self._console.print(f"{local_time(time.time())}  {text}", style="bright_black", soft_wrap=True)

    async def _play(self, set_up: Stage) -> Report:
        settings, options = set_up.settings, self._options
        self._say("creating topics")
        await admin.apply_topics(settings.kafka_options(), topic_layouts(settings), settings.replication_factor)
        self._say("starting the worker")
        await _start(set_up)
        start = time.time() - _AGO
        records = simulate_campaign(
            options.recipients, options.deliveries, options.seed, start, duration=_CAMPAIGN_SECONDS
        )
        player = Player(settings, records, options.rate, options.seed)
        self._say("playing the campaign: three hours in fast motion")
        began = time.monotonic()
        await self._watch(_play_and_wait(player, set_up), set_up, player)
        seconds = time.monotonic() - began
        self._say("checking every number")
        report = await check(settings)
        self._say(
            f"{seconds:.1f} s from the first record written to the last one counted, {report.seconds:.1f} s to check"
        )
        return report

    async def _watch(self, work: Coroutine[Any, Any, None], set_up: Stage, player: Player) -> None:
        """Show how things stand until the work is done."""
        expected = _RECORDS_EACH * self._options.recipients + _OTHER_RECORDS
        task = asyncio.ensure_future(work)
        watch = Watch(set_up.settings)
        try:
            await watch.start()
            with screen(self._console, self._view) as shown:
                while not task.done():
                    set_up.workers.check()
                    snapshot = await watch.look()
                    # How many records there will be, only the end tells for certain.
                    share = 1.0 if player.ended else min(0.99, player.written / expected)
                    shown.show(State(snapshot, player.written, player.clock, share))
                    await asyncio.wait({task}, timeout=_LOOK)
            task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await watch.stop()

    def _show(self, report: Report) -> None:
        if self._options.picture is not None:
            self._options.picture.write_text(self._picture(report))
        if self._options.as_json:
            print_json(_as_json(report))
            return
        self._console.print(self._view.final(report, self._console.width))
        self._console.print(verdict(report))
        for difference in report.differences:
            self._console.print(f"  {difference}", style="red", markup=False)

    def _picture(self, report: Report) -> str:
        """Return the last screen as SVG."""
        console = Console(
            record=True, width=_PICTURE_WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor"
        )
        console.print(self._view.final(report, _PICTURE_WIDTH))
        console.print(verdict(report))
        # Rich would have whoever looks at it fetch a font; any font of theirs will do.
        return _FONT_FACES.sub("", console.export_svg(title="aftersend demo"))

    def _keep_running(self, set_up: Stage, report: Report) -> None:
        """Stay until Ctrl-C, which is the way to end this, not an interruption."""
        settings = set_up.settings
        delivery_id, recipient = report.busiest
        print(
            f"""
Everything goes on running until you press Ctrl-C. In another terminal:

  export AFTERSEND_KAFKA_BOOTSTRAP={settings.kafka_bootstrap} AFTERSEND_REDIS_URL={settings.redis_url}
  aftersend kpi                      # the deliveries
  aftersend kpi {delivery_id}
  aftersend recipient {recipient}
  aftersend compute-stats            # recomputes every KPI from the rows
  curl http://{settings.web_host}:{settings.web_port}/ready

The worker's log is {set_up.workers.log_path}""",
            file=sys.stderr,
        )
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                set_up.workers.check()
                time.sleep(1.0)


async def _start(set_up: Stage) -> None:
    """Start the workers and wait until they have their partitions in hand."""
    set_up.workers.start()
    deadline = time.monotonic() + _START_TIMEOUT
    while not await asyncio.to_thread(set_up.workers.ready):
        set_up.workers.check()
        if time.monotonic() > deadline:
            message = f"the worker was not ready after {_START_TIMEOUT:g} s; {set_up.workers.last_words()}"
            raise DemoError(message)
        await asyncio.sleep(_LOOK)


async def _play_and_wait(player: Player, set_up: Stage) -> None:
    await player.play()
    await wait_until_folded(set_up.settings, _FOLD_TIMEOUT)


def _as_json(report: Report) -> dict[str, Any]:
    decisions: dict[str, Counter[str]] = {}
    for (source, _, decision), number in report.decisions.items():
        decisions.setdefault(source, Counter())[decision] += number
    return {
        "equal": report.equal,
        "differences": report.differences,
        "raw_records": report.raw_records,
        "unreadable": report.unreadable,
        "events": report.events,
        "rows": report.rows,
        "contacts": report.contacts,
        "decisions": decisions,
        "deliveries": report.kpis,
    }


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the demo in order, as Ctrl-C does."""

    def end(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, end)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
