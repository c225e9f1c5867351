"""The agent that turns raw records into canonical events; the only writer of the events topic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from aftersend.config.settings import Settings
from aftersend.engine import dead_letters
from aftersend.engine.dead_letters import Breaker
from aftersend.engine.partitions.batch import Batch
from aftersend.engine.partitions.processor import Processor
from aftersend.engine.transaction import MAX_BATCH_BYTES, Output
from aftersend.schemas.event import MAX_SECONDS, Feedback
from aftersend.schemas.partitioning import key_hash
from aftersend.schemas.raw import TENANT_HEADER
from aftersend.schemas.topics import Topics
from aftersend.sources.base import Parser, SourceError
from aftersend.sources.batch import ParsedBatch

_encode: Final = msgspec.json.Encoder().encode
_UNKNOWN: Final = "unknown"
_DECLARED: Final = "declared"
#: What a record may take besides its value.
_OVERHEAD: Final = 10_000
#: Timestamps from here on do not fit into a row's history, milliseconds since 1970.
_END_OF_TIME: Final = MAX_SECONDS * 1000


def _tenant(headers: list[tuple[str, bytes | None]]) -> str:
    """Return the tenant that the gateway knows a raw record to be of, "" if it knows none."""
    for name, value in headers:
        if name == TENANT_HEADER:
            return (value or b"").decode()
    return ""


class NormaliseState(msgspec.Struct):
    """A partition of a raw topic in this worker's hands."""

    topic: str
    partition: int
    #: None: the clock's topic.
    parse: Parser | None


#: Told of each committed batch of raw records: its topic, and what came of it.
OnParse = Callable[[str, ParsedBatch], None]


class Normalise(Processor[NormaliseState, ParsedBatch]):
    """Parses raw records.

    Args:
        settings: of the worker.
        parsers: by raw topic.
        partitions: of the events topic, as it is.
        on_parse: told of every batch.
    """

    name = "normalise"

    def __init__(
        self,
        settings: Settings,
        parsers: Mapping[str, Parser],
        partitions: int,
        on_parse: OnParse = lambda _topic, _counted: None,
    ) -> None:
        self._topics: Topics = settings.topics
        self._parsers = parsers
        self._partitions = partitions
        self._on_parse = on_parse
        self._breaker = Breaker(settings.breaker_share, settings.breaker_records)

    async def restore(self, topic: str, partition: int, epoch: tuple[int, int]) -> NormaliseState:  # noqa: ARG002
        """Return the state of a partition: there is nothing to restore."""
        parse = None if topic == self._topics.clock else self._parsers[topic]
        return NormaliseState(topic, partition, parse)

    def process(self, state: NormaliseState, batch: Batch, output: Output) -> ParsedBatch:  # noqa: C901 - the hot path
        """Parse a batch."""
        if state.parse is None:
            return self._ticks(state, batch, output)
        parse, partition = state.parse, state.partition
        partitions = self._partitions
        appends = [output.channel(self._topics.events, p).append for p in range(partitions)]
        events = 0
        errors: dict[str, int] = {}
        unknown: dict[tuple[str, str], int] = {}
        for record in batch.records:
            try:
                if not 0 <= record.timestamp < _END_OF_TIME:
                    raise SourceError(
                        f"the record's Kafka timestamp ({record.timestamp} ms) is none that time is counted with"
                    )
                parsed = parse(record.value or b"")
                headers = record.headers
                tenant = _tenant(headers) if headers else ""
                too_large = ""
                for event in parsed:
                    if tenant and not event.tenant:
                        event.tenant = tenant
                    event.raw_partition = partition
                    event.raw_offset = record.offset
                    recipient = event.recipient.encode()
                    value = _encode(event)
                    if len(value) > MAX_BATCH_BYTES - _OVERHEAD:
                        # The record's other events count all the same: a webhook's body has hundreds.
                        too_large = f"the event takes {len(value)} bytes, more than a Kafka record may"
                        continue
                    if not recipient and event.type == _DECLARED:
                        # Concerns a delivery, whose rows lie in all partitions.
                        for append in appends:
                            append(b"", value, record.timestamp)
                        events += partitions
                        continue
                    appends[key_hash(recipient) % partitions](recipient, value, record.timestamp)
                    events += 1
                    if event.type == _UNKNOWN:
                        called = event.source, event.detail
                        unknown[called] = unknown.get(called, 0) + 1
                if too_large:
                    raise SourceError(too_large)
            except (SourceError, UnicodeError) as error:
                name = type(error).__name__
                errors[name] = errors.get(name, 0) + 1
                letters = output.channel(self._topics.dead_letters, partition % partitions)
                dead_letters.write(letters, record, state.topic, partition, error)
        self._breaker.count(len(batch.records), sum(errors.values()))
        return ParsedBatch(len(batch.records), events, errors, unknown)

    def _ticks(self, state: NormaliseState, batch: Batch, output: Output) -> ParsedBatch:
        """Fan the clock's last tick of a batch out: earlier ones say nothing that it does not say."""
        last = batch.records[-1]
        tick = Feedback(
            f"tick-{last.offset}", "", "", "tick", source="clock", raw_partition=state.partition, raw_offset=last.offset
        )
        value = _encode(tick)
        for partition in range(self._partitions):
            output.channel(self._topics.events, partition).append(b"", value, last.timestamp)
        return ParsedBatch(len(batch.records), self._partitions, {}, {})

    def committed(
        self,
        state: NormaliseState,
        pending: ParsedBatch,
        ends: dict[tuple[str, int], int],  # noqa: ARG002 - nothing is kept that would have to know
        next_offset: int,  # noqa: ARG002
    ) -> None:
        """Tell of the batch: its events are on their topic now."""
        self._on_parse(state.topic, pending)

    def release(self, state: NormaliseState) -> None:
        """Do nothing: there is no state."""
