"""`aftersend demo`: runs a session, shows its progress, and prints its result."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
import time
from collections.abc import Iterator
from io import StringIO
from types import FrameType
from typing import Final

from aftersend.cli.demo.display import open_display
from aftersend.cli.render.demo import DemoRenderer, local_time, result_line
from aftersend.cli.render.explain import explanation_details
from aftersend.cli.render.output import PrintableConsole, print_json, say
from aftersend.engine.aiokafka import patches
from aftersend.errors import EXIT_FAILED, EXIT_OK
from aftersend.printable import printable
from aftersend.processes import logs
from aftersend.sandbox.demo.providers import SHARES
from aftersend.sandbox.demo.servers import DemoServers, start_servers
from aftersend.sandbox.demo.session import DemoOptions, DemoOutcome, DemoSession
from aftersend.sandbox.reference.check import CheckReport

#: Width of the SVG picture, characters.
_PICTURE_WIDTH: Final = 118
_FONT_FACES: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
#: Interval of checks whether the servers still run, seconds.
_CHECK_SECONDS: Final = 1.0


class Demo:
    """One run of the command.

    Args:
        options: of the command.
    """

    def __init__(self, options: DemoOptions) -> None:
        self._options = options
        # With --json, standard output is for the JSON object.
        self._console = PrintableConsole(stderr=options.as_json, quiet=options.as_json)
        many = "delivery" if options.deliveries == 1 else "deliveries"
        title = f"{options.recipients:,} recipients, {options.deliveries} {many}, seed {options.seed}"
        self._renderer = DemoRenderer(title)

    def run(self) -> int:
        """Run; return the exit code.

        Raises:
            DemoFailedError: if a worker or the gateway exits.
            EmbeddedUnavailableError: if a server is unavailable on this machine.
        """
        options = self._options
        logs.quiet()
        with (
            _ended_by_signals(),
            start_servers(self._report, processes=options.processes, store=options.store) as servers,
        ):
            try:
                patches.apply()
                session = DemoSession(servers, options, self._report)
                outcome = asyncio.run(session.run(lambda: open_display(self._console, self._renderer)))
                self._show(outcome)
                if options.keep_running:
                    _keep_running(servers, outcome.report)
            except KeyboardInterrupt:
                say("stopping", error=True)
                raise
        return EXIT_OK if outcome.passed else EXIT_FAILED

    def _report(self, text: str) -> None:
        self._console.print(f"{local_time(time.time())}  {text}", style="bright_black", soft_wrap=True)

    def _show(self, outcome: DemoOutcome) -> None:
        report = outcome.report
        if self._options.picture is not None:
            self._options.picture.write_text(self._picture(report))
        if self._options.as_json:
            print_json(outcome.as_json())
            return
        self._console.print(self._renderer.final(report, self._console.width))
        self._console.print(result_line(report))
        for difference in report.differences:
            self._console.print(f"  {difference}", style="red")
        for name, posted in outcome.webhooks.items():
            answers = ", ".join(f"{number:,} times {answer}" for answer, number in posted["answers"].items())
            self._console.print(f"{name}: {posted['events']:,} events in signed requests, answered {answers}")
        delivery_id, recipient = report.busiest
        self._console.print(f"\nWhy? aftersend explain {printable(delivery_id)} {printable(recipient)}\n", style="bold")
        self._console.print(explanation_details(outcome.explained, raw=False))

    def _picture(self, report: CheckReport) -> str:
        """Return the last screen as SVG."""
        console = PrintableConsole(
            record=True, width=_PICTURE_WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor"
        )
        console.print(self._renderer.final(report, _PICTURE_WIDTH))
        console.print(result_line(report))
        # Rich refers to a font on a server; any installed font does.
        return _FONT_FACES.sub("", console.export_svg(title="aftersend demo"))


def _keep_running(servers: DemoServers, report: CheckReport) -> None:
    """Print commands to try, and return after Ctrl-C.

    Raises:
        DemoFailedError: if a worker or the gateway exits.
    """
    settings = servers.settings
    delivery_id, recipient = report.busiest
    gateway = f"http://{settings.gateway_host}:{settings.gateway_port}"
    say(
        f"""
The servers keep running until you press Ctrl-C. In another terminal:

  export AFTERSEND_KAFKA_BOOTSTRAP={settings.kafka_bootstrap} AFTERSEND_REDIS_URL={settings.redis_url}
  export AFTERSEND_PARTITIONS={settings.partitions}
  aftersend kpi                      # list the deliveries
  aftersend kpi {delivery_id}
  aftersend recipient {recipient}
  aftersend explain {delivery_id} {recipient}
  aftersend top                      # deliveries and pipeline, live
  aftersend dead-letters list        # unreadable records
  aftersend doctor
  aftersend simulate {next(iter(SHARES))} --key {servers.keys} --url {gateway} --rate 50
  aftersend compute-stats            # recompute every KPI from the rows
  curl http://{settings.web_host}:{settings.web_port}/ready

Logs: {servers.workers.log_path} and {servers.gateway.log_path}""",
        error=True,
    )
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how this ends
        while True:
            servers.check()
            time.sleep(_CHECK_SECONDS)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the demo in order, as Ctrl-C does; restore the handlers on exit."""

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
