"""One installation of Aftersend for one test: its names, its topics, its workers, and how far they have come."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from aftersend.config.installation import raw_sources, topic_layouts
from aftersend.config.loading import load
from aftersend.config.settings import Settings
from aftersend.engine import admin, changelog
from aftersend.engine.aiokafka.offsets import wait_for_committed_offsets
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.errors import EXIT_OK
from aftersend.sandbox.embedded import EmbeddedKafka, EmbeddedRedis
from aftersend.sandbox.reference.check import CheckReport, check
from tests.patience import PATIENCE
from tests.system.chaos.workers import WorkerProcess

#: A small group on a small machine, that notices within seconds what a real one notices within a minute.
QUICK: Mapping[str, Any] = {
    "partitions": 4,
    "session_timeout": 6.0,
    "heartbeat_interval": 1.0,
    "rebalance_timeout": 3.0,
    "transaction_timeout": 15.0,
    "request_timeout": 10.0,
    "redis_interval": 0.1,
    "clock_interval": 1.0,
    "web_port": 0,
    "log_format": "json",
}
#: For tests that write their own ticks, with days from one to the next: the worker's own would tell today's time.
OWN_CLOCK: Mapping[str, Any] = {"clock_interval": 100_000.0, "clock_max_step": 1e10}
#: Between two looks, seconds.
_POLL = 0.2


class Input(NamedTuple):
    """A record to be written."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes
    timestamp_ms: int
    headers: tuple[tuple[str, bytes], ...] = ()


class Installation:
    """An installation on a Kafka and a Redis that it may share with others.

    Args:
        kafka: the broker.
        redis: the Redis.
        folder: for logs and data.
        name: what all its names begin with.
        settings: what differs from `QUICK`.
    """

    def __init__(
        self,
        kafka: EmbeddedKafka,
        redis: EmbeddedRedis,
        folder: Path,
        name: str,
        **settings: Any,
    ) -> None:
        """Choose the settings; make nothing yet."""
        self.kafka = kafka
        self.redis = redis
        self.folder = folder
        self._chosen: dict[str, Any] = {
            **QUICK,
            "app_id": name,
            "topic_prefix": name,
            "redis_prefix": name,
            "kafka_bootstrap": kafka.bootstrap,
            "redis_url": redis.url,
            "data_dir": str(folder / "data"),
            **settings,
        }
        self.settings: Settings = load(**self._chosen)
        self.topics = self.settings.topics
        self.workers: list[WorkerProcess] = []

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources' names."""
        return raw_sources()

    @property
    def raw_topics(self) -> list[str]:
        """The raw topics of all sources, the clock's excluded."""
        return [self.topics.raw(source) for source in raw_sources()]

    def add_worker(self, module: str = "aftersend.cli.main", **settings: Any) -> WorkerProcess:
        """Return a new worker, not started yet; each has a data directory of its own."""
        name = f"worker-{len(self.workers)}"
        chosen = {**self._chosen, "data_dir": str(self.folder / name), **settings}
        worker = WorkerProcess(name, _environment(chosen), self.folder, module)
        self.workers.append(worker)
        return worker

    def environment(self, **settings: Any) -> dict[str, str]:
        """Return the environment of one of its processes, with further settings."""
        return _environment({**self._chosen, **settings})

    async def start(self, workers: int = 1, **settings: Any) -> list[WorkerProcess]:
        """Create the topics, start workers and wait until one has its partitions; return them."""
        await self.apply_topics()
        started = [self.add_worker(**settings) for _ in range(workers)]
        for worker in started:
            worker.start()
        await started[0].await_log("partitions assigned")
        return started

    async def finish(self, *, timeout: float = PATIENCE) -> CheckReport:
        """Wait until all input is folded, stop the workers in good order, and compare everything with the reference.

        Raises:
            AssertionError: if anything differs, or a worker does not end in good order.
            TimeoutError: if the input is not folded in time.
        """
        await self.await_caught_up(timeout)
        before = await check(self.settings)
        running = [worker for worker in self.workers if worker.running]
        for worker in running:
            await worker.await_assigned()
        for worker in running:
            worker.terminate()
        codes = [await worker.wait() for worker in running]
        assert [EXIT_OK] * len(running) == codes, "\n\n".join(
            f"{worker.name} ended with {code}:\n{worker.tail(40)}"
            for worker, code in zip(running, codes, strict=True)
            if code != EXIT_OK
        )
        after = await check(self.settings)
        for report in (before, after):
            assert report.equal, "\n".join(report.differences)
        return after

    async def command(self, *words: str) -> tuple[int, str]:
        """Run a command of `aftersend`; return its exit code and what it said."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "aftersend.cli.main",
            *words,
            env={**os.environ, **_environment(self._chosen)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()

    def close(self) -> None:
        """Kill what is left of the workers."""
        for worker in self.workers:
            worker.kill()

    async def apply_topics(self) -> None:
        """Create the topics."""
        await admin.apply_topics(self.settings.kafka_options(), topic_layouts(self.settings), 1)

    async def await_begun(self) -> None:
        """Wait until the workers have committed some of the events topic."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.kafka.bootstrap, group_id=self.settings.app_id, enable_auto_commit=False
        )
        partitions = [TopicPartition(self.topics.events, p) for p in range(self.settings.partitions)]
        await consumer.start()
        try:
            async with asyncio.timeout(PATIENCE):
                while not any((await wait_for_committed_offsets(consumer, partitions, PATIENCE)).values()):
                    await asyncio.sleep(_POLL)
        finally:
            await consumer.stop()

    async def write(self, records: Iterable[Input], *, rate: float = 0.0) -> int:
        """Write records, each of them exactly once even where the broker goes away meanwhile; return how many.

        Args:
            records: in the order in which they are to lie on their partitions.
            rate: records per second; 0: as fast as it goes.
        """
        producer = await self._producer()
        started, written, waiting = time.monotonic(), 0, []
        try:
            for record in records:
                waiting.append(
                    await producer.send(
                        record.topic,
                        record.value,
                        record.key,
                        record.partition,
                        record.timestamp_ms,
                        list(record.headers),
                    )
                )
                written += 1
                if rate and written % 50 == 0:
                    await asyncio.sleep(max(0.0, started + written / rate - time.monotonic()))
                elif written % 500 == 0:
                    await asyncio.sleep(0)
            await asyncio.gather(*waiting)
        finally:
            await producer.stop()
        return written

    async def _producer(self) -> AIOKafkaProducer:
        """Return a started producer; waits for a broker that is away."""
        deadline = time.monotonic() + PATIENCE
        while True:
            producer = AIOKafkaProducer(
                **self.settings.kafka_options() | {"request_timeout_ms": 120_000},
                enable_idempotence=True,
                linger_ms=5,
                # Hostile records are as large as the broker takes them.
                max_request_size=2_000_000,
            )
            try:
                await producer.start()
            except (KafkaError, OSError, AssertionError):
                await producer.stop()
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_POLL)
            else:
                return producer

    async def recorded(self, partitions: Iterable[tuple[str, int]]) -> list[Input]:
        """Return all committed records of some partitions, as they would be written again."""
        found: list[Input] = []

        def apply(topic: str, partition: int, records: list[FetchedRecord]) -> None:
            for one in records:
                headers = tuple((name, value or b"") for name, value in one.headers)
                value: Any = one.value  # None for a tombstone, which is written again as such
                found.append(Input(topic, partition, one.key, value, one.timestamp, headers))

        await changelog.read(self.settings.kafka_options(), dict.fromkeys(partitions), apply)
        return found

    async def await_caught_up(self, timeout: float = PATIENCE, *, quiet: float = 5.0) -> None:
        """Wait until the workers have committed all input, what they wrote to the events topic included.

        Raises:
            TimeoutError: if they have not; says where they stand, and how their logs end.
        """
        deadline = time.monotonic() + timeout
        behind: list[str] = ["nothing looked at yet"]
        while time.monotonic() < deadline:
            try:
                behind = await self.behind(quiet)
            except (KafkaError, OSError) as error:
                behind = [repr(error)]
            if not behind:
                return
            await asyncio.sleep(_POLL)
        logs = "\n\n".join(f"{worker.name}:\n{worker.tail(25)}" for worker in self.workers)
        raise TimeoutError(f"not caught up after {timeout:g} s: {'; '.join(behind)}\n{logs}")

    async def behind(self, quiet: float = 5.0) -> list[str]:
        """Return what is left to do; the raw topics first, since they make more of it.

        A committed offset short of the end may have nothing but transaction markers before it, so this looks for
        records. The clock is left out: it never rests.
        """
        for topics in (self.raw_topics, [self.topics.events]):
            if left := await self.records_left(topics, quiet):
                return left
        return []

    async def positions(self) -> dict[tuple[str, int], tuple[int, int]]:
        """Return the committed offset and the end of each partition of the raw topics and the events topic."""
        consumer = AIOKafkaConsumer(
            **self.settings.kafka_options() | {"request_timeout_ms": 10_000},
            group_id=self.settings.app_id,
            enable_auto_commit=False,
        )
        topics = [*self.raw_topics, self.topics.events]
        partitions = [TopicPartition(topic, p) for topic in topics for p in range(self.settings.partitions)]
        consumer.assign(partitions)
        try:
            await consumer.start()
            ends = await consumer.end_offsets(partitions)
            committed = await wait_for_committed_offsets(consumer, partitions, PATIENCE)
            return {(tp.topic, tp.partition): (committed.get(tp, 0), ends[tp]) for tp in partitions}
        finally:
            await consumer.stop()

    async def records_left(self, topics: list[str], quiet: float = 1.0) -> list[str]:
        """Return the partitions of some topics that have records which the workers have not committed."""
        consumer = AIOKafkaConsumer(
            **self.settings.kafka_options() | {"request_timeout_ms": 20_000},
            group_id=self.settings.app_id,
            enable_auto_commit=False,
            isolation_level="read_committed",
        )
        partitions = [TopicPartition(topic, p) for topic in topics for p in range(self.settings.partitions)]
        consumer.assign(partitions)
        await consumer.start()
        try:
            ends = await consumer.end_offsets(partitions)
            committed = await wait_for_committed_offsets(consumer, partitions, PATIENCE)
            for tp in partitions:
                consumer.seek(tp, committed.get(tp, 0))
            left = {tp for tp in partitions if await consumer.position(tp) < ends[tp]}
            deadline = time.monotonic() + quiet
            while left and time.monotonic() < deadline:
                fetched = await consumer.getmany(*left, timeout_ms=200, max_records=1000)
                for tp, records in fetched.items():
                    if any(record.value and b'"tick"' not in record.value[:300] for record in records):
                        return [f"{tp.topic}-{tp.partition} stands at {records[0].offset} of {ends[tp]}"]
                left = {tp for tp in left if await consumer.position(tp) < ends[tp]}
            # Not to be read to its end: a transaction is open, so somebody is at work, or has yet to be fenced.
            return [f"{tp.topic}-{tp.partition} has an open transaction" for tp in left]
        finally:
            await consumer.stop()


def _environment(settings: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"AFTERSEND_{name.upper()}": value if isinstance(value, str) else json.dumps(value, default=str)
        for name, value in settings.items()
    }
