"""`aftersend doctor`."""

from __future__ import annotations

from collections import Counter
from typing import Final

from rich.console import Console
from rich.text import Text

from aftersend.cli.context import Json, wait_for
from aftersend.cli.render.output import console, print_json
from aftersend.errors import EXIT_FAILED, EXIT_OK
from aftersend.processes import logs
from aftersend.services.doctor.findings import Finding, Result
from aftersend.services.doctor.run import examine

_SIGN: Final[dict[Result, tuple[str, str]]] = {
    "ok": ("ok", "green"),
    "warning": ("warning", "yellow"),
    "failed": ("failed", "bold red"),
}
_INDENT: Final = " " * 9


def doctor(*, as_json: Json = False) -> int:
    """Check settings, Kafka, topics, workers, Redis, clock and machine; say what to do.

    Every check is made, whatever the others found. Nothing is changed. What it looks at:

    - settings: all that are wrong, at once; variables that look like a setting with a slip of the pen;
    - Kafka: whether it answers, how quickly, and whether it gives transactions;
    - topics: whether they are there, with the right partitions and configuration;
    - workers: the consumer group's state, how far it is behind, and whether records were deleted unread;
    - Redis: version, memory, eviction, persistence, and its clock against this machine's;
    - webhooks: for which sources the gateway has secrets, and whether they can be keys;
    - this machine: disk and directory of the RocksDB store, limit of open files.

    For example:

        aftersend doctor
        aftersend doctor --json | jq '.findings[] | select(.result != "ok")'

    Exit codes: 0 nothing failed (there may be warnings), 1 something did.

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
            _show(finding, screen)
    counts = Counter(finding.result for finding in findings)
    if as_json:
        print_json({"ok": not counts["failed"], "findings": [finding.as_json() for finding in findings]})
    else:
        screen.print(f"\n{counts['ok']} ok, {counts['warning']} warnings, {counts['failed']} failed")
    return EXIT_FAILED if counts["failed"] else EXIT_OK


def _show(finding: Finding, screen: Console) -> None:
    sign, style = _SIGN[finding.result]
    line = Text(f"{sign:<9}", style=style)
    line.append(f"{finding.check}: {finding.found}", style="" if finding.result == "ok" else "bold")
    screen.print(line, soft_wrap=True)
    if finding.advice:
        screen.print(Text(f"{_INDENT}-> {finding.advice}"), soft_wrap=True)
