"""From a raw record in Kafka to the changed KPI in Redis."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest

from aftersend.config.settings import Settings
from benchmarks.latency import measure
from tests.system.chaos.installation import Installation
from tests.system.chaos.load import raw_records

#: Records a second at most, and of what this machine can do just now.
RATE = 2_000
SHARE = 0.2
SECONDS = 6.0


@pytest.mark.slow
async def test_kpis_follow_raw_records_while_they_come(
    install: Callable[..., Installation], record_property: Callable[[str, object], None]
) -> None:
    """As the publisher is set by default, at a rate that leaves room. Figures: docs/performance.md."""
    installation = install(redis_interval=Settings.model_fields["redis_interval"].default)
    await installation.start()
    started = time.monotonic()
    written = await installation.write(raw_records(installation.topics, 1_000, 1, time.time() - 3600, 4))
    await installation.await_caught_up()
    rate = min(RATE, max(40, int(SHARE * written / (time.monotonic() - started))))

    cuts = statistics.quantiles(await measure(installation.settings, rate, SECONDS), n=100)
    median, p99 = cuts[49], cuts[98]
    print(f"at {rate} records a second: p50 {median:.3f} s, p99 {p99:.3f} s")  # noqa: T201 - for whoever uses -s
    record_property("p50_seconds", round(median, 3))
    record_property("p99_seconds", round(p99, 3))
    assert median < SECONDS / 2, "most are shown while others still come: nothing waits for the end of the stream"
    await installation.finish()
