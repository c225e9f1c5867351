"""Reads the dead-letter topic one letter at a time, so that memory is bounded."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from aftersend.config.settings import Settings
from aftersend.engine import admin
from aftersend.errors import KafkaUnusableError
from aftersend.schemas.raw import RecordPosition
from aftersend.services.dead_letters.originals import complete
from aftersend.services.dead_letters.records import DeadLetter, DeadLetterFilter, decode_dead_letter
from aftersend.services.kafka.cluster import missing

_POLL_MS: Final = 500
_MAX_RECORDS: Final = 500
#: Fetched of each partition at once, bytes; a longer letter is fetched whole.
_FETCH_BYTES: Final = 1024 * 1024
#: Reading fails after this time without a record, seconds.
_SILENCE_SECONDS: Final = 30.0


class DeadLetterReader:
    """Reads committed dead letters; an asynchronous context manager.

    The ends of the partitions are read once, so that reading twice yields the same letters.

    Args:
        settings: of the installation.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.topic = settings.topics.dead_letters
        self._consumer = AIOKafkaConsumer(
            **settings.kafka_options(),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_FETCH_BYTES,
        )
        self._ends: Mapping[TopicPartition, int] = {}

    async def __aenter__(self) -> Self:
        """Connect, and read the ends of the partitions.

        Raises:
            KafkaUnusableError: if Kafka does not answer, or the topic is missing.
        """
        cluster = await admin.inspect(self._settings.kafka_options())
        if self.topic not in cluster.partitions:
            raise missing(self.topic)
        try:
            await self._consumer.start()
            partitions = [TopicPartition(self.topic, p) for p in range(cluster.partitions[self.topic])]
            self._ends = await self._consumer.end_offsets(partitions)
        except (KafkaError, OSError) as error:
            await self._consumer.stop()
            raise _unreadable(self.topic, error) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def read(self, selection: DeadLetterFilter) -> AsyncGenerator[DeadLetter, None]:
        """Yield the selected letters, in the order of each partition.

        Raises:
            KafkaUnusableError: if Kafka does not answer.
        """
        try:
            async for letter in self._read_since(selection.since):
                if selection.matches(letter):
                    yield letter
        except (KafkaError, OSError) as error:
            raise _unreadable(self.topic, error) from error

    async def at(self, position: RecordPosition) -> DeadLetter | None:
        """Return the letter at a position, or the letter of the unreadable record at it; None: there is none."""
        if position.topic != self.topic:
            # A replayed record has another position, so the first letter found is the only one.
            async for letter in self.read(DeadLetterFilter(topics=frozenset({position.topic}))):
                if letter.origin == position:
                    return letter
            return None
        tp = TopicPartition(self.topic, position.partition)
        if position.offset >= self._ends.get(tp, 0):
            return None
        async for letter in self._read_from({tp: position.offset}):
            return letter if letter.position.offset == position.offset else None
        return None

    async def _read_since(self, since: float | None) -> AsyncGenerator[DeadLetter, None]:
        consumer = self._consumer
        firsts = await consumer.beginning_offsets(list(self._ends))
        starts = dict(firsts)
        if since is not None and self._ends:
            # All letters before the first one that is not earlier are earlier; later ones may be earlier as well.
            found = await consumer.offsets_for_times(dict.fromkeys(self._ends, max(0, int(since * 1000))))
            starts = {tp: max(firsts[tp], at.offset) if at else self._ends[tp] for tp, at in found.items()}
        async for letter in self._read_from(starts):
            yield letter

    async def _read_from(self, starts: Mapping[TopicPartition, int]) -> AsyncGenerator[DeadLetter, None]:
        consumer, ends = self._consumer, self._ends
        left = {tp for tp, start in starts.items() if start < ends[tp]}
        consumer.assign(sorted(left))
        for tp in left:
            consumer.seek(tp, starts[tp])
        silent = 0.0
        while left:
            fetched = await consumer.getmany(*left, timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)
            silent = 0.0 if fetched else silent + _POLL_MS / 1000
            for tp, records in fetched.items():
                for record in records:
                    if record.offset < ends[tp]:
                        yield decode_dead_letter(record, tp.topic, tp.partition)
            # Transaction markers have offsets too: the position shows the progress, not the last record.
            done = {tp for tp in left if await consumer.position(tp) >= ends[tp]}
            if done:
                consumer.pause(*done)
                left -= done
            if silent > _SILENCE_SECONDS:
                raise KafkaUnusableError(
                    f"Kafka has returned no record of {self.topic} for {_SILENCE_SECONDS:g} s: check the brokers"
                )


async def find_dead_letter(settings: Settings, position: RecordPosition) -> DeadLetter | None:
    """Return the dead letter at a position, or of the unreadable record at it; None: there is none.

    A letter that only refers to its record gets the record from its own topic, if that still holds it.

    Raises:
        KafkaUnusableError: if Kafka does not answer, or the topic is missing.
    """
    async with DeadLetterReader(settings) as reader:
        letter = await reader.at(position)
        if letter is not None:
            try:
                await complete(settings, letter)
            except (KafkaError, OSError) as error:
                raise _unreadable(letter.origin.topic, error) from error
        return letter


def _unreadable(topic: str, error: BaseException) -> KafkaUnusableError:
    return KafkaUnusableError(f"topic {topic} can't be read: {type(error).__name__}: {error}")
