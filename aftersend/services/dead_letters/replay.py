"""Replays dead letters: writes the records back to their topics, byte for byte."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Final

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from aftersend.config.settings import Settings
from aftersend.engine import admin
from aftersend.engine.dead_letters import REPLAYED
from aftersend.errors import KafkaUnusableError
from aftersend.services.dead_letters.originals import complete
from aftersend.services.dead_letters.reader import DeadLetterReader
from aftersend.services.dead_letters.records import DeadLetter, DeadLetterFilter

#: Unacknowledged records at most.
_WINDOW: Final = 500
#: Limit of the producer, bytes: the broker's own limit (`max.message.bytes`) decides, which accepted the records
#: before.
_MAX_REQUEST_BYTES: Final = 64 * 1024 * 1024


class ReplayOutcome(msgspec.Struct):
    """What a replay has done."""

    #: Acknowledged records.
    written: int
    #: Positions of records that letters only refer to, and that their topics do not hold any more.
    lost: list[str]


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
) -> ReplayOutcome:
    """Write the records of dead letters back to their topics; return once all are acknowledged.

    Key, value, the record's own headers and the partition are unchanged; a header holds the first position. So is the
    Kafka timestamp, unless `as_new`: the rules use the arrival of a record. With a new timestamp, a record that arrived
    in time might count as late, now and in every later replay of the raw topic. A record that its letter only refers to
    (`left_out_bytes`) is read from its own topic.

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
    writer = _ReplayWriter(settings, (await admin.inspect(settings.kafka_options())).partitions, on_acknowledged)
    lost: list[str] = []
    try:
        await writer.start()
        async with aclosing(limited(reader.read(selection), limit)) as letters:
            async for letter in letters:
                if await complete(settings, letter):
                    await writer.write(letter, as_new=as_new)
                else:
                    lost.append(str(letter.origin))
        await writer.acknowledged()
    except (KafkaError, OSError) as error:
        raise _incomplete(writer.written, error) from error
    finally:
        await writer.stop()
    return ReplayOutcome(writer.written, lost)


def _incomplete(written: int, error: Exception) -> KafkaUnusableError:
    hint = ": raise max.message.bytes of the topic" if isinstance(error, MessageSizeTooLargeError) else ""
    return KafkaUnusableError(
        f"Kafka has not acknowledged all records; at least {written} are written, and replaying them again is safe "
        f"({type(error).__name__}: {error}{hint})"
    )


class _ReplayWriter:
    """A producer of dead letters' records, with a bounded number of unacknowledged ones."""

    def __init__(
        self, settings: Settings, partitions: Mapping[str, int], on_acknowledged: Callable[[int], None]
    ) -> None:
        self._producer = AIOKafkaProducer(
            **settings.kafka_options(), enable_idempotence=True, linger_ms=5, max_request_size=_MAX_REQUEST_BYTES
        )
        self._partitions = partitions
        self._on_acknowledged = on_acknowledged
        self._waiting: list[asyncio.Future[object]] = []
        #: Acknowledged records.
        self.written = 0

    async def start(self) -> None:
        await self._producer.start()

    async def write(self, letter: DeadLetter, *, as_new: bool) -> None:
        origin = letter.origin
        if origin.topic not in self._partitions:
            raise KafkaUnusableError(
                f"dead letter {letter.position} comes from the topic {origin.topic or '(unknown)'}, which is missing: "
                "create the topic, or exclude it with --source"
            )
        headers = letter.headers
        if not letter.replayed:
            headers = [*headers, (REPLAYED, str(origin).encode())]
        sent = await self._producer.send(
            origin.topic,
            letter.value,
            letter.key,
            # The partition of the key's other records; a topic that was created again may have fewer partitions.
            partition=max(0, origin.partition) % self._partitions[origin.topic],
            timestamp_ms=int(time.time() * 1000) if as_new else letter.timestamp,
            headers=headers,
        )
        self._waiting.append(sent)
        if len(self._waiting) >= _WINDOW:
            await self.acknowledged()

    async def acknowledged(self) -> None:
        """Wait until everything written is acknowledged."""
        await asyncio.gather(*self._waiting)
        self.written += len(self._waiting)
        self._waiting.clear()
        self._on_acknowledged(self.written)

    async def stop(self) -> None:
        await self._producer.stop()
