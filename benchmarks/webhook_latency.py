"""From a webhook's 200 to the changed KPI in Redis: seconds, at a steady rate of POSTs.

    python -m benchmarks.webhook_latency [--rate 500] [--seconds 30]

Starts a Kafka, a Redis, a gateway and a worker of its own. SendGrid webhooks of one event each are signed and posted at
the rate; twenty times a second one of them opens a delivery of its own, and the time from its 200 until its hash is in
Redis is measured. One line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import statistics
import sys
import time
import uuid
from typing import Any

import redis.asyncio as redis
import uvloop
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aftersend.config.settings import Settings
from aftersend.engine.aiokafka import patches
from aftersend.sandbox.embedded.ports import pick_free
from benchmarks.gateway import Connection, await_ready, event, signed_request
from benchmarks.installation import installation

_PROBES_PER_SECOND = 20
_POLL_SECONDS = 0.01
_CONNECTIONS = 64


async def measure(
    settings: Settings, key: ec.EllipticCurvePrivateKey, rate: int, seconds: float
) -> tuple[list[float], dict[int, int]]:
    """Post at a rate; return the probes' latencies, and how many requests got which status."""
    client: Any = redis.from_url(settings.redis_url, decode_responses=True)
    loop = asyncio.get_running_loop()
    taken: list[float] = []
    statuses: dict[int, int] = {}
    probes: list[asyncio.Task[None]] = []
    run = uuid.uuid4().hex[:8]
    begin = time.perf_counter()
    sent = 0

    async def probe(delivery_id: str, answered: float) -> None:
        while not await client.exists(f"{settings.redis_prefix}:kpi:{delivery_id}"):
            await asyncio.sleep(_POLL_SECONDS)
        taken.append(time.perf_counter() - answered)

    async def provider() -> None:
        nonlocal sent
        _, connection = await loop.create_connection(Connection, "127.0.0.1", settings.gateway_port)
        while True:
            number, sent = sent, sent + 1
            due = number / rate
            if due >= seconds:
                return
            if (ahead := begin + due - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            probing = number % (rate // _PROBES_PER_SECOND) == 0
            made = event(number)
            if probing:
                made["delivery_id"] = f"probe-{run}-{number}"
            status = await connection.ask(signed_request(key, json.dumps([made]).encode()))
            statuses[status] = statuses.get(status, 0) + 1
            if probing and status == 200:
                probes.append(asyncio.create_task(probe(str(made["delivery_id"]), time.perf_counter())))

    await asyncio.gather(*(provider() for _ in range(_CONNECTIONS)))
    await asyncio.wait_for(asyncio.gather(*probes), 60.0)
    await client.aclose()
    warm = len(taken) // 10  # the first seconds belong to start-up
    return taken[warm:], statuses


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=30.0)
    args = parser.parse_args()
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    web_port, gateway_port, admin_port = pick_free(3)
    chosen = {
        "web_port": str(web_port),
        "gateway_port": str(gateway_port),
        "gateway_admin_port": str(admin_port),
        "gateway_secrets": json.dumps({"sendgrid": base64.b64encode(public).decode()}),
    }
    with installation(chosen, ("worker", "gateway")) as settings:
        for port in (web_port, admin_port):
            await_ready(f"http://127.0.0.1:{port}/ready", 60.0)
        patches.apply()
        taken, statuses = uvloop.run(measure(settings, key, args.rate, args.seconds))
    cuts = statistics.quantiles(taken, n=100)
    figures = {"p50_s": cuts[49], "p99_s": cuts[98], "max_s": max(taken)}
    rounded = {name: round(value, 3) for name, value in figures.items()}
    print(json.dumps({"rate": args.rate, "statuses": statuses, "probes": len(taken), **rounded}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
