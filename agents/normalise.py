"""The agent that turns raw records into canonical events; the only writer of the events topic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from zlib import crc32

import msgspec

from engine import dead_letters
from engine.dead_letters import Breaker
from engine.processor import Processor
from engine.settings import Settings
from engine.transport import Batch
from engine.writer import MAX_BATCH_BYTES, Output
from schemas.feedback import MAX_SECONDS, Feedback
from schemas.topics import Topics
from sources.base import Parser, SourceError

_encode: Final = msgspec.json.Encoder().encode
#: What a record may take besides its value.
_OVERHEAD: Final = 10_000
#: Timestamps from here on do not fit into a row's history, milliseconds since 1970.
_END_OF_TIME: Final = MAX_SECONDS * 1000


def partition_of(recipient: str, partitions: int) -> int:
    """Return the partition of the events topic in which all that concerns a recipient lies.

    CRC-32 of the address, as librdkafka's default partitioner has it. Nobody else writes this topic, so nobody else
    has to agree; it is quick from Python's standard library.
    """
    return crc32(recipient.encode()) % partitions


class NormaliseState(msgspec.Struct):
    """A partition of a raw topic in this worker's hands."""

    topic: str
    partition: int
    #: None: the clock's topic.
    parse: Parser | None


class Counted(msgspec.Struct):
    """What came of a batch of raw records."""

    records: int
    events: int
    dead: int


class Normalise(Processor[NormaliseState, Counted]):
    """Parses raw records.

    Args:
        settings: of the worker.
        parsers: by raw topic.
        partitions: of the events topic, as it is.
    """

    name = "normalise"

    def __init__(self, settings: Settings, parsers: Mapping[str, Parser], partitions: int) -> None:
        """Keep what all partitions share."""
        self._topics: Topics = settings.topics
        self._parsers = parsers
        self._partitions = partitions
        self._breaker = Breaker(settings.breaker_share, settings.breaker_records)

    async def restore(self, topic: str, partition: int, epoch: tuple[int, int]) -> NormaliseState:  # noqa: ARG002
        """Return the state of a partition: there is nothing to restore."""
        parse = None if topic == self._topics.clock else self._parsers[topic]
        return NormaliseState(topic, partition, parse)

    def process(self, state: NormaliseState, batch: Batch, output: Output) -> Counted:
        """Parse a batch."""
        if state.parse is None:
            return self._ticks(state, batch, output)
        parse, partition = state.parse, state.partition
        partitions = self._partitions
        appends = [output.channel(self._topics.events, p).append for p in range(partitions)]
        events = dead = 0
        for record in batch.records:
            try:
                if not 0 <= record.timestamp < _END_OF_TIME:
                    message = f"the record's Kafka timestamp ({record.timestamp} ms) is none that time is counted with"
                    raise SourceError(message)  # noqa: TRY301 - the same fate as any other unreadable record
                parsed = parse(record.value or b"")
                for event in parsed:
                    event.raw_partition = partition
                    event.raw_offset = record.offset
                    recipient = event.recipient.encode()
                    value = _encode(event)
                    if len(value) > MAX_BATCH_BYTES - _OVERHEAD:
                        message = f"the event takes {len(value)} bytes, more than a Kafka record may"
                        raise SourceError(message)  # noqa: TRY301 - the same fate as any other unreadable record
                    appends[crc32(recipient) % partitions](recipient, value, record.timestamp)
                    events += 1
            except (SourceError, UnicodeError) as error:
                dead += 1
                letters = output.channel(self._topics.dead_letters, partition % partitions)
                dead_letters.write(letters, record, state.topic, partition, error)
        self._breaker.count(len(batch.records), dead)
        return Counted(len(batch.records), events, dead)

    def _ticks(self, state: NormaliseState, batch: Batch, output: Output) -> Counted:
        """Fan the clock's last tick of a batch out: earlier ones say nothing that it does not say."""
        last = batch.records[-1]
        tick = Feedback(
            f"tick-{last.offset}", "", "", "tick", source="clock", raw_partition=state.partition, raw_offset=last.offset
        )
        value = _encode(tick)
        for partition in range(self._partitions):
            output.channel(self._topics.events, partition).append(b"", value, last.timestamp)
        return Counted(len(batch.records), self._partitions, 0)

    def committed(
        self, state: NormaliseState, pending: Counted, ends: dict[tuple[str, int], int], next_offset: int
    ) -> None:
        """Do nothing: the events are on their topic now."""

    def release(self, state: NormaliseState) -> None:
        """Do nothing: there is no state."""
