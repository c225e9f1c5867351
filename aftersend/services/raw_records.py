"""Writes a simulated campaign's raw records to the raw topics, at full speed or in real time."""

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

#: Records that may be on their way at once.
_WINDOW: Final = 2_000
#: How far ahead of its time a record may be written, seconds: sleeping for less is not worth it.
_TICK: Final = 0.02


async def write_raw_records(
    settings: Settings,
    records: Iterable[RawRecord],
    partitions: Mapping[str, int],
    rate: float = 0.0,
    on_sent: Callable[[int], None] = lambda _: None,
) -> int:
    """Write records; return how many, all of them acknowledged.

    Args:
        settings: where to.
        records: in the order of their arrival.
        partitions: of the raw topics, by source.
        rate: records a second; 0: as fast as they go. No record says that it came later than it did.
        on_sent: told now and then how many were acknowledged so far.

    Raises:
        KafkaUnusableError: if Kafka does not take them.
    """
    topics = settings.topics
    producer = AIOKafkaProducer(**settings.kafka_options(), enable_idempotence=True, linger_ms=5)
    count = 0
    waiting: list[asyncio.Future[object]] = []
    try:
        await producer.start()
        begin = time.monotonic()
        for record in records:
            if rate and (ahead := begin + count / rate - time.monotonic()) > _TICK:
                on_sent(count)
                await asyncio.sleep(ahead)
            # A record without a key goes round, as an MTA's would.
            among = partitions[record.source]
            partition = count % among if record.key is None else partition_of_key(record.key, among)
            waiting.append(
                await producer.send(
                    topics.raw(record.source),
                    record.value,
                    record.key,
                    partition=partition,
                    timestamp_ms=min(record.timestamp_ms, int(time.time() * 1000)),
                )
            )
            count += 1
            if len(waiting) >= _WINDOW:
                await asyncio.gather(*waiting)
                waiting.clear()
                on_sent(count)
        await asyncio.gather(*waiting)
        on_sent(count)
    except (KafkaError, OSError) as error:
        raise KafkaUnusableError(
            f"Kafka has not taken all records, {count} were tried: {type(error).__name__}: {error}"
        ) from error
    finally:
        await producer.stop()
    return count
