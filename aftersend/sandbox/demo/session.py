"""One run of the demo: writes a simulated campaign, waits until it is folded, and verifies every number."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from aftersend.config.installation import topic_layouts
from aftersend.engine import admin
from aftersend.sandbox.demo.monitor import DemoMonitor, DemoSnapshot
from aftersend.sandbox.demo.providers import SHARES, ProviderTraffic
from aftersend.sandbox.demo.servers import DemoFailedError, DemoServers, Report
from aftersend.sandbox.demo.traffic import RawTraffic
from aftersend.sandbox.reference.check import CheckReport, check
from aftersend.sandbox.reference.progress import wait_until_folded
from aftersend.sandbox.simulation.campaign import simulate_campaign
from aftersend.services.explain.read import ExplainedRow, explain_address

#: Length of the campaign by its own timestamps, seconds.
_CAMPAIGN_SECONDS: Final = 3 * 3600.0
#: Age of its start, seconds: its last events are another campaign's length later, and Kafka rejects future timestamps.
_AGE_SECONDS: Final = 2 * _CAMPAIGN_SECONDS + 900.0
#: Average raw records of a recipient, and raw records that belong to no recipient.
_RECORDS_EACH: Final = 3.0
_OTHER_RECORDS: Final = 140
#: Average events of a recipient whose provider posts webhooks.
_EVENTS_EACH: Final = 2.85
#: Share that is shown before the end: the total number of records is an estimate.
_ALMOST_ALL: Final = 0.99
#: Interval between two snapshots, seconds.
_INTERVAL_SECONDS: Final = 0.25
#: Time for workers to become ready, and to fold the rest after the last record, seconds.
_START_SECONDS: Final = 90.0
_FOLD_SECONDS: Final = 600.0


class DemoOptions(NamedTuple):
    """Options of `aftersend demo`."""

    recipients: int
    deliveries: int
    seed: int
    #: Raw records a second; 0: as fast as possible.
    rate: float
    processes: int
    store: str
    keep_running: bool = False
    as_json: bool = False
    #: SVG file of the last screen; None: none.
    picture: Path | None = None


class DemoProgress(NamedTuple):
    """Progress of a run."""

    snapshot: DemoSnapshot
    #: Raw records written so far.
    written: int
    #: Time of the campaign by its own timestamps, seconds since 1970.
    clock: float
    #: Share of the campaign that is written, 0 to 1.
    share: float
    #: Events counted a second.
    speed: float = 0.0


class DemoOutcome(msgspec.Struct):
    """Result of a run."""

    report: CheckReport
    #: Explanation of the recipient with the most events.
    explained: ExplainedRow
    #: Counts of requests and answers, by provider.
    webhooks: dict[str, dict[str, Any]]
    #: From the first record written to the last one counted, seconds.
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether all numbers are equal, and the explanation agrees with the row."""
        return self.report.equal and not self.explained.explanation.disagreements

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object of `aftersend demo --json`."""
        report = self.report
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
            "webhooks": self.webhooks,
            "explained": msgspec.to_builtins(self.explained.as_json()),
        }


#: Opens a display, which is called with the progress of the run.
OpenDisplay = Callable[[], AbstractContextManager[Callable[[DemoProgress], None]]]


class DemoSession:
    """One run of the demo.

    Args:
        servers: Kafka and Redis, running; workers and gateway, not started.
        options: of the run.
        report: called with a sentence for each phase.
    """

    def __init__(self, servers: DemoServers, options: DemoOptions, report: Report) -> None:
        self._servers = servers
        self._options = options
        self._report = report
        self._providers = self._provider_traffic()
        self._posted_recipients = sum(options.recipients * share // 100 for share in SHARES.values())
        self._traffic = self._raw_traffic()

    def _provider_traffic(self) -> list[ProviderTraffic]:
        """Return the traffic of each provider, to recipients of its own."""
        options, traffic = self._options, []
        start = time.time() - _CAMPAIGN_SECONDS
        for name, share in SHARES.items():
            if recipients := options.recipients * share // 100:
                provider = ProviderTraffic(
                    self._servers.settings,
                    name,
                    self._servers.keys,
                    recipients=recipients,
                    deliveries=options.deliveries,
                    seed=options.seed,
                    start=start,
                    duration=_CAMPAIGN_SECONDS,
                    rate=options.rate * share / 100,
                )
                traffic.append(provider)
        return traffic

    def _raw_traffic(self) -> RawTraffic:
        """Return the traffic of the MTA and the tracker, to the other recipients."""
        options = self._options
        left = options.recipients - self._posted_recipients
        start = time.time() - _AGE_SECONDS
        records = simulate_campaign(left, options.deliveries, options.seed, start, duration=_CAMPAIGN_SECONDS)
        return RawTraffic(self._servers.settings, records, options.rate * left / options.recipients, options.seed)

    async def run(self, open_display: OpenDisplay) -> DemoOutcome:
        """Run the campaign; return its verified result.

        Args:
            open_display: opens the display of the campaign's progress.

        Raises:
            DemoFailedError: if a worker or the gateway exits, or is not ready in time.
        """
        settings = self._servers.settings
        self._report("creating topics")
        await admin.apply_topics(settings.kafka_options(), topic_layouts(settings), settings.replication_factor)
        self._report("starting worker and gateway")
        await self._start()
        self._report(
            f"running the campaign: three hours in fast motion, from an MTA's log and webhooks of {', '.join(SHARES)}"
        )
        began = time.monotonic()
        await self._show_until_done(self._write_and_wait(), open_display)
        seconds = time.monotonic() - began
        self._report("verifying every number")
        report = await check(settings)
        self._report(
            f"{seconds:.1f} s from the first record written to the last one counted, {report.seconds:.1f} s to verify"
        )
        explained = await explain_address(settings, *report.busiest)
        webhooks = {provider.name: provider.as_json() for provider in self._providers}
        return DemoOutcome(report, explained, webhooks, seconds)

    async def _start(self) -> None:
        """Start workers and gateway, and wait until they are ready."""
        processes = (self._servers.workers, self._servers.gateway)
        for process in processes:
            process.start()
        deadline = time.monotonic() + _START_SECONDS
        for process in processes:
            while not await asyncio.to_thread(process.ready):
                self._servers.check()
                if time.monotonic() > deadline:
                    raise DemoFailedError(
                        f"the {process.name} is not ready after {_START_SECONDS:g} s; {process.log_tail()}"
                    )
                await asyncio.sleep(_INTERVAL_SECONDS)

    async def _write_and_wait(self) -> None:
        """Write the campaign, and wait until it is folded."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._traffic.write_all())
            for provider in self._providers:
                group.create_task(provider.post_all())
        await wait_until_folded(self._servers.settings, _FOLD_SECONDS)

    async def _show_until_done(self, work: Coroutine[Any, Any, None], open_display: OpenDisplay) -> None:
        """Show the progress until the work is done.

        Raises:
            DemoFailedError: if a worker or the gateway exits.
        """
        task = asyncio.ensure_future(work)
        monitor = DemoMonitor(self._servers.settings)
        try:
            await monitor.start()
            with open_display() as show:
                while not task.done():
                    self._servers.check()
                    show(self._progress(await monitor.read()))
                    await asyncio.wait({task}, timeout=_INTERVAL_SECONDS)
            task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await monitor.stop()

    def _progress(self, snapshot: DemoSnapshot) -> DemoProgress:
        posted = self._posted_recipients
        expected = _RECORDS_EACH * (self._options.recipients - posted) + _EVENTS_EACH * posted + _OTHER_RECORDS
        events = self._traffic.written + sum(provider.posted.events for provider in self._providers)
        share = 1.0 if self._traffic.ended else min(_ALMOST_ALL, events / expected)
        # A request is one raw record with any number of events.
        written = self._traffic.written + sum(provider.posted.requests for provider in self._providers)
        return DemoProgress(snapshot, written, self._traffic.clock, share)
