"""Each event counts exactly once, whatever breaks: workers killed, stopped and frozen, broker and Redis restarted.

The long version runs with `make chaos`; `SEED=…` repeats a run's faults.
"""

import os
import secrets
from pathlib import Path

import pytest

from tests.system.chaos.run import Scale, run

SHORT = Scale(recipients=4_000, events=18_000, workers=3, seconds=45.0, gaps=(2.0, 3.5), patience=120.0)
LONG = Scale(recipients=65_000, events=130_000, workers=3, seconds=240.0, gaps=(3.0, 7.0), patience=300.0)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("store", ["memory", "rocksdb"])
async def test_every_number_is_right_after_a_short_chaos(store: str, tmp_path: Path) -> None:
    await run(tmp_path, SHORT, 1, store=store, partitions=4)


@pytest.mark.chaos
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("store", ["memory", "rocksdb"])
async def test_every_number_is_right_after_a_long_chaos(store: str, tmp_path: Path) -> None:
    """At least 300,000 events: some 195,000 raw records and 130,000 events that come directly."""
    seed = int(os.environ.get("SEED") or secrets.randbelow(10_000))
    await run(tmp_path, LONG, seed, store=store, partitions=4)
