"""Reads the records that dead letters refer to instead of holding them."""

from __future__ import annotations

from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from aftersend.config.settings import Settings
from aftersend.errors import KafkaUnusableError
from aftersend.schemas.raw import RecordPosition
from aftersend.services.dead_letters.records import DeadLetter

#: Reading fails after this time without a record, milliseconds.
_SILENCE_MS: Final = 30_000


class OriginalReader:
    """Reads single records by their positions; an asynchronous context manager that connects on the first read.

    Args:
        settings: of the installation.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None

    async def __aenter__(self) -> Self:
        """Do nothing yet: most replays need no original."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        if self._consumer is not None:
            await self._consumer.stop()

    async def at(self, position: RecordPosition) -> Any | None:
        """Return the record at a position; None if the topic does not hold it any more.

        Raises:
            KafkaError: if Kafka does not answer.
            KafkaUnusableError: if the record can't be read in time.
        """
        consumer = self._consumer or await self._connected()
        tp = TopicPartition(position.topic, position.partition)
        consumer.assign([tp])
        firsts, ends = await consumer.beginning_offsets([tp]), await consumer.end_offsets([tp])
        if not firsts[tp] <= position.offset < ends[tp]:
            return None
        consumer.seek(tp, position.offset)
        try:
            fetched = await consumer.getmany(tp, timeout_ms=_SILENCE_MS, max_records=1)
        except OffsetOutOfRangeError:
            return None  # deleted since
        records = fetched.get(tp, [])
        if not records:
            raise KafkaUnusableError(f"{position} can't be read: Kafka has sent nothing for {_SILENCE_MS // 1000} s")
        return records[0] if records[0].offset == position.offset else None

    async def _connected(self) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            **self._settings.kafka_options(), enable_auto_commit=False, auto_offset_reset="none"
        )
        try:
            await consumer.start()
        except KafkaError:
            await consumer.stop()
            raise
        self._consumer = consumer
        return consumer


async def complete(letter: DeadLetter, originals: OriginalReader) -> bool:
    """Read the record of a letter that only refers to it; return whether the letter has its record now."""
    if not letter.left_out_bytes:
        return True
    record = await originals.at(letter.origin)
    if record is None:
        return False
    letter.key, letter.value = record.key, record.value
    letter.headers = [(name, bytes(value or b"")) for name, value in record.headers]
    return True
