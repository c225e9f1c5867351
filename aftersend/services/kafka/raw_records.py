"""Writes raw records to their topics, as fast as Kafka acknowledges them or at a steady rate."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from aftersend.config.settings import Settings
from aftersend.errors import KafkaUnusableError
from aftersend.schemas.partitioning import partition_of_key
from aftersend.schemas.raw import RawRecord

#: Unacknowledged records at most.
_WINDOW: Final = 2_000
#: A record may be written this much before its time, seconds: a shorter sleep is not worth it.
_AHEAD_SECONDS: Final = 0.02


async def write_raw_records(
    settings: Settings,
    records: Iterable[RawRecord],
    partitions: Mapping[str, int],
    rate: float = 0.0,
    on_acknowledged: Callable[[int], None] = lambda _: None,
) -> int:
    """Write records; return their number once all of them are acknowledged.

    Args:
        settings: of the installation.
        records: in the order of their arrival. A timestamp in the future is replaced by the current time.
        partitions: number of partitions of the raw topics, by source.
        rate: records a second; 0: as fast as possible.
        on_acknowledged: called from time to time with the number of acknowledged records.

    Raises:
        KafkaUnusableError: if a record is not acknowledged.
    """
    writer = _RecordWriter(settings, partitions, on_acknowledged)
    try:
        await writer.start()
        begin = time.monotonic()
        for record in records:
            if rate and (ahead := begin + writer.count / rate - time.monotonic()) > _AHEAD_SECONDS:
                on_acknowledged(writer.count)
                await asyncio.sleep(ahead)
            await writer.write(record)
        await writer.acknowledged()
    except (KafkaError, OSError) as error:
        raise KafkaUnusableError(
            f"Kafka has not acknowledged all records, {writer.count} were written: {type(error).__name__}: {error}"
        ) from error
    finally:
        await writer.stop()
    return writer.count


class _RecordWriter:
    """A producer with a bounded number of unacknowledged records."""

    def __init__(
        self, settings: Settings, partitions: Mapping[str, int], on_acknowledged: Callable[[int], None]
    ) -> None:
        self._topics = settings.topics
        self._partitions = partitions
        self._on_acknowledged = on_acknowledged
        self._producer = AIOKafkaProducer(**settings.kafka_options(), enable_idempotence=True, linger_ms=5)
        self._waiting: list[asyncio.Future[object]] = []
        #: Records written so far.
        self.count = 0

    async def start(self) -> None:
        await self._producer.start()

    async def write(self, record: RawRecord) -> None:
        # Records without a key are spread over the partitions, as an MTA spreads them.
        among = self._partitions[record.source]
        partition = self.count % among if record.key is None else partition_of_key(record.key, among)
        self._waiting.append(
            await self._producer.send(
                self._topics.raw(record.source),
                record.value,
                record.key,
                partition=partition,
                timestamp_ms=min(record.timestamp_ms, int(time.time() * 1000)),
            )
        )
        self.count += 1
        if len(self._waiting) >= _WINDOW:
            await self.acknowledged()

    async def acknowledged(self) -> None:
        """Wait until everything written is acknowledged."""
        await asyncio.gather(*self._waiting)
        self._waiting.clear()
        self._on_acknowledged(self.count)

    async def stop(self) -> None:
        await self._producer.stop()
