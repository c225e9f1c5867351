"""A partition without Kafka, and any rows, for tests of the tables."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, Final

import msgspec
from hypothesis import strategies as st

from aftersend.engine.partitions.batch import Batch
from aftersend.rules.kpi.indicators import kpis
from aftersend.rules.recipient.decisions import Decision
from aftersend.rules.recipient.facts import FACT_NAMES
from aftersend.rules.recipient.history import MAX_ENTRIES, pack_entry
from aftersend.rules.recipient.kinds import KINDS
from aftersend.rules.recipient.statuses import STATUSES
from aftersend.rules.recipient.timing import Timing, timing
from aftersend.schemas.contact import Contact, ContactError, Notice, Release, Unsubscription
from aftersend.schemas.event import FoldEvent
from aftersend.schemas.kpi import DeliveryKpis
from aftersend.schemas.packing import pack_raw_position
from aftersend.schemas.recipient import Failure, Row
from aftersend.schemas.times import NEVER
from aftersend.schemas.topics import Topics
from aftersend.tables.batch.fold import BatchFold
from aftersend.tables.batch.result import BatchResult, FoldOptions
from aftersend.tables.codec.keys import HEADER
from aftersend.tables.codec.public import Codec
from aftersend.tables.codec.stored import decode_row, unpack_contact
from aftersend.tables.stores.base import PartitionStore
from aftersend.tables.stores.memory import MemoryStore
from tests.unit.rules.factories import NUMBERS, event

TOPICS: Final = Topics()
CODEC: Final = Codec(TOPICS, NUMBERS)


class Record:
    """What folding and restoring need of a fetched record."""

    def __init__(
        self, offset: int, timestamp: int, key: bytes | None, value: bytes | None, headers: Iterable[Any] = ()
    ) -> None:
        self.offset = offset
        self.timestamp = timestamp
        self.key = key
        self.value = value
        self.headers: list[Any] = list(headers)


class Written:
    """Takes what is written, by topic."""

    def __init__(self) -> None:
        self.topics: dict[str, list[Record]] = {}

    def channel(self, topic: str, _partition: int) -> Any:
        records = self.topics.setdefault(topic, [])

        def append(key: bytes | None, value: bytes | None, timestamp: int, headers: Iterable[Any] = ()) -> None:
            records.append(Record(len(records), timestamp, key, value, headers))

        return SimpleNamespace(append=append)


class Partition:
    """One partition of the events topic in a worker's hands."""

    def __init__(
        self,
        store: PartitionStore | None = None,
        number: int = 0,
        times: Timing | None = None,
        sweep_rows: int = 50_000,
    ) -> None:
        self.store = store if store is not None else MemoryStore()
        self.first_expiries: dict[str, float] = {}
        options = FoldOptions(times or timing(numbers=NUMBERS), NUMBERS, sweep_rows)
        self._fold = BatchFold(self.store, number, CODEC, options, self.first_expiries)
        self._offset = 0
        #: All that was written, by topic.
        self.written: dict[str, list[Record]] = {}

    def take(self, *events: FoldEvent) -> BatchResult:
        """Fold a batch and commit it."""
        return self.take_values((msgspec.json.encode(e), e.received_at) for e in events)

    def take_values(self, values: Iterable[tuple[bytes | None, float]]) -> BatchResult:
        """Fold a batch of records with these values and timestamps, and commit it."""
        records = [Record(self._offset + i, round(at * 1000), None, value) for i, (value, at) in enumerate(values)]
        output: Any = Written()
        batch: Any = Batch(self._offset, records)  # type: ignore[arg-type]
        fold = self._fold.fold(batch, output, TOPICS.events)
        self._offset += len(records)
        self.store.apply(fold.changes, {})
        for delivery_id, expiry in fold.first_expiries.items():
            self.first_expiries[delivery_id] = min(expiry, self.first_expiries.get(delivery_id, expiry))
        for topic, written in output.topics.items():
            self.written.setdefault(topic, []).extend(written)
        return fold

    def row(self, delivery_id: str = "d", recipient: str = "r@example.org") -> Row | None:
        stored = self.store.rows_of(delivery_id)(recipient)
        return decode_row(stored) if stored is not None else None

    def rows(self, delivery_id: str = "d") -> dict[str, Row]:
        return {recipient: decode_row(row) for recipient, row in self.store.scan(delivery_id, None, 1_000_000)}

    def kpis(self, delivery_id: str = "d") -> dict[str, int]:
        """Return the KPIs of a delivery that are not 0."""
        partial = self.store.partial(delivery_id)
        return {n: v for n, v in kpis(partial.buckets, partial.events).items() if v} if partial is not None else {}

    def statuses(self, delivery_id: str = "d") -> dict[str, int]:
        """Return how many recipients of a delivery the KPI topic shows in each status."""
        value = self.last("feedback.kpis", f"{delivery_id}\t0").value or b""
        return msgspec.json.decode(value, type=DeliveryKpis).statuses

    def contact(self, recipient: str = "r@example.org") -> dict[str, Any]:
        stored = self.store.contact(recipient)
        return msgspec.to_builtins(unpack_contact(stored)) if stored is not None else {}

    def last(self, topic: str, key: str | None = None) -> Record:
        """Return the record of a topic that was written last, with some key if one is given."""
        return next(r for r in reversed(self.written[topic]) if key is None or r.key == key.encode())


def tick(at: float) -> FoldEvent:
    return event("tick", at, delivery_id="", recipient="", source="clock")


def header(record: Record) -> bytes:
    found: bytes = dict(record.headers).get(HEADER, b"")
    return found


# Any rows.

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
times = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(0, 1 << 40)
_optional = st.none() | times
_entries = st.builds(
    lambda digest, ms, kind, decision, repeats, place: pack_entry(
        digest, ms << 16 | kind << 10 | decision << 6 | repeats, place
    ),
    st.binary(min_size=16, max_size=16),
    st.integers(0, (1 << 48) - 1),
    st.sampled_from([k.number for k in KINDS]),
    st.integers(0, Decision.UNATTRIBUTED),
    st.integers(0, 63),
    st.builds(pack_raw_position, st.integers(0, 63), st.integers(0, (1 << 14) - 1), st.integers(0, (1 << 44) - 1)),
)

rows: Final = st.builds(
    Row,
    status=st.sampled_from([s.number for s in STATUSES]),
    facts=st.integers(0, (1 << len(FACT_NAMES)) - 1),
    previous=st.sampled_from([s.number for s in STATUSES if not s.terminal]),
    version=counts,
    source=st.sampled_from([0, *NUMBERS.values()]),
    message_type=st.integers(0, 3),
    updated_at=times,
    pending_since=_optional,
    sent_at=_optional,
    delivered_at=_optional,
    opened_at=_optional,
    last_opened_at=_optional,
    clicked_at=_optional,
    last_clicked_at=_optional,
    unsubscribed_at=_optional,
    complained_at=_optional,
    opens=counts,
    machine_opens=counts,
    clicks=counts,
    machine_clicks=counts,
    failure=st.none() | st.builds(Failure, times, texts, st.integers(0, 999), texts, texts),
    address=st.none() | texts,
    cause=texts,
    history=st.lists(_entries, min_size=1, max_size=MAX_ENTRIES).map(b"".join),
)
_errors = st.builds(ContactError, times, texts, st.integers(0, 999), texts, texts, texts)
_notices = st.builds(Notice, texts, texts, times, texts, texts, st.booleans())

_time_or_never = st.just(NEVER) | times.filter(bool)

contacts: Final = st.builds(
    Contact,
    st.just(1),
    texts,
    st.booleans(),
    texts,
    _time_or_never,
    texts,
    st.booleans(),
    times.filter(bool),
    counts,
    texts,
    st.lists(_notices, max_size=5),
    counts,
    texts,
    counts,
    _time_or_never,
    st.none() | _errors,
    _optional,
    st.none() | st.builds(Release, times, texts, texts),
    counts,
    texts,
    st.none() | st.builds(Unsubscription, times, texts, st.lists(texts, max_size=3)),
)
