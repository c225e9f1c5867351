"""`aftersend compute-stats`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from aftersend.cli.context import Json, command_settings, wait_for
from aftersend.cli.render.output import console, count, print_json, table
from aftersend.config.settings import Settings
from aftersend.errors import EXIT_FAILED, EXIT_OK, UsageError
from aftersend.publish.prometheus.drift import write_check
from aftersend.services.cluster import partitions_of
from aftersend.services.drift.check import check
from aftersend.services.drift.findings import DriftReport


def compute_stats(
    delivery: str | None = None,
    /,
    *,
    redis: Annotated[bool, Parameter(negative="--no-redis", show_default=False)] = True,
    metrics: Path | None = None,
    as_json: Json = False,
) -> int:
    """Recompute the KPIs from the rows, and report drift.

    Counts every recipient and every open and click anew from the rows on the status topic, and compares with the KPI
    topic, partition by partition; then compares that with Redis. Each row is compared with its header too, which is
    what a restart goes on from. Every number that is not the same everywhere is shown. There should never be one. Exit
    code 1 if there is.

    Workers may go on meanwhile. What looks different is read again, up to three times, before it is reported: the
    topics are written in the same transaction, but can't be read in the same moment, and Redis lags by some tenths of
    a second.

    What rows can't tell is not recomputed, but compared between KPI topic and Redis: the decisions, and the clicks on
    the unsubscribe link. Deliveries past their retention, whose rows are tombstoned, are listed as archived.

    For example:

        aftersend compute-stats
        aftersend compute-stats spring-sale --json
        aftersend compute-stats --no-redis
        aftersend compute-stats --metrics /var/lib/node_exporter/textfile/aftersend.prom

    Args:
        delivery: Look at this delivery only. The topics are read all the same.
        redis: Compare with Redis too.
        metrics: Write there for Prometheus how much drift there is: a file that its node exporter's textfile collector
            reads.
        as_json: One JSON object.
    """
    settings = command_settings()
    report = wait_for(_check(settings, delivery, with_redis=redis))
    if metrics is not None:
        _write_metrics(metrics, report)
    if as_json:
        print_json(report.as_json())
    else:
        _show(report)
    return EXIT_FAILED if report.drift else EXIT_OK


async def _check(settings: Settings, delivery: str | None, *, with_redis: bool) -> DriftReport:
    partitions = await partitions_of(settings, settings.topics.status, settings.topics.kpis)
    return await check(settings, partitions, delivery, with_redis=with_redis)


def _write_metrics(path: Path, report: DriftReport) -> None:
    try:
        write_check(path, drift=len(report.drift), compared=report.compared, at=time.time())
    except OSError as error:
        raise UsageError(f"--metrics: {path} can't be written: {error.strerror}") from error


def _show(report: DriftReport) -> None:
    screen = console()
    looked = f"{count(report.compared)} numbers of {len(report.deliveries)} deliveries, from {count(report.rows)} rows"
    if report.drift:
        screen.print(f"drift: {len(report.drift)} of {looked}")
        shown = table(
            "", "delivery", "partition", "between", "number", "expected", "found", right=("expected", "found")
        )
        for one in report.drift:
            where = "all" if one.partition is None else str(one.partition)
            shown.add_row(one.delivery_id, where, one.between, one.name, str(one.expected), str(one.found))
        screen.print(shown)
    else:
        screen.print(f"no drift: {looked}")
    if report.archived:
        screen.print(f"archived, rows gone, KPIs kept as they were: {', '.join(sorted(report.archived))}")
    if report.expired:
        screen.print(f"left Redis after their time: {', '.join(sorted(report.expired))}")
