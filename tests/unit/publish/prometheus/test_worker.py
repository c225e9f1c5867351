"""What a worker counts, told by real folds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from aftersend.agents.normalise import ParsedBatch
from aftersend.engine.partitions.observer import CommittedBatch
from aftersend.processes.health import PartitionHealth, WorkerHealth
from aftersend.publish.prometheus.catalog import OTHER
from aftersend.publish.prometheus.deliveries import DeliveryMetrics
from aftersend.publish.prometheus.heartbeat import Heartbeat
from aftersend.publish.prometheus.worker import WorkerMetrics
from aftersend.rules.recipient.decisions import Decision
from aftersend.rules.recipient.kinds import DELIVERED, SENT
from aftersend.schemas.packing import pack_event_counter
from aftersend.tables.batch.result import BatchResult
from aftersend.tables.stores.base import Changes
from aftersend.tables.stores.memory import MemoryStore

NOW = 1_790_000_000.0
VIEW = PartitionHealth("events", 2, "running", 100, 120, 120, 120, 7.5, 3.25)


def clock() -> float:
    return NOW


@pytest.fixture
def metrics() -> WorkerMetrics:
    standing = WorkerHealth(assigned=True, restoring=[], restored=12, answered=0, asked=0, partitions=[VIEW])
    sources = {1: "kumomta"}
    return WorkerMetrics(
        ["raw", "events"],
        "events",
        sources,
        Heartbeat(clock),
        DeliveryMetrics(2),
        lambda: standing,
        lambda: True,
        clock,
    )


def values(metrics: WorkerMetrics, name: str) -> dict[tuple[str, ...], float]:
    """Return the samples of one name that are not 0, by label values."""
    return {
        tuple(s.labels.values()): s.value
        for family in metrics.collect()
        for s in family.samples
        if s.name == f"aftersend_{name}" and s.value
    }


def work(topic: str, ages: list[float], stride: int = 1, records: int | None = None) -> CommittedBatch:
    timestamps = [int((NOW - age) * 1000) for age in ages]
    return CommittedBatch(topic, records or len(ages), timestamps, stride, 0.02, 0.2)


def test_a_batch_of_events_counts_its_records_and_their_ages(metrics: WorkerMetrics) -> None:
    metrics.committed(work("events", [0.2, 20.0], stride=3, records=5))
    assert {("events",): 5.0} == values(metrics, "records_total")
    assert {("events", "committed"): 1.0} == values(metrics, "transactions_total")
    assert {(): 5.0} == values(metrics, "event_age_seconds_count")
    assert 3.0 == values(metrics, "event_age_seconds_bucket")["0.25",]
    assert {("events",): 0.2} == values(metrics, "batch_commit_duration_seconds_sum")


def test_raw_records_have_no_age_as_events(metrics: WorkerMetrics) -> None:
    metrics.committed(work("raw", [0.2]))
    assert {} == values(metrics, "event_age_seconds_count")


def test_events_by_source_type_and_decision(metrics: WorkerMetrics) -> None:
    sent, other = pack_event_counter(1, SENT, Decision.APPLIED), pack_event_counter(9, DELIVERED, Decision.LATE)
    for _ in range(2):
        metrics.folded(0, BatchResult(Changes(tick=NOW), {}, {sent: 3, other: 1}, {}, {}, 4, {"DecodeError": 1}))
    assert {("kumomta", "sent", "applied"): 6.0, (OTHER, "delivered", "late"): 2.0} == values(metrics, "events_total")
    assert {("events", "DecodeError"): 2.0} == values(metrics, "dead_letters_total")


def test_what_a_parser_does_not_know_is_counted_by_name_up_to_a_bound(metrics: WorkerMetrics) -> None:
    unknown = {("kumomta", f"Novelty{number}"): 2 for number in range(70)}
    metrics.parsed("raw", ParsedBatch(140, 140, {"SourceError": 3}, unknown))
    found = values(metrics, "unknown_names_total")
    assert (51, 140.0, 40.0) == (len(found), sum(found.values()), found["kumomta", OTHER])
    assert {("raw", "SourceError"): 3.0} == values(metrics, "dead_letters_total")
    assert {("raw",): 140.0} == values(metrics, "parsed_events_total")


def test_what_goes_wrong(metrics: WorkerMetrics) -> None:
    metrics.transaction_failed("events", fenced=True)
    metrics.transaction_failed("events", fenced=False)
    metrics.reset("events")
    metrics.take_over_failed("events")
    metrics.taken_over("events", 1.5)
    assert {("events", "fenced"): 1.0, ("events", "failed"): 1.0} == values(metrics, "transactions_total")
    assert {("events", "failed"): 1.0, ("events", "ok"): 1.0} == values(metrics, "restores_total")
    assert {("events",): 1.0} == values(metrics, "resets_total")
    assert {("events",): 1.5} == values(metrics, "restore_duration_seconds_sum")


def test_where_it_stands(metrics: WorkerMetrics) -> None:
    store: Any = SimpleNamespace(tick=0.0, count=lambda: 9, partial=lambda _: None, partials=list)
    metrics.opened(2, store)
    assert {("events", "2"): 20.0} == values(metrics, "lag_records")
    assert {("events", "2"): 3.25} == values(metrics, "lag_seconds")
    assert {("events", "2"): NOW - 7.5} == values(metrics, "last_commit_timestamp_seconds")
    assert {("events", "running"): 1.0} == values(metrics, "partitions")
    assert {(): 12.0} == values(metrics, "restored_records_total")
    assert {("2",): 9.0} == values(metrics, "rows")
    metrics.closed(2)
    assert {} == values(metrics, "rows")


def test_the_tables_tick_is_where_the_heartbeat_begins() -> None:
    heartbeat = Heartbeat(clock)
    metrics = WorkerMetrics(["events"], "events", {}, heartbeat, DeliveryMetrics(0), lambda: None, lambda: False, clock)  # type: ignore[arg-type,return-value]
    store = MemoryStore()
    store.apply(Changes(tick=NOW - 30), {})
    metrics.opened(4, store)
    assert {("commit", 4): NOW - 30} == heartbeat.last
    metrics.folded(4, BatchResult(Changes(tick=NOW - 1), {}, {}, {}, {}, 1, {}))
    assert {("commit", 4): NOW - 1} == heartbeat.last
