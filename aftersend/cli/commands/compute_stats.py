"""`aftersend compute-stats`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from aftersend.cli.context import Json, command_settings, wait_for
from aftersend.cli.render.output import console, count, print_json, table
from aftersend.errors import EXIT_FAILED, EXIT_OK, UsageError
from aftersend.printable import printable
from aftersend.publish.prometheus.drift import write_check
from aftersend.services.drift.check import check_drift
from aftersend.services.drift.findings import DriftReport

Delivery = Annotated[
    str | None, Parameter(help="Compare this delivery only. The topics are read completely in any case.")
]
Redis = Annotated[bool, Parameter(negative="--no-redis", show_default=False, help="Compare with Redis too.")]
Metrics = Annotated[
    Path | None,
    Parameter(help="File to write the result to for Prometheus, for the textfile collector of its node exporter."),
]
AsJson = Annotated[Json, Parameter(help="One JSON object.")]


def compute_stats(
    delivery: Delivery = None,
    /,
    *,
    redis: Redis = True,
    metrics: Metrics = None,
    as_json: AsJson = False,
) -> int:
    """Recompute the KPIs from the rows, and report drift.

    Counts the recipients, opens and clicks of all rows on the status topic, and compares them with the KPI topic, a
    partition at a time; then compares the KPI topic with Redis. Also compares each row's public record with the stored
    row in its headers, which a restore reads. Every number that differs is printed.

    Workers may run meanwhile. A difference is read again up to three times before it is reported: the topics are
    written in one transaction, but can't be read at one moment, and Redis lags by some tenths of a second.

    Decisions and clicks on the unsubscribe link can't be recomputed from rows; they are compared between the KPI topic
    and Redis. Deliveries past their retention, whose rows are deleted, are listed as archived.

    For example:

        aftersend compute-stats
        aftersend compute-stats spring-sale --json
        aftersend compute-stats --no-redis
        aftersend compute-stats --metrics /var/lib/node_exporter/textfile/aftersend.prom

    Exit codes: 0 no drift, 1 drift, 3 invalid settings, 4 Kafka does not answer.
    """
    report = wait_for(check_drift(command_settings(), delivery, with_redis=redis))
    if metrics is not None:
        _write_metrics(metrics, report)
    if as_json:
        print_json(report.as_json())
    else:
        _print(report)
    return EXIT_FAILED if report.drift else EXIT_OK


def _write_metrics(path: Path, report: DriftReport) -> None:
    try:
        write_check(path, drift=len(report.drift), compared=report.compared, at=time.time())
    except OSError as error:
        raise UsageError(f"--metrics: {path} can't be written: {error.strerror}") from error


def _print(report: DriftReport) -> None:
    screen = console()
    scope = f"{count(report.compared)} numbers of {len(report.deliveries)} deliveries, from {count(report.rows)} rows"
    if report.drift:
        screen.print(f"drift: {len(report.drift)} of {scope}")
        result = table(
            "", "delivery", "partition", "between", "number", "expected", "found", right=("expected", "found")
        )
        for one in report.drift:
            partition = "all" if one.partition is None else str(one.partition)
            result.add_row(one.delivery_id, partition, one.between, one.name, str(one.expected), str(one.found))
        screen.print(result)
    else:
        screen.print(f"no drift: {scope}")
    if report.archived:
        screen.print(f"archived, rows deleted, KPIs kept: {printable(', '.join(sorted(report.archived)))}")
    if report.expired:
        screen.print(f"expired in Redis: {printable(', '.join(sorted(report.expired)))}")
