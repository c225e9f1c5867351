"""What folding costs, without Kafka: microseconds of CPU per event, by part.

    python -m benchmarks.folding [EVENTS] [--store memory|rocksdb]

Events like the peers' part A, in batches of 5,000; output goes to aiokafka's own batch builders. The CPU time is that
of all threads, so RocksDB's own work in the background is in it.
"""

from __future__ import annotations

import argparse
import gc
import random
import resource
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
from aiokafka.producer.message_accumulator import BatchBuilder

from aftersend.engine.aiokafka.producers import encode_batch
from aftersend.engine.partitions.batch import Batch
from aftersend.engine.transaction import MAX_BATCH_BYTES, Output
from aftersend.rules.recipient.timing import timing
from aftersend.schemas.topics import Topics
from aftersend.tables.batch.fold import BatchFold
from aftersend.tables.batch.result import FoldOptions
from aftersend.tables.codec.public import Codec
from aftersend.tables.stores.base import PartitionStore
from aftersend.tables.stores.memory import MemoryStore
from aftersend.tables.stores.rocksdb.store import open_stores

CHAINS = (
    (30, ("sent", "delivered")),
    (22, ("sent", "delivered", "opened")),
    (14, ("sent", "delivered", "opened", "opened", "clicked")),
    (6, ("sent", "delivered", "opened", "clicked", "clicked", "opened")),
    (8, ("sent", "deferred", "delivered")),
    (5, ("sent", "deferred", "soft_bounce")),
    (6, ("sent", "hard_bounce")),
    (3, ("sent", "delivered", "opened", "clicked", "unsubscribed")),
    (2, ("sent", "delivered", "opened", "clicked", "complained")),
    (4, ("sent", "deferred", "soft_bounce", "delivered", "opened")),
)


class Record:
    """What folding needs of a fetched record."""

    __slots__ = ("headers", "key", "offset", "timestamp", "value")

    def __init__(self, offset: int, key: bytes, value: bytes) -> None:
        self.offset = offset
        self.timestamp = 1757069812123
        self.key = key
        self.value = value
        self.headers: list[Any] = []


def records(number: int, seed: int = 7) -> list[Record]:
    """Return events as records of one partition; neighbours are out of order, 3 % come twice."""
    rng = random.Random(seed)  # noqa: S311 - nothing secret
    made: list[Record] = []
    window: list[tuple[bytes, bytes]] = []
    user = 0
    encode = msgspec.json.encode
    while len(made) < number:
        while len(window) < 2500:
            user += 1
            delivery = f"c{rng.randrange(20)}"
            recipient = f"user{user}@example{user % 97}.com"
            for kind in rng.choices([c for _, c in CHAINS], [w for w, _ in CHAINS])[0]:
                event = {
                    "event_id": f"{rng.getrandbits(128):032x}",
                    "delivery_id": delivery,
                    "recipient": recipient,
                    "type": kind,
                    "occurred_at": 1757069812.123,
                    "source": "kumomta",
                    "provider_id": f"{rng.getrandbits(64):016x}",
                    "reason": "",
                    "diagnostic": "250 2.0.0 OK queued as 4F1c2d" if kind == "delivered" else "",
                    "url": "https://brand.example/autumn/offer?item=4711" if kind == "clicked" else "",
                    "user_agent": "Mozilla/5.0 (X11; Linux x86_64)" if kind in {"opened", "clicked"} else "",
                }
                window.extend([(recipient.encode(), encode(event))] * (2 if rng.random() < 0.03 else 1))
        rng.shuffle(window)
        for _ in range(500):
            made.append(Record(len(made), *window.pop()))
    return made[:number]


def measure(store: PartitionStore, made: list[Any]) -> None:
    """Fold the events into a store."""
    number = len(made)
    numbers = {"kumomta": 1}
    fold = BatchFold(store, 0, Codec(Topics(), numbers), FoldOptions(timing(numbers=numbers), numbers), {})
    producer: Any = SimpleNamespace(
        create_batch=lambda: BatchBuilder(
            MAX_BATCH_BYTES, 0, is_transactional=True, key_serializer=None, value_serializer=None
        )
    )
    start = time.process_time()
    written = 0
    for at in range(0, number, 5000):
        batch = Batch(at, made[at : at + 5000])
        output = Output(producer)
        result = fold.fold(batch, output, "feedback.events")
        for channel in output.channels.values():
            for builder, count in channel.finish():
                written += count
                encode_batch(builder)  # as the producer does
        store.apply(result.changes, {})
    cpu = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{cpu / number * 1e6:.2f} µs an event, {number / cpu:,.0f} events per CPU second, "
        f"{written / number:.2f} records written an event, at most {memory} MB resident"
    )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("events", type=int, nargs="?", default=300_000)
    parser.add_argument("--store", choices=("memory", "rocksdb"), default="memory")
    args = parser.parse_args()
    made = records(args.events)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    with tempfile.TemporaryDirectory(prefix="aftersend-bench-") as directory:
        store = MemoryStore() if args.store == "memory" else open_stores(Path(directory), 64, 12.0)(0)
        measure(store, made)
        store.close()


if __name__ == "__main__":
    main()
