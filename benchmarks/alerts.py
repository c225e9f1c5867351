"""What watching whole deliveries for alerts costs the worker that leads: python -m benchmarks.alerts [DELIVERIES].

Without Kafka: records of the KPI topic as folding writes them are taken and compared, as at the start (all of them) and
then as they come (a batch of each of eight partitions, all of the same ten deliveries).
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from typing import Final

from aftersend.config.loading import load
from aftersend.config.settings import Settings
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.rules.kpi.indicators import totals_of
from aftersend.rules.recipient.facts import Fact
from aftersend.schemas.kpi import KpiPartial
from aftersend.schemas.packing import pack_bucket, pack_event_counter
from aftersend.services.installation import alert_thresholds, codec, fold_timing
from aftersend.tables.alerts import DeliveryAlerts

_PARTITIONS: Final = 8
_ACTIVE: Final = 10
_ROUNDS: Final = 100


class _Record:
    offset = 0
    timestamp = 0

    def __init__(self, key: bytes, value: bytes) -> None:
        self.key: bytes | None = key
        self.value: bytes | None = value
        self.headers: list[tuple[str, bytes | None]] = []


def _records(settings: Settings, deliveries: int) -> list[FetchedRecord]:
    """Return records of deliveries with some 60 buckets and 40 kinds of events."""
    names = codec(settings)
    base = Fact.SENT | Fact.DELIVERED
    buckets = {pack_bucket(6 + number % 3, base | 1 << 8 + number % 12): 1000 + number for number in range(60)}
    events = {pack_event_counter(1 + number % 3, number % 20, number % 4): 1000 for number in range(40)}
    result: list[FetchedRecord] = []
    partial = KpiPartial(buckets, events, 1_757_851_200.0, 1_757_851_300.0, 1)
    for number in range(deliveries):
        for partition in range(_PARTITIONS):
            totals = totals_of(partial)  # computed each time, as when folding
            value, _ = names.kpis(f"delivery-{number}", partition, partial, totals)
            result.append(_Record(f"delivery-{number}\t{partition}".encode(), value))
    return result


def main() -> None:
    """Measure."""
    settings = load()
    deliveries = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    records = _records(settings, deliveries)
    topic = settings.topics.kpis
    state = DeliveryAlerts(settings.topics, fold_timing(settings), alert_thresholds(settings))
    started = time.process_time()
    state.take(topic, 0, records)
    taken = time.process_time()
    state.crossings()
    compared = time.process_time()
    print(f"start: {len(records)} records of {len(records[0].value or b'')} bytes")
    a_record, a_delivery = (taken - started) / len(records), (compared - taken) / deliveries
    print(f"  {a_record * 1e6:.2f} µs a record, {a_delivery * 1e6:.2f} µs a delivery")
    some = records[: _ACTIVE * _PARTITIONS]
    started = time.process_time()
    for _ in range(_ROUNDS):
        state.take(topic, 0, some)
        state.crossings()
        state.active()
    seconds = (time.process_time() - started) / _ROUNDS
    print(f"then: {seconds * 1e3:.3f} ms for a look at {len(some)} new records of {_ACTIVE} deliveries")
    tracemalloc.start()
    again = DeliveryAlerts(settings.topics, fold_timing(settings), alert_thresholds(settings))
    again.take(topic, 0, records)
    print(f"memory: {tracemalloc.get_traced_memory()[0] / len(records):.0f} bytes a record")


if __name__ == "__main__":
    main()
