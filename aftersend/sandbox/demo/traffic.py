"""Writes the simulated logs of an MTA and a tracker to the raw topics."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable
from itertools import islice
from typing import Final

from aiokafka import AIOKafkaProducer

from aftersend.config.settings import Settings
from aftersend.schemas.partitioning import partition_of_key
from aftersend.schemas.raw import RawRecord

#: Records written together without a rate, and writes a second with one.
_AT_ONCE: Final = 2000
_TIMES_A_SECOND: Final = 20


class RawTraffic:
    """Writes raw records at a steady rate.

    Args:
        settings: of the installation.
        records: in the order of their arrival.
        rate: records a second; 0: as fast as possible.
        seed: of the partitions of records without a key.
    """

    def __init__(self, settings: Settings, records: Iterable[RawRecord], rate: float, seed: int) -> None:
        self._settings = settings
        self._records = iter(records)
        self._rate = rate
        self._random = random.Random(f"{seed} partitions")
        #: Acknowledged records.
        self.written = 0
        #: Arrival of the last of them by its timestamp, seconds since 1970.
        self.clock = 0.0
        self.ended = False

    async def write_all(self) -> None:
        """Write all records."""
        producer = AIOKafkaProducer(**self._settings.kafka_options(), acks="all", linger_ms=5)
        await producer.start()
        started = time.monotonic()
        size = max(1, int(self._rate / _TIMES_A_SECOND)) if self._rate else _AT_ONCE
        try:
            while chunk := list(islice(self._records, size)):
                await self._write(producer, chunk)
                if self._rate:
                    await asyncio.sleep(max(0.0, started + self.written / self._rate - time.monotonic()))
        finally:
            await producer.stop()
        self.ended = True

    async def _write(self, producer: AIOKafkaProducer, chunk: list[RawRecord]) -> None:
        topics, partitions = self._settings.topics, self._settings.partitions
        sent = []
        for record in chunk:
            # A log hook writes to any partition, so records of one recipient are spread over several.
            key = record.key
            partition = partition_of_key(key, partitions) if key else self._random.randrange(partitions)
            sent.append(
                await producer.send(topics.raw(record.source), record.value, key, partition, record.timestamp_ms)
            )
        await asyncio.gather(*sent)
        self.written += len(chunk)
        self.clock = chunk[-1].timestamp_ms / 1000
