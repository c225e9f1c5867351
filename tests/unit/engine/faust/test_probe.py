"""Lag of a partition; everything else of the probe is tested on a real broker."""

from types import SimpleNamespace
from typing import cast

import pytest

from aftersend.engine.faust.probe import lag_seconds
from aftersend.engine.partitions.health import PartitionHealth
from aftersend.engine.partitions.task import PartitionTask


def partition(*, delivered: int) -> PartitionHealth:
    return PartitionHealth("events", 3, "running", 100, delivered, 100, 100)


def task(inflight_timestamp: int | None = None, last_timestamp: int | None = None) -> PartitionTask:
    return cast("PartitionTask", SimpleNamespace(inflight_timestamp=inflight_timestamp, last_timestamp=last_timestamp))


def test_lag_is_the_age_of_the_oldest_record_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aftersend.engine.faust.probe.time.time", lambda: 1000.0)
    works, idle = partition(delivered=120), partition(delivered=100)
    works.since_commit = 7.0
    # Known to be under way; only the last one that is done is known; nothing is.
    assert 30.0 == lag_seconds(task(970_000, 900_000), works)
    assert 100.0 == lag_seconds(task(None, 900_000), works)
    assert 7.0 == lag_seconds(task(), works)
    # Nothing waits, however long ago the last record was; and clocks may differ.
    assert 0.0 == lag_seconds(task(None, 900_000), idle)
    assert 0.0 == lag_seconds(task(1_001_000), works)
