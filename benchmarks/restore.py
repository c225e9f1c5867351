"""How quickly a partition's rows come back from their changelog: rows per CPU second.

    python -m benchmarks.restore [--rows 300000] [--batch 5000]

Starts a Kafka of its own, folds events into a changelog through the real folding and writer, and restores the partition
into an empty memory store in a fresh process, as a worker does at take-over. One line of JSON.

The larger the batches, the fewer versions of a row: with 100,000 nearly every record is a row's last one, as in a
changelog that Kafka has compacted.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from aftersend.config.installation import source_numbers, topic_layouts
from aftersend.config.loading import load
from aftersend.config.settings import Settings
from aftersend.engine import admin
from aftersend.engine.aiokafka import patches
from aftersend.engine.partitions.batch import Batch
from aftersend.engine.transaction import TransactionalWriter
from aftersend.processes.worker import GC_THRESHOLDS
from aftersend.rules.recipient.timing import timing
from aftersend.sandbox.embedded import EmbeddedKafka
from aftersend.tables.batch.fold import BatchFold
from aftersend.tables.batch.result import FoldOptions
from aftersend.tables.codec.public import Codec
from aftersend.tables.restore import restore
from aftersend.tables.stores.memory import MemoryStore
from benchmarks.folding import records

_EVENTS_PER_ROW = 3.4


async def fill(settings: Settings, rows: int, batch: int) -> None:
    """Fold so many rows into the changelogs of partition 0, so many events at a time."""
    await admin.apply_topics(settings.kafka_options(), topic_layouts(settings), 1)
    writer = TransactionalWriter(settings.kafka_options(), "restore-benchmark", "restore-benchmark", 60.0)
    await writer.start()
    numbers = source_numbers()
    store = MemoryStore()
    fold = BatchFold(store, 0, Codec(settings.topics, numbers), FoldOptions(timing(numbers=numbers), numbers), {})
    made: list[Any] = list(records(int(rows * _EVENTS_PER_ROW)))
    for at in range(0, len(made), batch):
        output = writer.output()
        result = fold.fold(Batch(at, made[at : at + batch]), output, settings.topics.events)
        await writer.commit(output, (settings.topics.events, 0), at + batch)
        store.apply(result.changes, {})
    await writer.close()


async def measure(settings: Settings) -> dict[str, object]:
    """Restore partition 0, with the collector set as in a worker."""
    gc.set_threshold(*GC_THRESHOLDS)
    store = MemoryStore()
    codec = Codec(settings.topics, source_numbers())
    started, cpu = time.perf_counter(), time.process_time()
    read = await restore(settings.kafka_options(), store, codec, 0)
    cpu = time.process_time() - cpu
    return {
        "records": read,
        "rows": store.count(),
        "cpu_s": round(cpu, 2),
        "wall_s": round(time.perf_counter() - started, 2),
        "records_per_cpu_s": round(read / cpu),
        "rows_per_cpu_s": round(store.count() / cpu),
    }


def main() -> int:
    """Fill and measure; the measuring is done by this same file in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--batch", type=int, default=5000, help="events folded at a time (default: 5000)")
    parser.add_argument("--bootstrap", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    patches.apply()
    if args.bootstrap:
        print(json.dumps(asyncio.run(measure(load(kafka_bootstrap=args.bootstrap, partitions=1)))))
        return 0
    with tempfile.TemporaryDirectory() as data, EmbeddedKafka(Path(data) / "kafka") as kafka:
        asyncio.run(fill(load(kafka_bootstrap=kafka.bootstrap, partitions=1), args.rows, args.batch))
        command = [sys.executable, "-m", "benchmarks.restore", "--bootstrap", kafka.bootstrap]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
