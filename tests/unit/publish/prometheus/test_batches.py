import pytest

from aftersend.engine.partitions.observer import CommittedBatch
from aftersend.publish.prometheus.batches import BatchMetrics
from tests.unit.publish.prometheus.samples import values

NOW = 1_790_000_000.0


@pytest.fixture
def metrics() -> BatchMetrics:
    return BatchMetrics(["raw", "events"], "events", lambda: NOW)


def batch(topic: str, ages: list[float], stride: int = 1, records: int | None = None) -> CommittedBatch:
    timestamps = [int((NOW - age) * 1000) for age in ages]
    return CommittedBatch(topic, records or len(ages), timestamps, stride, 0.02, 0.2)


def test_a_batch_of_events_counts_its_records_and_their_ages(metrics: BatchMetrics) -> None:
    metrics.committed(batch("events", [0.2, 20.0], stride=3, records=5))

    assert {("events",): 5.0} == values(metrics, "records_total")
    assert {("events", "committed"): 1.0} == values(metrics, "transactions_total")
    assert {(): 5.0} == values(metrics, "event_age_seconds_count")
    assert 3.0 == values(metrics, "event_age_seconds_bucket")["0.25",]
    assert {("events",): 0.2} == values(metrics, "batch_commit_duration_seconds_sum")


def test_the_age_of_raw_records_is_not_measured(metrics: BatchMetrics) -> None:
    metrics.committed(batch("raw", [0.2]))

    assert {} == values(metrics, "event_age_seconds_count")


def test_failed_transactions_and_restores_are_counted_by_outcome(metrics: BatchMetrics) -> None:
    metrics.transaction_failed("events", fenced=True)
    metrics.transaction_failed("events", fenced=False)
    metrics.reset("events")
    metrics.take_over_failed("events")
    metrics.taken_over("events", 1.5)

    assert {("events", "fenced"): 1.0, ("events", "failed"): 1.0} == values(metrics, "transactions_total")
    assert {("events", "failed"): 1.0, ("events", "ok"): 1.0} == values(metrics, "restores_total")
    assert {("events",): 1.0} == values(metrics, "resets_total")
    assert {("events",): 1.5} == values(metrics, "restore_duration_seconds_sum")
