"""Dead letters as they are read back from their topic: one at a time, so that any number of them fits into memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final, Self

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from aftersend.config.installation import raw_sources
from aftersend.config.settings import Settings
from aftersend.engine import admin
from aftersend.engine.dead_letters import HEADERS, REPLAYED
from aftersend.errors import KafkaUnusableError, UsageError
from aftersend.schemas.raw import RecordPosition

_POLL_MS: Final = 500
_FETCHED: Final = 500
#: Whole letters come even where one is longer; this bounds what is held of each partition.
_FETCH_BYTES: Final = 1024 * 1024
#: How long Kafka may say nothing at all before we stop waiting for the rest, seconds.
_SILENCE: Final = 30.0


def parse_position(text: str, topic: str) -> RecordPosition:
    """Return the position that `partition:offset` of a topic, or `topic-partition-offset`, names.

    Raises:
        UsageError: if it is neither.
    """
    # A topic's name may have dashes, too.
    name, partition, offset = (topic, *text.split(":", 1)) if ":" in text else ("", "", *text.rsplit("-", 2))[-3:]
    if name and all(number.isascii() and number.isdigit() for number in (partition, offset)):
        return RecordPosition(name, int(partition), int(offset))
    raise UsageError(f"{text!r} is no position: give PARTITION:OFFSET of the dead letter, or TOPIC-PARTITION-OFFSET")


class DeadLetter(msgspec.Struct):
    """One dead letter."""

    #: Where the letter lies.
    place: RecordPosition
    #: Kafka timestamp of the record that could not be read, milliseconds since 1970: when it arrived.
    timestamp: int
    key: bytes | None
    value: bytes | None
    #: The record's own headers, without those that say why it is here.
    headers: list[tuple[str, bytes]]
    #: Where the record that could not be read lies.
    origin: RecordPosition
    error: str
    message: str
    #: Of the Aftersend that could not read it.
    version: str
    #: Where the record lay that was replayed, if this letter comes of a replay.
    replayed: str = ""


class DeadLetterFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which letters are meant; all of them, unless something is said."""

    #: Topics that the records come from.
    topics: frozenset[str] = frozenset()
    #: Class of the error, or a part of its message; without regard to case.
    error: str = ""
    #: Arrival of the record, seconds since 1970.
    since: float | None = None
    until: float | None = None
    #: Whether letters that come of a replay are meant too.
    replayed: bool = True

    def mean(self, letter: DeadLetter) -> bool:
        """Say whether a letter is meant."""
        if self.topics and letter.origin.topic not in self.topics:
            return False
        wanted = self.error.casefold()
        if wanted and wanted != letter.error.casefold() and wanted not in letter.message.casefold():
            return False
        if letter.replayed and not self.replayed:
            return False
        at = letter.timestamp / 1000
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


def topics_of(settings: Settings, source: str | None) -> frozenset[str]:
    """Return the topics that a `--source` means: the raw topic of a source, or a topic by its own name.

    Raises:
        UsageError: if there is no such source and no such topic.
    """
    if source is None:
        return frozenset()
    topics = settings.topics
    known = {name: topics.raw(name) for name in (*raw_sources(), "clock")} | {"events": topics.events}
    if source not in known and source not in known.values():
        raise UsageError(f"there is no source {source!r}: say one of {', '.join(known)}, or the name of its topic")
    return frozenset({known.get(source, source)})


def letter_of(record: Any, topic: str, partition: int) -> DeadLetter:
    """Return a record of the dead-letter topic as what it is.

    Ours are the last headers of each name: the record may have come with headers of the same names, which are its own.
    """
    headers = [(name, bytes(value or b"")) for name, value in record.headers]
    ours: dict[str, str] = {}
    for at in range(len(headers) - 1, -1, -1):
        name, value = headers[at]
        if name in HEADERS and name not in ours:
            ours[name] = value.decode("utf-8", "replace")
            del headers[at]
    origin = RecordPosition(
        ours.get("aftersend.topic", ""),
        _number(ours.get("aftersend.partition", "")),
        _number(ours.get("aftersend.offset", "")),
    )
    replayed = [value for name, value in headers if name == REPLAYED]
    return DeadLetter(
        RecordPosition(topic, partition, record.offset),
        record.timestamp,
        record.key,
        record.value,
        headers,
        origin,
        ours.get("aftersend.error", ""),
        ours.get("aftersend.message", ""),
        ours.get("aftersend.version", ""),
        replayed[-1].decode("utf-8", "replace") if replayed else "",
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else -1


class DeadLetterReader:
    """Reads the dead-letter topic, committed records only; to be used as an asynchronous context manager.

    Where the topic ends is looked up once, so that reading twice reads the same.

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
        """Connect, and see where the topic ends.

        Raises:
            KafkaUnusableError: if Kafka can't be reached, or the topic is missing.
        """
        cluster = await admin.inspect(self._settings.kafka_options())
        if self.topic not in cluster.partitions:
            raise KafkaUnusableError(
                f"topic {self.topic} is missing: run `aftersend topics apply`, or set AFTERSEND_TOPIC_PREFIX"
            )
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

    async def read(self, filters: DeadLetterFilter) -> AsyncGenerator[DeadLetter, None]:
        """Yield the letters that are meant, each partition's in order."""
        try:
            async for letter in self._all(filters.since):
                if filters.mean(letter):
                    yield letter
        except (KafkaError, OSError) as error:
            raise _unreadable(self.topic, error) from error

    async def at(self, place: RecordPosition) -> DeadLetter | None:
        """Return the letter at a place: its own on the dead-letter topic, or that of the record it is about."""
        if place.topic != self.topic:
            # A record that was replayed has a place of its own, so the first one found is the only one.
            async for letter in self.read(DeadLetterFilter(topics=frozenset({place.topic}))):
                if letter.origin == place:
                    return letter
            return None
        tp = TopicPartition(self.topic, place.partition)
        if place.offset >= self._ends.get(tp, 0):
            return None
        async for letter in self._from({tp: place.offset}):
            return letter if letter.place.offset == place.offset else None
        return None

    async def _all(self, since: float | None) -> AsyncGenerator[DeadLetter, None]:
        consumer = self._consumer
        firsts = await consumer.beginning_offsets(list(self._ends))
        starts = dict(firsts)
        if since is not None and self._ends:
            # The first letter that is not earlier: all before it are, though those after it need not be later.
            found = await consumer.offsets_for_times(dict.fromkeys(self._ends, max(0, int(since * 1000))))
            starts = {tp: max(firsts[tp], at.offset) if at else self._ends[tp] for tp, at in found.items()}
        async for letter in self._from(starts):
            yield letter

    async def _from(self, starts: Mapping[TopicPartition, int]) -> AsyncGenerator[DeadLetter, None]:
        consumer, ends = self._consumer, self._ends
        left = {tp for tp, start in starts.items() if start < ends[tp]}
        consumer.assign(sorted(left))
        for tp in left:
            consumer.seek(tp, starts[tp])
        silent = 0.0
        while left:
            fetched = await consumer.getmany(*left, timeout_ms=_POLL_MS, max_records=_FETCHED)
            silent = 0.0 if fetched else silent + _POLL_MS / 1000
            for tp, records in fetched.items():
                for record in records:
                    if record.offset < ends[tp]:
                        yield letter_of(record, tp.topic, tp.partition)
            # The ends of transactions take offsets too: the position tells how far we are, not the last record.
            done = {tp for tp in left if await consumer.position(tp) >= ends[tp]}
            if done:
                consumer.pause(*done)
                left -= done
            if silent > _SILENCE:
                raise KafkaUnusableError(
                    f"Kafka has given nothing more of {self.topic} for {_SILENCE:g} s: is a broker down?"
                )


def _unreadable(topic: str, error: BaseException) -> KafkaUnusableError:
    return KafkaUnusableError(f"topic {topic} can't be read: {type(error).__name__}: {error}")
