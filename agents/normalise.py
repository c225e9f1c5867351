"""The agent that turns raw records into canonical events; the only writer of the events topic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from aftersend.config.settings import Settings
from aftersend.engine import dead_letters
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.engine.breaker import BatchTallies, Tally, TenantPausedError, TopicBreakers
from aftersend.engine.partitions.batch import Batch
from aftersend.engine.partitions.processor import Processor
from aftersend.engine.transaction import Output
from aftersend.engine.types import OwnerEpoch, Partition
from aftersend.schemas.event import MAX_SECONDS, Feedback
from aftersend.schemas.partitioning import key_hash
from aftersend.schemas.raw import TENANT_HEADER
from aftersend.schemas.topics import Topics
from aftersend.sources.base import Parser, SourceError
from aftersend.sources.batch import ParsedBatch
from aftersend.sources.bounds import SMALL_EVENT_BYTES, enforce_bounds

_encode: Final = msgspec.json.Encoder().encode
_UNKNOWN: Final = "unknown"
_DECLARED: Final = "declared"
#: Timestamps from here on do not fit into a row's history, milliseconds since 1970.
_END_OF_TIME: Final = MAX_SECONDS * 1000
#: Ticks of a batch that go on to the events topic, of more only so many at even distances: enough that none leaps.
_MAX_TICKS: Final = 64


def _tenant(headers: list[tuple[str, bytes | None]]) -> str:
    """Return the tenant that the gateway has set for a raw record; "": none."""
    for name, value in headers:
        if name == TENANT_HEADER:
            return (value or b"").decode()
    return ""


class TooManyEventsError(SourceError):
    """A raw record has more events than allowed: a short record must not become gigabytes."""


class NormaliseState(msgspec.Struct):
    """State of a partition of a raw topic that this worker owns."""

    topic: str
    partition: int
    #: None: the clock's topic.
    parse: Parser | None


#: Called with the topic and the result of each committed batch of raw records.
OnParse = Callable[[str, ParsedBatch], None]


class Normalise(Processor[NormaliseState, ParsedBatch]):
    """Parses raw records.

    Args:
        settings: of the worker.
        parsers: by raw topic.
        partitions: number of partitions that the events topic has.
        on_parse: called with every committed batch.
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
        self._max_events = settings.max_events_per_record
        self._max_bytes = settings.max_event_bytes_per_record
        self.breakers = TopicBreakers.of(settings)

    async def restore(self, topic: str, partition: int, epoch: OwnerEpoch) -> NormaliseState:  # noqa: ARG002
        """Return the state of a partition: there is nothing to restore."""
        parse = None if topic == self._topics.clock else self._parsers[topic]
        return NormaliseState(topic, partition, parse)

    def process(  # noqa: C901, PLR0912 - the hot path
        self, state: NormaliseState, batch: Batch, output: Output
    ) -> ParsedBatch:
        """Parse a batch."""
        if state.parse is None:
            return self._process_ticks(state, batch, output)
        self.breakers.check(state.topic)
        # Step 9. Parse raw records into events; records that can't be read go to the dead letters.
        parse, partition, partitions = state.parse, state.partition, self._partitions
        appends = [output.channel(self._topics.events, p).append for p in range(partitions)]
        result = ParsedBatch(len(batch.records), 0, {}, {})
        tallies = BatchTallies(len(batch.records), self.breakers.paused_tenants(state.topic))
        for record in batch.records:
            timestamp = record.timestamp
            made: list[tuple[bytes | None, bytes]] = []
            headers = record.headers
            tenant = _tenant(headers) if headers else ""
            try:
                if tenant:
                    tallies.admit(tenant)
                if not 0 <= timestamp < _END_OF_TIME:
                    raise SourceError(f"the record's Kafka timestamp ({timestamp} ms) is out of range")
                events = parse(record.value or b"")
                if isinstance(events, tuple) and len(events) == 1 and not tenant:
                    # Most MTA records: no limit for several events applies, so they need neither a list nor a call.
                    (event,) = events
                    event.raw_partition = partition
                    event.raw_offset = record.offset
                    encoded = _encode(event)
                    key = event.recipient.encode()
                    if key and len(encoded) <= SMALL_EVENT_BYTES and event.type != _UNKNOWN:
                        appends[key_hash(key) % partitions](key, encoded, timestamp)
                        result.events += 1
                        continue
                self._encode_events(events, tenant, partition, record.offset, made, result.unknown)
            except (SourceError, TenantPausedError, UnicodeError) as error:
                self._reject(state, record, error, output, result)
                if isinstance(error, TenantPausedError):
                    continue
                tallies.unreadable(tenant)
                if isinstance(error, TooManyEventsError):
                    continue  # the record goes to the dead letters whole
            result.events += len(made)
            for recipient, value in made:
                if recipient is None:
                    # A declaration of a delivery, whose rows are in all partitions.
                    result.events += partitions - 1
                    for append in appends:
                        append(b"", value, timestamp)
                else:
                    appends[key_hash(recipient) % partitions](recipient, value, timestamp)
        self.breakers.count(state.topic, tallies.by_tenant())
        return result

    def _encode_events(
        self,
        events: Iterable[Feedback],
        tenant: str,
        partition: int,
        offset: int,
        made: list[tuple[bytes | None, bytes]],
        unknown: dict[tuple[str, str], int],
    ) -> None:
        """Encode a raw record's events into `made`: key and value; None as the key: for every partition.

        Events that name another tenant than `tenant` are left out, unless that is "": whoever can sign for one tenant
        must not write the events of another.

        Raises:
            TooManyEventsError: if there are more than a record may have.
            SourceError: if a part of the record can't be read, or names another tenant; the other events are in `made`.
        """
        total = foreign = 0
        for event in events:
            if tenant:
                if event.tenant and event.tenant != tenant:
                    foreign += 1
                    continue
                event.tenant = tenant
            event.raw_partition = partition
            event.raw_offset = offset
            value = _encode(event)
            size = len(value)
            total += size
            if total > self._max_bytes or len(made) >= self._max_events:
                raise TooManyEventsError(
                    f"the record has more than {self._max_events} events, or more than {self._max_bytes} bytes of them "
                    "(AFTERSEND_MAX_EVENTS_PER_RECORD, AFTERSEND_MAX_EVENT_BYTES_PER_RECORD)"
                )
            if size > SMALL_EVENT_BYTES:
                enforce_bounds(event)
                value = _encode(event)
            recipient = event.recipient.encode()
            made.append((None if not recipient and event.type == _DECLARED else recipient, value))
            if event.type == _UNKNOWN:
                called = event.source, event.detail
                unknown[called] = unknown.get(called, 0) + 1
        if foreign:
            raise SourceError(
                f"{foreign} event(s) name another tenant than the path that they came by, {tenant[:100]!r}"
            )

    def _reject(
        self, state: NormaliseState, record: FetchedRecord, error: Exception, output: Output, result: ParsedBatch
    ) -> None:
        """Write a record to the dead letters and count it."""
        name = type(error).__name__
        result.errors[name] = result.errors.get(name, 0) + 1
        letters = output.channel(self._topics.dead_letters, state.partition % self._partitions)
        dead_letters.write(letters, record, state.topic, state.partition, error)

    def set_aside(self, state: NormaliseState, batch: Batch, error: Exception, output: Output) -> ParsedBatch:
        """Write a record to the dead letters that fails with an unexpected error."""
        result = ParsedBatch(1, 0, {}, {})
        self._reject(state, batch.records[0], error, output, result)
        self.breakers.count(state.topic, {"": Tally(1, 1)})
        return result

    def _process_ticks(self, state: NormaliseState, batch: Batch, output: Output) -> ParsedBatch:
        """Write a batch's ticks to every partition, the last one always; of many, the others are thinned out.

        Not the last one alone: if that is a wrong one, the right ones before it must not be lost with it.
        """
        records = batch.records
        chosen = records[:: -(-len(records) // _MAX_TICKS)]
        if chosen[-1] is not records[-1]:
            chosen.append(records[-1])
        for record in chosen:
            at = record.offset
            tick = Feedback(f"tick-{at}", "", "", "tick", source="clock", raw_partition=state.partition, raw_offset=at)
            value = _encode(tick)
            for partition in range(self._partitions):
                output.channel(self._topics.events, partition).append(b"", value, record.timestamp)
        return ParsedBatch(len(records), len(chosen) * self._partitions, {}, {})

    def committed(
        self,
        state: NormaliseState,
        pending: ParsedBatch,
        ends: dict[Partition, int],  # noqa: ARG002 - there is no state that offsets belong to
        next_offset: int,  # noqa: ARG002
    ) -> None:
        """Count the batch, whose events are on their topic now."""
        self._on_parse(state.topic, pending)

    def release(self, state: NormaliseState) -> None:
        """Do nothing: there is no state."""
