"""From a raw record in Kafka to the changed KPI in Redis: seconds, at a steady rate.

    python -m benchmarks.latency [--rate 2000] [--seconds 30]

Starts a Kafka, a Redis and a worker of its own. Raw KumoMTA records are written at the rate; twenty times a second one
of them opens a delivery of its own, and the time from its acknowledgement until its hash is in Redis is measured. One
line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
import uuid
from typing import Any

import redis.asyncio as redis
from aiokafka import AIOKafkaProducer

from aftersend.config.settings import Settings
from aftersend.engine.aiokafka import patches
from benchmarks.installation import installation

_PROBES_PER_SECOND = 20
_POLL_SECONDS = 0.01


def record(number: int, delivery_id: str) -> bytes:
    """Return a raw record of a message that was taken over."""
    now = time.time()
    return json.dumps(
        {
            "type": "Reception",
            "id": f"{number:032x}",
            "sender": "bounces@mail.brand.example",
            "recipient": f"user{number}@example.org",
            "queue": "campaign:brand@example.org",
            "size": 4096,
            "response": {"code": 250, "content": ""},
            "timestamp": int(now),
            "created": int(now),
            "num_attempts": 0,
            "nodeid": "557f3ad4-2c8c-11ee-976e-782d7e12e173",
            "meta": {"delivery_id": delivery_id},
            "filler": "x" * 700,
        }
    ).encode()


async def probe(client: Any, prefix: str, delivery_id: str, sent: asyncio.Future[Any], taken: list[float]) -> None:
    """Wait until a delivery is in Redis; note how long that took since its record was acknowledged."""
    await sent
    acknowledged = time.perf_counter()
    while not await client.exists(f"{prefix}:kpi:{delivery_id}"):
        await asyncio.sleep(_POLL_SECONDS)
    taken.append(time.perf_counter() - acknowledged)


async def measure(settings: Settings, rate: int, seconds: float) -> list[float]:
    """Write records at a rate; return the latencies of the probes."""
    client = redis.from_url(settings.redis_url, decode_responses=True)
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, linger_ms=5)
    await producer.start()
    taken: list[float] = []
    probes = []
    topic = settings.topics.raw("kumomta")
    run = uuid.uuid4().hex[:8]
    started, number = time.perf_counter(), 0
    every = rate // _PROBES_PER_SECOND
    while (now := time.perf_counter() - started) < seconds:
        while number < now * rate:
            number += 1
            probing = number % every == 0
            delivery_id = f"probe-{run}-{number}" if probing else f"campaign-{number % 20}"
            sent = await producer.send(topic, record(number, delivery_id))
            if probing:
                probes.append(asyncio.create_task(probe(client, settings.redis_prefix, delivery_id, sent, taken)))
        await asyncio.sleep(0.005)
    await asyncio.wait_for(asyncio.gather(*probes), 60.0)
    await producer.stop()
    await client.aclose()
    warm = len(taken) // 10  # the first second belongs to start-up
    return taken[warm:]


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=30.0)
    args = parser.parse_args()
    with installation({"web_port": "0"}) as settings:
        time.sleep(8.0)
        patches.apply()
        taken = asyncio.run(measure(settings, args.rate, args.seconds))
    cuts = statistics.quantiles(taken, n=100)
    figures = {"rate": args.rate, "probes": len(taken), "p50_s": cuts[49], "p99_s": cuts[98], "max_s": max(taken)}
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
