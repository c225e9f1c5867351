"""`aftersend doctor`."""

from __future__ import annotations

from collections import Counter
from typing import Final

from aftersend.cli.context import Json, wait_for
from aftersend.cli.render.output import Line, PrintableConsole, console, print_json
from aftersend.errors import EXIT_FAILED, EXIT_OK
from aftersend.processes import logs
from aftersend.services.doctor.findings import Finding, Result
from aftersend.services.doctor.run import examine

_STYLE: Final[dict[Result, str]] = {"ok": "green", "warning": "yellow", "failed": "bold red"}
#: Width of the result's column.
_WIDTH: Final = 9


def doctor(*, as_json: Json = False) -> int:
    """Check settings, Kafka, topics, workers, Redis, clock and machine, and print what to do.

    All checks run, whatever the others find. Nothing is changed. The checks:

    - settings: all invalid ones at once; environment variables that look like a misspelt setting;
    - Kafka: whether it answers, its latency, and whether it supports transactions;
    - topics: whether they exist, with the right partitions and configuration;
    - owner: to which installation the topics and the keys in Redis belong;
    - state: whether the changelogs hold the state of what the consumer group has folded;
    - workers: state and lag of the consumer group, and whether records were deleted before they were consumed;
    - positions: whether the consumer group stands where the partitions have come to;
    - Redis: version, memory, eviction, persistence, and its clock compared with this machine's;
    - webhooks: sources with secrets for the gateway, and whether the secrets are valid keys;
    - this machine: disk and directory of the RocksDB store, limit of open files.

    For example:

        aftersend doctor
        aftersend doctor --json | jq '.findings[] | select(.result != "ok")'

    Exit codes: 0 no check failed (there may be warnings), 1 a check failed.

    Args:
        as_json: One JSON object.
    """
    logs.quiet()
    return wait_for(_examine(as_json=as_json))


async def _examine(*, as_json: bool) -> int:
    screen = console()
    findings = []
    async for finding in examine():
        findings.append(finding)
        if not as_json:
            _print(finding, screen)
    counts = Counter(finding.result for finding in findings)
    if as_json:
        print_json({"ok": not counts["failed"], "findings": [finding.as_json() for finding in findings]})
    else:
        screen.print(f"\n{counts['ok']} ok, {counts['warning']} warnings, {counts['failed']} failed")
    return EXIT_FAILED if counts["failed"] else EXIT_OK


def _print(finding: Finding, screen: PrintableConsole) -> None:
    line = Line(f"{finding.result:<{_WIDTH}}", style=_STYLE[finding.result])
    line.append(f"{finding.check}: {finding.found}", style="" if finding.result == "ok" else "bold")
    screen.print(line, soft_wrap=True)
    if finding.advice:
        screen.print(Line(f"{' ' * _WIDTH}-> {finding.advice}"), soft_wrap=True)
