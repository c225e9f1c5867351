"""From a raw record in Kafka to the changed KPI in Redis."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import pytest

from aftersend.config.settings import Settings
from benchmarks.latency import measure
from tests.system.chaos.installation import Installation

RATE = 2_000
SECONDS = 8.0
#: Somebody else may want the machine just now.
ATTEMPTS = 3
#: Seconds; twice what is aimed at, since machines are shared.
MOST_MEDIAN = 1.0
MOST_P99 = 3.0


@pytest.mark.slow
async def test_kpis_follow_raw_records_within_a_second(
    install: Callable[..., Installation], record_property: Callable[[str, object], None]
) -> None:
    """At 2,000 records a second, as the publisher is set by default. Figures: docs/performance.md."""
    installation = install(redis_interval=Settings.model_fields["redis_interval"].default)
    await installation.start()
    median = p99 = 0.0
    for attempt in range(1, ATTEMPTS + 1):
        cuts = statistics.quantiles(await measure(installation.settings, RATE, SECONDS), n=100)
        median, p99 = cuts[49], cuts[98]
        print(f"attempt {attempt}: p50 {median:.3f} s, p99 {p99:.3f} s")  # noqa: T201 - for whoever runs it with -s
        record_property("p50_seconds", round(median, 3))
        record_property("p99_seconds", round(p99, 3))
        if median < MOST_MEDIAN and p99 < MOST_P99:
            break
        await installation.await_caught_up()
    else:
        pytest.fail(f"p50 {median:.3f} s and p99 {p99:.3f} s are too slow")
    await installation.finish()
