"""Dead letters back to where they came from, byte for byte."""

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
from aftersend.engine.dead_letters import REPLAYED
from aftersend.errors import KafkaUnusableError
from aftersend.services.dead_letters.letters import DeadLetter, DeadLetterFilter, DeadLetterReader

#: Records that may be on their way at once.
_WINDOW: Final = 500
#: The broker says what is too large for it (`max.message.bytes`); it took these records once.
_LARGEST: Final = 64 * 1024 * 1024


async def plan(letters: DeadLetterReader, filters: DeadLetterFilter, limit: int = 0) -> Counter[tuple[str, str]]:
    """Return how many letters are meant, by topic that they came from and class of error.

    Args:
        letters: where they are.
        filters: which are meant.
        limit: at most so many; 0: all.
    """
    found: Counter[tuple[str, str]] = Counter()
    async with aclosing(limited(letters.read(filters), limit)) as meant:
        async for letter in meant:
            found[letter.origin.topic, letter.error] += 1
    return found


async def limited(letters: AsyncGenerator[DeadLetter, None], limit: int) -> AsyncGenerator[DeadLetter]:
    """Yield the first letters; 0: all."""
    count = 0
    async for letter in letters:
        yield letter
        count += 1
        if count == limit:
            return


async def replay(
    settings: Settings,
    letters: DeadLetterReader,
    filters: DeadLetterFilter,
    partitions: Mapping[str, int],
    *,
    limit: int = 0,
    as_new: bool = False,
    on_written: Callable[[int], None] = lambda _: None,
) -> int:
    """Write letters back to the topics that they came from; return how many, all of them acknowledged.

    Key, value and the record's own headers are what they were, and so is the partition; a header says where the record
    lay first. So is the Kafka timestamp, unless `as_new`: what counts in the rules is when a record arrived, and it
    arrived then. With a new one, what came in time might be counted as late, and a replay of the raw topics by
    timestamp would say so again.

    Args:
        settings: of the installation.
        letters: where they are.
        filters: which are meant.
        partitions: of the topics they came from.
        limit: at most so many; 0: all.
        as_new: whether they arrive now, by their timestamp.
        on_written: told now and then how many were acknowledged so far.

    Raises:
        KafkaUnusableError: if Kafka does not take them, or a topic is gone; the message says how many were written.
    """
    producer = AIOKafkaProducer(
        **settings.kafka_options(), enable_idempotence=True, linger_ms=5, max_request_size=_LARGEST
    )
    written = 0
    waiting: list[asyncio.Future[object]] = []
    try:
        await producer.start()
        async with aclosing(limited(letters.read(filters), limit)) as meant:
            async for letter in meant:
                waiting.append(await _send(producer, letter, partitions, as_new=as_new))
                if len(waiting) >= _WINDOW:
                    await asyncio.gather(*waiting)
                    written += len(waiting)
                    waiting.clear()
                    on_written(written)
        await asyncio.gather(*waiting)
        written += len(waiting)
        on_written(written)
    except (KafkaError, OSError) as error:
        hint = ": raise max.message.bytes of the topic" if isinstance(error, MessageSizeTooLargeError) else ""
        raise KafkaUnusableError(
            f"Kafka has not taken all records; {written} are written for certain, and replaying them again does no "
            f"harm ({type(error).__name__}: {error}{hint})"
        ) from error
    finally:
        await producer.stop()
    return written


async def _send(
    producer: AIOKafkaProducer, letter: DeadLetter, partitions: Mapping[str, int], *, as_new: bool
) -> asyncio.Future[object]:
    origin = letter.origin
    if origin.topic not in partitions:
        raise KafkaUnusableError(
            f"dead letter {letter.place} came from the topic {origin.topic or '(not said)'}, which is not there: "
            "create it, or leave it out with --source"
        )
    headers = letter.headers
    if not letter.replayed:
        headers = [*headers, (REPLAYED, str(origin).encode())]
    sent: asyncio.Future[object] = await producer.send(
        origin.topic,
        letter.value,
        letter.key,
        # Where its key's other records are; a topic that was made anew may have fewer partitions.
        partition=max(0, origin.partition) % partitions[origin.topic],
        timestamp_ms=int(time.time() * 1000) if as_new else letter.timestamp,
        headers=headers,
    )
    return sent
