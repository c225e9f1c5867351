from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from aftersend.publish.prometheus.catalog import OTHER
from aftersend.publish.prometheus.deliveries import DeliveryMetrics
from aftersend.publish.prometheus.events import EventMetrics
from aftersend.publish.prometheus.heartbeat import Heartbeat
from aftersend.rules.recipient.decisions import Decision
from aftersend.rules.recipient.kinds import DELIVERED, SENT
from aftersend.schemas.packing import pack_event_counter
from aftersend.sources.batch import ParsedBatch
from aftersend.tables.batch.result import BatchResult
from aftersend.tables.stores.base import Changes
from aftersend.tables.stores.memory import MemoryStore
from tests.unit.publish.prometheus.samples import values

NOW = 1_790_000_000.0


@pytest.fixture
def heartbeat() -> Heartbeat:
    return Heartbeat(lambda: NOW)


@pytest.fixture
def metrics(heartbeat: Heartbeat) -> EventMetrics:
    return EventMetrics(["raw", "events"], "events", {1: "kumomta"}, heartbeat, DeliveryMetrics(2))


def folded(tick: float, events: dict[int, int], errors: dict[str, int]) -> BatchResult:
    return BatchResult(Changes(tick=tick), {}, events, {}, {}, 4, errors)


def test_events_are_counted_by_source_type_and_decision(metrics: EventMetrics) -> None:
    sent, other = pack_event_counter(1, SENT, Decision.APPLIED), pack_event_counter(9, DELIVERED, Decision.LATE)
    for _ in range(2):
        metrics.folded(0, folded(NOW, {sent: 3, other: 1}, {"DecodeError": 1}))

    assert {("kumomta", "sent", "applied"): 6.0, (OTHER, "delivered", "late"): 2.0} == values(metrics, "events_total")
    assert {("events", "DecodeError"): 2.0} == values(metrics, "dead_letters_total")


def test_unknown_event_types_are_counted_by_name_up_to_a_limit(metrics: EventMetrics) -> None:
    unknown = {("kumomta", f"Novelty{number}"): 2 for number in range(70)}
    metrics.parsed("raw", ParsedBatch(140, 140, {"SourceError": 3}, unknown))

    found = values(metrics, "unknown_names_total")
    assert (51, 140.0, 40.0) == (len(found), sum(found.values()), found["kumomta", OTHER])
    assert {("raw", "SourceError"): 3.0} == values(metrics, "dead_letters_total")
    assert {("raw",): 140.0} == values(metrics, "parsed_events_total")


def test_rows_are_counted_while_the_partition_is_open(metrics: EventMetrics) -> None:
    store: Any = SimpleNamespace(tick=0.0, count=lambda: 9, partial=lambda _: None, partials=list)
    metrics.opened(2, store)
    assert {("2",): 9.0} == values(metrics, "rows")

    metrics.closed(2)
    assert {} == values(metrics, "rows")


def test_the_heartbeat_starts_at_the_tick_of_the_tables(metrics: EventMetrics, heartbeat: Heartbeat) -> None:
    store = MemoryStore()
    store.apply(Changes(tick=NOW - 30), {})
    metrics.opened(4, store)
    assert {("commit", 4): NOW - 30} == heartbeat.last

    metrics.folded(4, folded(NOW - 1, {}, {}))
    assert {("commit", 4): NOW - 1} == heartbeat.last
