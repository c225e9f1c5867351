"""The benchmark job of the peers, through the product's own agents, tables and rules.

    python -m benchmarks.job events|raw [--bootstrap HOST:PORT] [--redis-port N] [--store memory|rocksdb] [--topic T]

Part A (`events`) has the worker's track agent read the topic of canonical events; part B (`raw`) has the normalise
agent read the topic of raw KumoMTA records. The N events are in the topic before the worker starts. When all are
folded, the KPIs that the worker wrote to Redis are copied to `bench:aftersend:<delivery>` under the peers' names, and
one line of JSON says how much CPU the worker took, start-up included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import uuid
from typing import Any

import redis
from aiokafka.admin import AIOKafkaAdminClient

from aftersend.config.loading import load
from aftersend.config.settings import Settings
from aftersend.engine import admin, changelog
from aftersend.engine.aiokafka import patches
from aftersend.processes.worker import raw_sources, run_worker
from aftersend.schemas.topics import layouts
from aftersend.tables.batch.result import BatchResult

#: The peers' names of the counters, and ours.
NAMES = {
    "ever_delivered": "delivered",
    "total_opens": "total_opens",
    "total_clicks": "total_clicks",
    "unique_opens": "unique_human_opens",
    "unique_clicks": "unique_clicks",
    "applied": "applied",
    "duplicate": "duplicate",
    "lower_priority": "lower_priority",
    "terminal_locked": "terminal_locked",
}


class Mark:
    """When the first and the last batch were folded."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.done = 0
        self.first = self.last = 0.0

    def __call__(self, _partition: int, fold: BatchResult) -> None:
        """Count a committed batch."""
        self.last = time.perf_counter()
        self.first = self.first or self.last
        self.done += sum(fold.events.values())
        if self.done >= self.wanted:
            os.kill(os.getpid(), signal.SIGTERM)


async def count(bootstrap: str, topic: str) -> tuple[int, int]:
    """Return how many records a topic has, and how many partitions."""
    options = {"bootstrap_servers": [bootstrap]}
    partitions = (await admin.inspect(options)).partitions.get(topic, 0)
    found = await changelog.bounds(options, [(topic, number) for number in range(partitions)])
    return sum(end - first for first, end in found.values()), partitions


async def prepare(settings: Settings, partitions: int, given: str) -> list[str]:
    """Create the run's topics; return their names."""
    wanted = layouts(settings.topics, raw_sources(), partitions)
    own = [layout for layout in wanted if layout.name != given]
    await admin.apply_topics(settings.kafka_options(), own, 1)
    return [layout.name for layout in own]


async def clean(bootstrap: str, topics: list[str]) -> None:
    """Delete the run's topics; its group expires by itself."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        await client.delete_topics(topics)
    finally:
        await client.close()


def export(client: Any, prefix: str) -> None:
    """Copy the KPIs that the worker wrote to the peers' keys and names; `client` is of Redis and decodes answers."""
    for key in client.scan_iter("bench:aftersend:*"):
        client.delete(key)
    for key in client.scan_iter(f"{prefix}:kpi:*"):
        ours = client.hgetall(key)
        theirs = {name: ours.get(own, "0") for name, own in NAMES.items()}
        theirs |= {name: value for name, value in ours.items() if name.startswith("status_")}
        client.hset("bench:aftersend:" + key.removeprefix(f"{prefix}:kpi:"), mapping=theirs)
        client.delete(key)


def main() -> int:
    """Run the job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("events", "raw"))
    parser.add_argument("--bootstrap", default=os.environ.get("BOOTSTRAP", "127.0.0.1:9092"))
    parser.add_argument("--redis-port", type=int, default=int(os.environ.get("REDIS_PORT", "6390")))
    parser.add_argument("--store", choices=("memory", "rocksdb"), default="memory")
    parser.add_argument("--topic", default="")
    parser.add_argument("--batch", type=int, default=None, help="records in a batch")
    parser.add_argument("--profile", default="", help="write a cProfile of the worker there")
    args = parser.parse_args()
    topic = args.topic or f"bench-{args.part}"
    run_id = f"bench-{uuid.uuid4().hex[:8]}"
    patches.apply()
    wanted, partitions = asyncio.run(count(args.bootstrap, topic))
    data = tempfile.mkdtemp(prefix="aftersend-bench-")
    settings = load(
        app_id=run_id,
        topic_prefix=run_id,
        redis_prefix=run_id,
        kafka_bootstrap=args.bootstrap,
        redis_url=f"redis://127.0.0.1:{args.redis_port}/0",
        partitions=partitions,
        store=args.store,
        data_dir=data,
        max_batch_records=args.batch,
        session_timeout=6.0,
        heartbeat_interval=1.0,
        rebalance_timeout=3.0,
        web_port=0,
        clock_interval=3600.0,
        redis_expiry_days=10_000.0,
        log_level="warning",
        events_topic=topic if args.part == "events" else None,
        raw_topics={"kumomta": topic} if args.part == "raw" else None,
    )
    topics = asyncio.run(prepare(settings, partitions, topic))
    before = resource.getrusage(resource.RUSAGE_SELF)
    mark = Mark(wanted)
    try:
        if args.profile:
            import cProfile  # noqa: PLC0415 - only where it is wanted

            profiler = cProfile.Profile()
            code = profiler.runcall(run_worker, settings, mark)
            profiler.dump_stats(args.profile)
        else:
            code = run_worker(settings, mark)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        # The preparations above took CPU too, which no other engine is charged for; imports stay in.
        cpu = usage.ru_utime + usage.ru_stime
        prepared = before.ru_utime + before.ru_stime
        export(redis.Redis(port=args.redis_port, decode_responses=True), run_id)
        wall = mark.last - mark.first
        print(
            json.dumps(
                {
                    "engine": "aftersend",
                    "part": args.part,
                    "store": args.store,
                    "guarantee": "exactly once",
                    "events": mark.done,
                    "wall_s": round(wall, 3),
                    "cpu_s": round(cpu, 3),
                    "events_per_cpu_s": round(mark.done / cpu),
                    "events_per_s": round(mark.done / wall) if wall else 0,
                    "prepare_cpu_s": round(prepared, 3),
                    "max_rss_mb": usage.ru_maxrss // 1024,
                }
            ),
            flush=True,
        )
    finally:
        asyncio.run(clean(args.bootstrap, topics))
        shutil.rmtree(data, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
