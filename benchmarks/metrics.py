"""What metrics cost, without Kafka: of a batch, and of a scrape.

    python -m benchmarks.metrics [EVENTS] [--batch 5000]

Events like the peers' part A are folded in batches, and each batch is told to the metrics as the engine tells it. The
CPU time of the two is taken apart within each batch, so that the machine's moods hit both alike. What stays in the
folding is one addition for each delivery and KPI class that a batch has moved. One line of JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from types import SimpleNamespace
from typing import Any

from aiokafka.producer.message_accumulator import BatchBuilder

from aftersend.engine.aiokafka.producers import encode_batch
from aftersend.engine.partitions.batch import Batch
from aftersend.engine.partitions.health import WorkerHealth
from aftersend.engine.partitions.observer import CommittedBatch
from aftersend.engine.transaction import MAX_BATCH_BYTES, Output
from aftersend.publish.prometheus.batches import BatchMetrics
from aftersend.publish.prometheus.deliveries import DeliveryMetrics
from aftersend.publish.prometheus.events import EventMetrics
from aftersend.publish.prometheus.health import HealthMetrics
from aftersend.publish.prometheus.heartbeat import Heartbeat
from aftersend.publish.prometheus.page import MetricsPage
from aftersend.rules.recipient.timing import timing
from aftersend.schemas.topics import Topics
from aftersend.tables.batch.fold import BatchFold
from aftersend.tables.batch.result import FoldOptions
from aftersend.tables.codec.public import Codec
from aftersend.tables.stores.memory import MemoryStore
from benchmarks.folding import records

_SCRAPES = 20


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("events", type=int, nargs="?", default=200_000)
    parser.add_argument("--batch", type=int, default=5000)
    args = parser.parse_args()
    made: list[Any] = records(args.events)
    numbers = {"kumomta": 1}
    topics = Topics()
    store = MemoryStore()
    fold = BatchFold(store, 0, Codec(topics, numbers), FoldOptions(timing(numbers=numbers), numbers), {})
    standing = WorkerHealth(assigned=True, restoring=[], restored=0, answered=0, asked=0, partitions=[])
    deliveries, heartbeat = DeliveryMetrics(20), Heartbeat()
    batches = BatchMetrics([topics.events], topics.events)
    events = EventMetrics([topics.events], topics.events, {1: "kumomta"}, heartbeat, deliveries)
    health = HealthMetrics(lambda: standing, lambda: True)
    page = MetricsPage("worker", batches, events, health, heartbeat, deliveries)
    events.opened(0, store)
    page.render("")  # from here on, batches move the totals
    producer: Any = SimpleNamespace(
        create_batch=lambda: BatchBuilder(
            MAX_BATCH_BYTES, 0, is_transactional=True, key_serializer=None, value_serializer=None
        )
    )
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    folding = counting = 0.0
    for at in range(0, len(made), args.batch):
        batch = Batch(at, made[at : at + args.batch])
        start = time.process_time()
        timestamps, stride = batch.timestamps()
        read = time.process_time()
        output = Output(producer)
        result = fold.fold(batch, output, topics.events)
        for channel in output.channels.values():
            for builder, _ in channel.finish():
                encode_batch(builder)  # as the producer does
        store.apply(result.changes, {})
        folded = time.process_time()
        batches.committed(CommittedBatch(topics.events, len(batch.records), timestamps, stride, 0.05, 0.05))
        events.folded(0, result)
        counting += time.process_time() - folded + read - start
        folding += folded - read
    scrapes, body = [], b""
    for _ in range(_SCRAPES):
        start = time.process_time()
        body, _ = page.render("")
        scrapes.append(time.process_time() - start)
    figures = {
        "batch": args.batch,
        "fold_us_per_event": round(folding / args.events * 1e6, 3),
        "metrics_us_per_event": round(counting / args.events * 1e6, 4),
        "share": round(counting / folding, 5),
        "scrape_cpu_ms": round(statistics.median(scrapes) * 1000, 1),
        "page_bytes": len(body),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
