"""The engine's folding of one partition without Kafka, and the reference beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from aftersend.agents.track import Track, TrackState
from aftersend.config.settings import Settings
from aftersend.engine.partitions.batch import Batch
from aftersend.processes.worker import fold_options
from aftersend.sandbox.reference.compare import Differences, compare_contacts, compare_kpis, compare_rows
from aftersend.sandbox.reference.fold import Reference
from aftersend.sandbox.reference.options import options_of
from aftersend.schemas.event import Feedback
from aftersend.sources.registry import NUMBERS
from aftersend.tables import restore
from aftersend.tables.batch.fold import BatchFold
from aftersend.tables.codec.public import Codec
from aftersend.tables.stores.base import Changes
from aftersend.tables.stores.memory import MemoryStore

#: A Sunday in September 2025, noon.
START: Final = 1757851200.0
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR

_decode: Final = msgspec.json.Decoder(Feedback).decode


class Record:
    """A fetched record."""

    __slots__ = ("headers", "key", "offset", "timestamp", "value")

    def __init__(
        self,
        offset: int,
        timestamp: int,
        key: bytes,
        value: bytes | None,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> None:
        self.offset = offset
        self.timestamp = timestamp
        self.key = key
        self.value = value
        self.headers = headers or []


class _Output:
    """Takes what a batch writes, by topic."""

    def __init__(self) -> None:
        self.topics: dict[str, list[Record]] = {}

    def channel(self, topic: str, _partition: int) -> Any:
        records = self.topics.setdefault(topic, [])

        def append(key: bytes, value: bytes | None, timestamp: int, headers: Any = None) -> None:
            assert timestamp >= 0
            records.append(Record(len(records), timestamp, key, value, headers))

        return SimpleNamespace(append=append)


class _NoSink:
    def taken_over(self, *_: Any) -> None:
        """Show nothing."""

    def changed(self, *_: Any) -> None:
        """Show nothing."""

    def ticked(self, *_: Any) -> None:
        """Show nothing."""

    def released(self, *_: Any) -> None:
        """Show nothing."""


class Partition:
    """One partition of the events topic, and what the engine makes of it."""

    def __init__(self, number: int = 0, **settings: Any) -> None:
        # Tests let days pass from one tick to the next.
        self.settings = Settings(**{"clock_max_step": 1e10} | settings)
        self.number = number
        self.codec = Codec(self.settings.topics, NUMBERS)
        self.track = Track(self.settings, self.codec, fold_options(self.settings), lambda _: MemoryStore(), _NoSink())
        self.log: list[Record] = []
        #: The last record of each key, by topic, as a compacted topic has them in the end.
        self.shown: dict[str, dict[bytes, Record]] = {}
        self.state = self._restored()

    def _restored(self) -> TrackState:
        """Return the state as a worker has it that takes the partition over."""
        topics = self.settings.topics
        store, changes = MemoryStore(), Changes()
        kept = {topic: list(records.values()) for topic, records in self.shown.items()}
        restore._rows(kept.get(topics.status, []), changes)  # type: ignore[arg-type]
        restore._contacts(kept.get(topics.contacts, []), changes)  # type: ignore[arg-type]
        restore._kpis(kept.get(topics.kpis, []), changes)  # type: ignore[arg-type]
        store.apply(changes, {})
        first_expiries: dict[str, float] = {}
        fold = BatchFold(store, self.number, self.codec, fold_options(self.settings), first_expiries)
        return TrackState(self.number, (0, 0), store, fold, first_expiries, 0)

    def restart(self) -> None:
        """Forget all that is not on the changelogs."""
        self.state = self._restored()

    def write(self, events: Iterable[Feedback], at: float = START) -> list[Record]:
        """Put events on the topic, received at their `received_at` or all at once; return their records."""
        records = []
        for event in events:
            timestamp = round((event.received_at or at) * 1000)
            value = msgspec.json.encode(replace(event, received_at=0.0))
            records.append(Record(len(self.log), timestamp, event.recipient.encode(), value))
            self.log.append(records[-1])
        return records

    def take(self, records: list[Record]) -> None:
        """Fold a batch and commit it."""
        output: Any = _Output()
        batch = Batch(records[0].offset, records)  # type: ignore[arg-type]
        pending = self.track.process(self.state, batch, output)
        for topic, written in output.topics.items():
            shown = self.shown.setdefault(topic, {})
            for record in written:
                shown[record.key] = record
        self.track.committed(self.state, pending, {}, batch.next_offset)

    def fold(self, events: Iterable[Feedback], splits: Iterable[int] = ()) -> None:
        """Write events and fold them, in batches that end before the given numbers."""
        records = self.write(events)
        bounds = sorted({0, len(records), *(split for split in splits if 0 < split < len(records))})
        for start, end in pairwise(bounds):
            self.take(records[start:end])

    def values(self, topic: str) -> dict[str, bytes]:
        """Return the values on a compacted topic, by key."""
        shown = self.shown.get(topic, {})
        return {key.decode(): record.value for key, record in shown.items() if record.value is not None}

    def row(self, delivery_id: str, recipient: str) -> dict[str, Any]:
        """Return a row as the status topic shows it."""
        value = self.values(self.settings.topics.status)[f"{delivery_id}\t{recipient}"]
        return msgspec.json.decode(value, type=dict[str, Any])

    def contact(self, recipient: str) -> dict[str, Any]:
        """Return a contact as the contacts topic shows it; empty if there is none."""
        value = self.values(self.settings.topics.contacts).get(recipient, b"{}")
        return msgspec.json.decode(value, type=dict[str, Any])

    def kpis(self, delivery_id: str) -> dict[str, Any]:
        """Return the KPI record of a delivery."""
        value = self.values(self.settings.topics.kpis)[f"{delivery_id}\t{self.number}"]
        return msgspec.json.decode(value, type=dict[str, Any])

    def reference(self) -> Reference:
        """Return the reference after the same records."""
        reference = Reference(options_of(self.settings), self.number)
        for record in self.log:
            reference.fold(record.offset, record.timestamp, _decode(record.value or b""))
        return reference

    def differences(self, *, contacts: bool = True) -> list[str]:
        """Compare what the engine shows with the reference."""
        topics = self.settings.topics
        reference, found = self.reference(), Differences()
        overdue = compare_rows(reference, self.values(topics.status), found)
        if contacts:
            compare_contacts(reference, self.values(topics.contacts), found)
        kpis = {k.rpartition("\t")[0]: v for k, v in self.values(topics.kpis).items() if "\t" in k}
        compare_kpis(reference, overdue, kpis, found)
        return found.lines()


def events(*kinds: str, delivery_id: str = "d", recipient: str = "r@example.org") -> Iterator[Feedback]:
    """Yield events of these types, a second apart, of KumoMTA."""
    for number, kind in enumerate(kinds):
        yield Feedback(
            f"{delivery_id}-{kind}-{number}",
            delivery_id,
            recipient,
            kind,
            source="kumomta",
            received_at=START + number,
        )


def tick(at: float) -> Feedback:
    """Return a tick."""
    return Feedback(f"tick-{at}", "", "", "tick", source="clock", received_at=at)
