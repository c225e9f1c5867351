"""The clock: the leader, which owns the clock topic's only partition, writes a tick at short intervals.

A tick is a raw record like any other. Everything that depends on time depends on ticks, so a replay sees the same time
pass. Two leaders at once (a zombie and its successor) do no harm: a tick older than the last one changes nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidTimestampError, KafkaError

from aftersend.config.settings import Settings
from aftersend.schemas.times import iso

log = structlog.get_logger(__name__)


class TickWriter:
    """Writes ticks while this worker leads.

    Args:
        settings: of the worker.
        leads: returns whether this worker owns the clock's partition.
        now: the wall clock, seconds since 1970.
    """

    def __init__(self, settings: Settings, leads: Callable[[], bool], now: Callable[[], float]) -> None:
        self._settings = settings
        self._leads = leads
        self._now = now
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task."""
        self._task = asyncio.create_task(self._run(), name="clock")

    async def stop(self) -> None:
        """Stop the task."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        producer: AIOKafkaProducer | None = None
        try:
            while True:
                await asyncio.sleep(self._settings.clock_interval)
                if not self._leads():
                    continue
                now = self._now()
                try:
                    if producer is None:
                        started = AIOKafkaProducer(**self._settings.kafka_options(), acks="all")
                        await started.start()
                        producer = started
                    await producer.send_and_wait(
                        self._settings.topics.clock,
                        json.dumps({"tick": now}).encode(),
                        partition=0,
                        timestamp_ms=int(now * 1000),
                    )
                except InvalidTimestampError:
                    log.error(  # noqa: TRY400 - the message says what to do
                        "no tick: this machine's clock is ahead of the broker's; synchronise it (NTP)", time=iso(now)
                    )
                except (KafkaError, OSError) as error:
                    log.warning("no tick", error=repr(error))
        finally:
            if producer is not None:
                await producer.stop()
