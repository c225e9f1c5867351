"""How long a suppression check takes: seconds from the question to the answer, and how long the worker stands still.

    python -m benchmarks.suppression [--contacts 300000] [--addresses 10000] [--checks 30] [--store memory]

Starts a Kafka, a Redis and a worker of its own, makes contacts (hard bounces, complaints, unsubscriptions) through the
events topic, and asks over HTTP about random addresses, one in two of them a contact. All the while `/live` is asked
by somebody else: its answers wait for as long as the worker's event loop is busy, as the fold would. `idle_live_…` is
the same without checks. One line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Iterator
from typing import Final

import aiohttp
import msgspec
from aiokafka import AIOKafkaProducer

from aftersend.config.settings import Settings
from aftersend.engine.aiokafka import patches
from aftersend.sandbox.embedded.ports import pick_free
from aftersend.schemas.event import Feedback
from aftersend.schemas.partitioning import partition_of
from benchmarks.gateway import await_ready
from benchmarks.installation import installation

_KINDS: Final = ("hard_bounce", "complained", "unsubscribed")
_TOKEN: Final = "operator-of-the-benchmark"  # noqa: S105 - of a worker that lives for a minute, on loopback
_PATIENCE: Final = 180.0
_LIVE_INTERVAL: Final = 0.002
_encode: Final = msgspec.json.Encoder().encode


def address(number: int) -> str:
    """Return a contact's address, or beyond the contacts' number one that nobody knows."""
    return f"first.last{number}@mailbox-{number % 977}.example.org"


def contacts(number: int) -> Iterator[Feedback]:
    """Yield the events that make so many contacts."""
    for i in range(number):
        kind = _KINDS[i % len(_KINDS)]
        yield Feedback(
            f"e{i}",
            f"sale-{i % 5}",
            address(i),
            kind,
            source="tracking",
            reason="InvalidRecipient" if kind == "hard_bounce" else "",
            code=550 if kind == "hard_bounce" else 0,
            diagnostic="550 5.1.1 no such user here" if kind == "hard_bounce" else "",
        )


async def fill(settings: Settings, number: int) -> None:
    """Write the contacts' events."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, linger_ms=20, max_batch_size=262_144)
    await producer.start()
    try:
        now = int(time.time() * 1000)
        for event in contacts(number):
            partition = partition_of(event.recipient, settings.partitions)
            await producer.send(settings.topics.events, _encode(event), event.recipient.encode(), partition, now)
    finally:
        await producer.stop()


def question(numbers: list[int]) -> bytes:
    """Return a check's body."""
    return _encode({"addresses": [address(number) for number in numbers]})


def may_be_mailed(answer: bytes) -> int:
    """Return how many of the addresses may be mailed."""
    return int(msgspec.json.decode(answer)["may_be_mailed"])


class Asker:
    """Asks the worker."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._session = session
        self._url = f"http://127.0.0.1:{port}"

    async def check(self, body: bytes) -> tuple[float, bytes]:
        """Return how long a check took, seconds, and the answer."""
        headers = {"Authorization": f"Bearer {_TOKEN}", "Content-Type": "application/json"}
        started = time.perf_counter()
        async with self._session.post(f"{self._url}/api/v1/suppression/check", data=body, headers=headers) as answer:
            said = await answer.read()
        taken = time.perf_counter() - started
        answer.raise_for_status()
        return taken, said

    async def live(self, stop: asyncio.Event) -> list[float]:
        """Ask `/live` until told to stop; return how long each answer took, seconds."""
        taken = []
        while not stop.is_set():
            started = time.perf_counter()
            async with self._session.get(f"{self._url}/live") as answer:
                await answer.read()
            taken.append(time.perf_counter() - started)
            await asyncio.sleep(_LIVE_INTERVAL)
        return taken

    async def await_folded(self, number: int) -> None:
        """Wait until the last contacts are there; the partitions' ends come last."""
        last = question([number - 1 - i for i in range(min(number, 2_000))])
        deadline = time.monotonic() + _PATIENCE
        while may_be_mailed((await self.check(last))[1]):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{number} contacts are not there after {_PATIENCE:g} s")
            await asyncio.sleep(0.5)


async def measure(settings: Settings, number: int, addresses: int, checks: int) -> dict[str, object]:
    """Fill, ask, and return the figures."""
    rng = random.Random(7)  # noqa: S311 - the same addresses in every run
    async with aiohttp.ClientSession() as session:
        asker = Asker(session, settings.web_port)
        await fill(settings, number)
        await asker.await_folded(number)
        idle = await _live_during(asker, asyncio.sleep(1.0))
        asked = [[rng.randrange(2 * number) for _ in range(addresses)] for _ in range(checks)]
        # Made and read beforehand and afterwards, so that whoever asks `/live` does not wait for that.
        questions = [question(numbers) for numbers in asked]
        found: list[tuple[float, bytes]] = []

        async def ask() -> None:
            for body in questions:
                found.append(await asker.check(body))  # noqa: PERF401 - one after the other

        busy = await _live_during(asker, ask())
    for numbers, (_, answer) in zip(asked, found, strict=True):
        if sum(one >= number for one in numbers) != may_be_mailed(answer):
            raise AssertionError(f"{may_be_mailed(answer)} may be mailed: not what it should be")
    taken = [seconds for seconds, _ in found]
    return {
        "store": settings.store,
        "contacts": number,
        "addresses": addresses,
        "checks": len(taken),
        "p50_ms": round(statistics.median(taken) * 1000, 1),
        "max_ms": round(max(taken) * 1000, 1),
        "live_p50_ms": round(statistics.median(busy) * 1000, 1),
        "live_p99_ms": round(statistics.quantiles(busy, n=100)[98] * 1000, 1),
        "live_max_ms": round(max(busy) * 1000, 1),
        "idle_live_p50_ms": round(statistics.median(idle) * 1000, 1),
        "idle_live_p99_ms": round(statistics.quantiles(idle, n=100)[98] * 1000, 1),
    }


async def _live_during(asker: Asker, work: Awaitable[None]) -> list[float]:
    stop = asyncio.Event()
    asking = asyncio.create_task(asker.live(stop))
    try:
        await work
    finally:
        stop.set()
    return await asking


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contacts", type=int, default=300_000)
    parser.add_argument("--addresses", type=int, default=10_000)
    parser.add_argument("--checks", type=int, default=30)
    parser.add_argument("--store", choices=["memory", "rocksdb"], default="memory")
    args = parser.parse_args()
    (web_port,) = pick_free(1)
    chosen = {
        "web_port": str(web_port),
        "api_tokens": json.dumps({_TOKEN: "operator"}),
        "store": args.store,
    }
    with installation(chosen) as settings:
        await_ready(f"http://127.0.0.1:{web_port}/ready", 60.0)
        patches.apply()
        figures = asyncio.run(measure(settings, args.contacts, args.addresses, args.checks))
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
