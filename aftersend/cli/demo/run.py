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

import msgspec
from rich.console import Console

from aftersend.cli.demo.display import open_display
from aftersend.cli.demo.render import DemoProgress, DemoRenderer, local_time, result_line
from aftersend.cli.render.explain import explanation_details
from aftersend.cli.render.output import print_json
from aftersend.config.installation import topic_layouts
from aftersend.config.settings import Settings
from aftersend.engine import admin
from aftersend.engine.aiokafka import patches
from aftersend.errors import EXIT_FAILED, EXIT_OK
from aftersend.processes import logs
from aftersend.sandbox.demo.providers import SHARES, Provider
from aftersend.sandbox.demo.servers import DemoFailedError, DemoServers, start_servers
from aftersend.sandbox.demo.traffic import Player
from aftersend.sandbox.demo.watch import DemoMonitor
from aftersend.sandbox.reference.check import CheckReport, check
from aftersend.sandbox.reference.progress import wait_until_folded
from aftersend.sandbox.simulation.campaign import simulate_campaign
from aftersend.schemas.partitioning import partition_of
from aftersend.services.explain.read import ExplainedRow, locate_row, read_explanation

#: How much of the campaign's own time is played.
_CAMPAIGN_SECONDS: Final = 3 * 3600.0
#: How long ago it began, in seconds: its last echoes take as long again, and Kafka takes no record from the future.
_AGO: Final = 2 * _CAMPAIGN_SECONDS + 900.0
#: Raw records for each recipient on average, and those that belong to no recipient of the campaign.
_RECORDS_EACH: Final = 3.0
_OTHER_RECORDS: Final = 140
#: Events of each recipient on average of whom a provider tells.
_EVENTS_EACH: Final = 2.85
#: Seconds between two looks.
_LOOK: Final = 0.25
#: Seconds that workers get to come up, and to fold what is left when all is written.
_START_TIMEOUT: Final = 90.0
_FOLD_TIMEOUT: Final = 600.0
_PICTURE_WIDTH: Final = 118
_FONT_FACES: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What is to be played; see `aftersend.cli.commands.demo`."""

    recipients: int
    deliveries: int
    seed: int
    rate: float
    processes: int
    store: str
    keep_running: bool = False
    as_json: bool = False
    picture: Path | None = None


@dataclass(frozen=True, slots=True)
class DemoOutcome:
    """How a run ended."""

    report: CheckReport
    #: The recipient with the most events, explained.
    explained: ExplainedRow
    #: By provider, what became of its requests.
    webhooks: dict[str, dict[str, Any]]

    @property
    def right(self) -> bool:
        """Whether every number and every explanation is what it should be."""
        return self.report.equal and not self.explained.explanation.disagreements


class Demo:
    """One run.

    Args:
        options: what is to be played.
    """

    def __init__(self, options: DemoOptions) -> None:
        self._options = options
        # With --json, standard output is for the one object.
        self._console = Console(stderr=options.as_json, quiet=options.as_json, highlight=False)
        many = "delivery" if options.deliveries == 1 else "deliveries"
        self._view = DemoRenderer(
            f"{options.recipients:,} recipients, {options.deliveries} {many}, seed {options.seed}"
        )

    def run(self) -> int:
        """Run; return the exit code.

        Raises:
            DemoError: if the worker ends by itself.
            EmbeddedUnavailableError: if a server can't be had here.
        """
        options = self._options
        logs.quiet()
        with _ended_by_signals(), start_servers(self._say, processes=options.processes, store=options.store) as set_up:
            try:
                patches.apply()
                outcome = asyncio.run(self._play(set_up))
                self._show(outcome)
                if options.keep_running:
                    self._keep_running(set_up, outcome.report)
            except KeyboardInterrupt:
                print("stopping", file=sys.stderr)
                raise
        return EXIT_OK if outcome.right else EXIT_FAILED

    def _say(self, text: str) -> None:
        self._console.print(f"{local_time(time.time())}  {text}", style="bright_black", soft_wrap=True)

    async def _play(self, set_up: DemoServers) -> DemoOutcome:
        settings = set_up.settings
        self._say("creating topics")
        await admin.apply_topics(settings.kafka_options(), topic_layouts(settings), settings.replication_factor)
        self._say("starting worker and gateway")
        await _start(set_up)
        player, providers = self._cast(set_up)
        self._say(
            f"playing the campaign: three hours in fast motion, from an MTA's log and webhooks of {', '.join(SHARES)}"
        )
        began = time.monotonic()
        await self._watch(_play_and_wait(player, providers, set_up), set_up, player, providers)
        seconds = time.monotonic() - began
        self._say("checking every number")
        report = await check(settings)
        self._say(
            f"{seconds:.1f} s from the first record written to the last one counted, {report.seconds:.1f} s to check"
        )
        found = await _explain(settings, *report.busiest)
        return DemoOutcome(report, found, {provider.name: provider.as_json() for provider in providers})

    def _cast(self, set_up: DemoServers) -> tuple[Player, list[Provider]]:
        """Return who plays: the MTA and the tracker, and the providers, each to recipients of its own."""
        settings, options = set_up.settings, self._options
        now = time.time()
        left, providers = options.recipients, []
        for name, share in SHARES.items():
            recipients = options.recipients * share // 100
            if recipients:
                left -= recipients
                provider = Provider(
                    settings,
                    name,
                    set_up.keys,
                    recipients=recipients,
                    deliveries=options.deliveries,
                    seed=options.seed,
                    start=now - _CAMPAIGN_SECONDS,
                    duration=_CAMPAIGN_SECONDS,
                    rate=options.rate * share / 100,
                )
                providers.append(provider)
        records = simulate_campaign(left, options.deliveries, options.seed, now - _AGO, duration=_CAMPAIGN_SECONDS)
        return Player(settings, records, options.rate * left / options.recipients, options.seed), providers

    async def _watch(
        self, work: Coroutine[Any, Any, None], set_up: DemoServers, player: Player, providers: list[Provider]
    ) -> None:
        """Show how things stand until the work is done."""
        posted = sum(self._options.recipients * share // 100 for share in SHARES.values())
        expected = _RECORDS_EACH * (self._options.recipients - posted) + _EVENTS_EACH * posted + _OTHER_RECORDS
        task = asyncio.ensure_future(work)
        watch = DemoMonitor(set_up.settings)
        try:
            await watch.start()
            with open_display(self._console, self._view) as shown:
                while not task.done():
                    set_up.check()
                    snapshot = await watch.look()
                    # How many records there will be, only the end tells for certain.
                    events = player.written + sum(provider.posted.events for provider in providers)
                    share = 1.0 if player.ended else min(0.99, events / expected)
                    # A request is one raw record, however many events are in it.
                    written = player.written + sum(provider.posted.requests for provider in providers)
                    shown.show(DemoProgress(snapshot, written, player.clock, share))
                    await asyncio.wait({task}, timeout=_LOOK)
            task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await watch.stop()

    def _show(self, outcome: DemoOutcome) -> None:
        report = outcome.report
        if self._options.picture is not None:
            self._options.picture.write_text(self._picture(report))
        if self._options.as_json:
            print_json(_as_json(outcome))
            return
        self._console.print(self._view.final(report, self._console.width))
        self._console.print(result_line(report))
        for difference in report.differences:
            self._console.print(f"  {difference}", style="red", markup=False)
        for name, posted in outcome.webhooks.items():
            answers = ", ".join(f"{number:,} times {answer}" for answer, number in posted["answers"].items())
            self._console.print(f"{name}: {posted['events']:,} events in signed requests, answered {answers}")
        delivery_id, recipient = report.busiest
        self._console.print(f"\nWhy? aftersend explain {delivery_id} {recipient}\n", style="bold", markup=False)
        self._console.print(explanation_details(outcome.explained, raw=False))

    def _picture(self, report: CheckReport) -> str:
        """Return the last screen as SVG."""
        console = Console(
            record=True, width=_PICTURE_WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor"
        )
        console.print(self._view.final(report, _PICTURE_WIDTH))
        console.print(result_line(report))
        # Rich would have whoever looks at it fetch a font; any font of theirs will do.
        return _FONT_FACES.sub("", console.export_svg(title="aftersend demo"))

    def _keep_running(self, set_up: DemoServers, report: CheckReport) -> None:
        """Stay until Ctrl-C, which is the way to end this, not an interruption."""
        settings = set_up.settings
        delivery_id, recipient = report.busiest
        gateway = f"http://{settings.gateway_host}:{settings.gateway_port}"
        print(
            f"""
Everything goes on running until you press Ctrl-C. In another terminal:

  export AFTERSEND_KAFKA_BOOTSTRAP={settings.kafka_bootstrap} AFTERSEND_REDIS_URL={settings.redis_url}
  export AFTERSEND_PARTITIONS={settings.partitions}
  aftersend kpi                      # the deliveries
  aftersend kpi {delivery_id}
  aftersend recipient {recipient}
  aftersend explain {delivery_id} {recipient}
  aftersend top                      # what goes on, live
  aftersend dead-letters list        # what could not be read, and why
  aftersend doctor
  aftersend simulate {next(iter(SHARES))} --key {set_up.keys} --url {gateway} --rate 50
  aftersend compute-stats            # recomputes every KPI from the rows
  curl http://{settings.web_host}:{settings.web_port}/ready

The logs are {set_up.workers.log_path} and {set_up.gateway.log_path}""",
            file=sys.stderr,
        )
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                set_up.check()
                time.sleep(1.0)


async def _start(set_up: DemoServers) -> None:
    """Start workers and gateway and wait until they can do their work."""
    parts = (set_up.workers, set_up.gateway)
    for part in parts:
        part.start()
    deadline = time.monotonic() + _START_TIMEOUT
    for part in parts:
        while not await asyncio.to_thread(part.ready):
            set_up.check()
            if time.monotonic() > deadline:
                raise DemoFailedError(
                    f"not ready after {_START_TIMEOUT:g} s: {part.log_path.stem}; {part.last_words()}"
                )
            await asyncio.sleep(_LOOK)


async def _play_and_wait(player: Player, providers: list[Provider], set_up: DemoServers) -> None:
    async with asyncio.TaskGroup() as all_of_them:
        all_of_them.create_task(player.play())
        for provider in providers:
            all_of_them.create_task(provider.play())
    await wait_until_folded(set_up.settings, _FOLD_TIMEOUT)


async def _explain(settings: Settings, delivery_id: str, recipient: str) -> ExplainedRow:
    """Return one recipient explained, as `aftersend explain` does it."""
    partition = partition_of(recipient, settings.partitions)
    return await read_explanation(locate_row(settings, partition, delivery_id, recipient))


def _as_json(outcome: DemoOutcome) -> dict[str, Any]:
    report = outcome.report
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
        "webhooks": outcome.webhooks,
        "explained": msgspec.to_builtins(outcome.explained.as_json()),
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
