"""Replays dead letters: writes the records back to their topics, byte for byte."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from aftersend.config.settings import Settings
from aftersend.engine import admin
from aftersend.engine.dead_letters import REPLAYED
from aftersend.errors import KafkaUnusableError
from aftersend.services.dead_letters.reader import DeadLetterReader
from aftersend.services.dead_letters.records import DeadLetter, DeadLetterFilter

#: Unacknowledged records at most.
_WINDOW: Final = 500
#: Limit of the producer, bytes: the broker's own limit (`max.message.bytes`) decides, which accepted the records
#: before.
_MAX_REQUEST_BYTES: Final = 64 * 1024 * 1024


async def count_letters(
    reader: DeadLetterReader, selection: DeadLetterFilter, limit: int = 0
) -> Counter[tuple[str, str]]:
    """Return the number of selected letters by topic of the record and class of the error.

    Args:
        reader: connected.
        selection: letters to count.
        limit: number of letters at most; 0: all.
    """
    found: Counter[tuple[str, str]] = Counter()
    async with aclosing(limited(reader.read(selection), limit)) as letters:
        async for letter in letters:
            found[letter.origin.topic, letter.error] += 1
    return found


async def limited(letters: AsyncGenerator[DeadLetter, None], limit: int) -> AsyncGenerator[DeadLetter]:
    """Yield the first letters; with a limit of 0, all of them."""
    count = 0
    async for letter in letters:
        yield letter
        count += 1
        if count == limit:
            return


async def replay(
    settings: Settings,
    reader: DeadLetterReader,
    selection: DeadLetterFilter,
    *,
    limit: int = 0,
    as_new: bool = False,
    on_acknowledged: Callable[[int], None] = lambda _: None,
) -> int:
    """Write the records of dead letters back to their topics; return their number once all are acknowledged.

    Key, value, the record's own headers and the partition are unchanged; a header holds the first position. So is the
    Kafka timestamp, unless `as_new`: the rules use the arrival of a record. With a new timestamp, a record that arrived
    in time might count as late, now and in every later replay of the raw topic.

    Args:
        settings: of the installation.
        reader: connected.
        selection: letters to replay.
        limit: number of letters at most; 0: all.
        as_new: use the current time as timestamp.
        on_acknowledged: called from time to time with the number of acknowledged records.

    Raises:
        KafkaUnusableError: if a record is not acknowledged or its topic is missing; with the number of written records.
    """
    partitions = (await admin.inspect(settings.kafka_options())).partitions
    producer = AIOKafkaProducer(
        **settings.kafka_options(), enable_idempotence=True, linger_ms=5, max_request_size=_MAX_REQUEST_BYTES
    )
    written = 0
    try:
        await producer.start()
        waiting: list[asyncio.Future[object]] = []
        async with aclosing(limited(reader.read(selection), limit)) as letters:
            async for letter in letters:
                waiting.append(await _send(producer, letter, partitions, as_new=as_new))
                if len(waiting) >= _WINDOW:
                    written += await _acknowledged(waiting)
                    on_acknowledged(written)
        written += await _acknowledged(waiting)
        on_acknowledged(written)
    except (KafkaError, OSError) as error:
        hint = ": raise max.message.bytes of the topic" if isinstance(error, MessageSizeTooLargeError) else ""
        raise KafkaUnusableError(
            f"Kafka has not acknowledged all records; at least {written} are written, and replaying them again is safe "
            f"({type(error).__name__}: {error}{hint})"
        ) from error
    finally:
        await producer.stop()
    return written


async def _acknowledged(waiting: list[asyncio.Future[object]]) -> int:
    """Wait for acknowledgements; return their number and empty the list."""
    await asyncio.gather(*waiting)
    number = len(waiting)
    waiting.clear()
    return number


async def _send(
    producer: AIOKafkaProducer, letter: DeadLetter, partitions: Mapping[str, int], *, as_new: bool
) -> asyncio.Future[object]:
    origin = letter.origin
    if origin.topic not in partitions:
        raise KafkaUnusableError(
            f"dead letter {letter.position} comes from the topic {origin.topic or '(unknown)'}, which is missing: "
            "create the topic, or exclude it with --source"
        )
    headers = letter.headers
    if not letter.replayed:
        headers = [*headers, (REPLAYED, str(origin).encode())]
    sent: asyncio.Future[object] = await producer.send(
        origin.topic,
        letter.value,
        letter.key,
        # The partition of the key's other records; a topic that was created again may have fewer partitions.
        partition=max(0, origin.partition) % partitions[origin.topic],
        timestamp_ms=int(time.time() * 1000) if as_new else letter.timestamp,
        headers=headers,
    )
    return sent
