"""Series of deliveries, and of all others together: their sum always equals the tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from aftersend.publish.prometheus.catalog import NONE, OTHER
from aftersend.publish.prometheus.deliveries import DeliveryMetrics
from aftersend.rules.kpi.indicators import kpis, merged
from aftersend.rules.recipient.decisions import Decision
from aftersend.rules.recipient.facts import Fact
from aftersend.rules.recipient.kinds import DELIVERED, OPENED, SENT
from aftersend.schemas.kpi import KpiPartial
from aftersend.schemas.packing import pack_bucket, pack_event_counter
from aftersend.tables.stores.memory import MemoryStore

CELLS = (
    pack_bucket(3, Fact.SENT),
    pack_bucket(6, Fact.SENT | Fact.DELIVERED),
    pack_bucket(8, Fact.SENT | Fact.DELIVERED | Fact.OPENED),
    pack_bucket(12, Fact.SENT | Fact.HARD_BOUNCED),
)
KEYS = (
    pack_event_counter(1, SENT, Decision.APPLIED),
    pack_event_counter(1, DELIVERED, Decision.DUPLICATE),
    pack_event_counter(2, OPENED, Decision.APPLIED),
)
NAMES = ("a", "b", "c", "d", "", OTHER)


class Store(MemoryStore):
    """A partition's KPIs, and the folding of batches into them."""

    def __init__(self, shown: DeliveryMetrics, partition: int) -> None:
        super().__init__()
        self.shown = shown
        self.partition = partition
        self.parts: dict[str, KpiPartial] = {}

    def partial(self, delivery_id: str) -> KpiPartial | None:
        return self.parts.get(delivery_id)

    def partials(self) -> Iterator[tuple[str, KpiPartial]]:
        return iter(self.parts.items())

    def fold(self, at: float, cells: dict[str, dict[int, int]], events: dict[str, dict[int, int]]) -> None:
        """Commit a batch: rows that move between cells, and events, by delivery."""
        all_cells: Counter[int] = Counter()
        all_events: Counter[int] = Counter()
        for delivery in {*cells, *events}:
            moved, counted = cells.get(delivery, {}), events.get(delivery, {})
            old = self.parts.get(delivery, KpiPartial())
            self.parts[delivery] = KpiPartial(merged(old.buckets, moved), merged(old.events, counted), at, at)
            for into, what in ((all_cells, moved), (all_events, counted)):
                for key, number in what.items():
                    into[key] += number
        self.shown.folded(self.partition, {*cells, *events}, all_cells, all_events)


def shown_by(deliveries: DeliveryMetrics, name: str) -> dict[str, float]:
    """Return the values of a gauge by delivery."""
    return {
        sample.labels["delivery"]: sample.value
        for family in deliveries.collect()
        for sample in family.samples
        if sample.name == f"aftersend_delivery_{name}"
    }


def rows(number: int) -> dict[int, int]:
    return {CELLS[1]: number}


def test_the_last_active_deliveries_have_series_of_their_own() -> None:
    deliveries = DeliveryMetrics(2)
    store = Store(deliveries, 0)
    deliveries.opened(0, store)
    for at, name in enumerate(("a", "b", "c", "a")):
        store.fold(at, {name: rows(10 ** (at + 1))}, {})
    assert {"c": 1000.0, "a": 10_010.0, OTHER: 100.0} == shown_by(deliveries, "delivered")


def test_after_a_restart_the_last_active_deliveries_are_read_from_the_tables() -> None:
    before = Store(DeliveryMetrics(2), 0)
    for at, name in enumerate(("a", "b", "c")):
        before.fold(at, {name: rows(at + 1)}, {})
    deliveries = DeliveryMetrics(2)
    deliveries.opened(0, before)
    assert {"b": 2.0, "c": 3.0, OTHER: 1.0} == shown_by(deliveries, "delivered")


def test_gauges_can_decrease() -> None:
    deliveries = DeliveryMetrics(2)
    store = Store(deliveries, 0)
    deliveries.opened(0, store)
    store.fold(1, {"a": {CELLS[0]: 5}}, {})
    assert {"a": 5.0, OTHER: 0.0} == shown_by(deliveries, "sent")
    store.fold(2, {"a": {CELLS[0]: -5}}, {})
    assert {"a": 0.0, OTHER: 0.0} == shown_by(deliveries, "sent")


def test_a_revoked_partition_has_no_series() -> None:
    deliveries = DeliveryMetrics(2)
    stores = [Store(deliveries, 0), Store(deliveries, 1)]
    for store in stores:
        deliveries.opened(store.partition, store)
        store.fold(1, {"a": rows(7)}, {})
    assert {"a": 14.0, OTHER: 0.0} == shown_by(deliveries, "delivered")
    deliveries.closed(0)
    assert {"a": 7.0, OTHER: 0.0} == shown_by(deliveries, "delivered")
    deliveries.closed(1)
    assert {OTHER: 0.0} == shown_by(deliveries, "delivered")


def test_events_without_a_delivery_have_a_label_value() -> None:
    """To Prometheus, an empty label is a missing label."""
    deliveries = DeliveryMetrics(2)
    store = Store(deliveries, 0)
    deliveries.opened(0, store)
    store.fold(1, {}, {"": {pack_event_counter(1, SENT, Decision.UNATTRIBUTED): 4}})
    assert {NONE: 4.0, OTHER: 0.0} == {
        s.labels["delivery"]: s.value
        for family in deliveries.collect()
        for s in family.samples
        if s.labels.get("decision") == "unattributed"
    }


BATCH = st.tuples(
    st.integers(0, 2),
    st.dictionaries(st.sampled_from(NAMES), st.dictionaries(st.sampled_from(CELLS), st.integers(-3, 9))),
    st.dictionaries(st.sampled_from(NAMES), st.dictionaries(st.sampled_from(KEYS), st.integers(1, 9))),
    st.booleans(),
)


@given(st.lists(BATCH, max_size=20), st.integers(0, 5))
def test_the_sum_over_deliveries_equals_the_tables(
    batches: list[tuple[int, dict[str, dict[int, int]], dict[str, dict[int, int]], bool]], limit: int
) -> None:
    deliveries = DeliveryMetrics(limit)
    stores = [Store(deliveries, number) for number in range(3)]
    for store in stores:
        deliveries.opened(store.partition, store)
    for at, (partition, cells, events, scraped) in enumerate(batches):
        stores[partition].fold(at, cells, events)
        if scraped:
            list(deliveries.collect())
    cells_sum: dict[int, int] = {}
    events_sum: dict[int, int] = {}
    for store in stores:
        for _, partial in store.partials():
            cells_sum, events_sum = merged(cells_sum, partial.buckets), merged(events_sum, partial.events)
    expected = kpis(cells_sum, events_sum)
    for name in ("audience", "delivered", "unique_opens", "hard_bounced", "total_opens"):
        by_delivery = shown_by(deliveries, name)
        assert expected[name] == sum(by_delivery.values())
        assert limit >= len(by_delivery) - 1
