"""What a worker counts and where it stands: told once a batch, asked once a scrape."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from prometheus_client.core import CounterMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from aftersend.engine.partitions.observer import CommittedBatch
from aftersend.publish.prometheus import catalog
from aftersend.publish.prometheus.catalog import OTHER
from aftersend.publish.prometheus.deliveries import DeliveryMetrics, Store
from aftersend.publish.prometheus.heartbeat import COMMIT, Heartbeat
from aftersend.publish.prometheus.series import BoundedLabels, CounterSeries, HistogramSeries, Labels, gauge
from aftersend.rules.recipient.decisions import DECISION_NAMES
from aftersend.rules.recipient.kinds import KIND_NAME
from aftersend.schemas.kpi import KpiPartial
from aftersend.schemas.packing import unpack_event_counter

#: Names of providers' types that have series of their own; error classes, likewise.
_NAMES: Final = 50
_RAW_ERRORS: Final = ("SourceError",)
_EVENT_ERRORS: Final = ("DecodeError", "ValidationError")
_COMMITTED, _FAILED, _FENCED = "committed", "failed", "fenced"
_PHASES: Final = ("running", "restoring", "fenced", "closed")


class Changes(Protocol):
    """What a batch of events changed (`aftersend.tables.stores.base.Changes`)."""

    partials: dict[str, KpiPartial]
    tick: float


class Fold(Protocol):
    """What came of a batch of events (`aftersend.tables.batch.fold.BatchResult`)."""

    @property
    def changes(self) -> Changes:
        """What it changed."""

    events: dict[int, int]
    buckets: dict[int, int]
    errors: dict[str, int]


class TableStore(Store, Protocol):
    """A partition's tables (`aftersend.tables.stores.base.PartitionStore`)."""

    tick: float

    def count(self) -> int:
        """Return the number of rows."""


class ParsedBatch(Protocol):
    """What came of a batch of raw records (`aftersend.agents.normalise.ParsedBatch`)."""

    events: int
    errors: dict[str, int]
    unknown: dict[tuple[str, str], int]


class PartitionHealth(Protocol):
    """Where a partition stands (`aftersend.processes.health.PartitionHealth`)."""

    topic: str
    partition: int
    phase: str
    since_commit: float
    lag_seconds: float

    @property
    def lag(self) -> int:
        """How many records wait."""


class Standing(Protocol):
    """Where a worker stands (`aftersend.processes.health.WorkerHealth`)."""

    assigned: bool
    #: Records that restores of this process have read.
    restored: int

    @property
    def partitions(self) -> Sequence[PartitionHealth]:
        """Its partitions."""


class WorkerMetrics(Collector):
    """A worker's metrics: a `BatchObserver` of the engine and a `StoreObserver` of `aftersend.agents.track`.

    Args:
        topics: every source topic, the events topic included.
        events_topic: the one of them that track reads.
        sources: names of the sources by their numbers.
        heartbeat: told how far ticks have come.
        deliveries: told of the batches and stores.
        look: returns where the worker stands.
        leads: says whether its clock ticks.
        now: the wall clock, seconds since 1970.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - all that a worker's metrics come from
        self,
        topics: Iterable[str],
        events_topic: str,
        sources: Mapping[int, str],
        heartbeat: Heartbeat,
        deliveries: DeliveryMetrics,
        look: Callable[[], Standing],
        leads: Callable[[], bool],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._events_topic = events_topic
        self._sources = sources
        self._heartbeat = heartbeat
        self._deliveries = deliveries
        self._look = look
        self._leads = leads
        self._now = now
        self._stores: dict[int, TableStore] = {}
        #: Number of events by `aftersend.schemas.packing.pack_event_counter`.
        self._events: dict[int, int] = {}
        self._errors, self._unknown_names = BoundedLabels(_NAMES), BoundedLabels(_NAMES)
        all_topics = [(topic,) for topic in topics]
        outcomes = [(*topic, outcome) for topic in all_topics for outcome in (_COMMITTED, _FAILED, _FENCED)]
        self._records = CounterSeries(catalog.RECORDS, all_topics)
        self._parsed = CounterSeries(catalog.PARSED)
        # The classes that the parsers and the decoder of events raise; the first letter of all counts in `increase()`.
        usual = [(t, error) for (t,) in all_topics for error in (_EVENT_ERRORS if t == events_topic else _RAW_ERRORS)]
        for labels in usual:
            self._errors.bounded(*labels)
        self._dead = CounterSeries(catalog.DEAD_LETTERS, usual)
        self._unknown = CounterSeries(catalog.UNKNOWN_NAMES)
        self._age = HistogramSeries(catalog.EVENT_AGE, ((),))
        self._batch = HistogramSeries(catalog.BATCH_RECORDS, all_topics)
        self._fold = HistogramSeries(catalog.BATCH_FOLD, all_topics)
        self._commit = HistogramSeries(catalog.BATCH_COMMIT, all_topics)
        self._transactions = CounterSeries(catalog.TRANSACTIONS, outcomes)
        restores = [(*topic, outcome) for topic in all_topics for outcome in ("ok", "failed")]
        self._restores = CounterSeries(catalog.RESTORES, restores)
        self._restore = HistogramSeries(catalog.RESTORE_DURATION, all_topics)
        self._resets = CounterSeries(catalog.RESETS, all_topics)

    # BatchObserver, see `aftersend.engine.partitions.observer`.

    def committed(self, work: CommittedBatch) -> None:
        """Count a batch, and its transaction."""
        topic = (work.topic,)
        self._records.add(topic, work.records)
        self._batch.observe(topic, work.records)
        self._fold.observe(topic, work.fold_seconds)
        self._commit.observe(topic, work.commit_seconds)
        self._transactions.add((work.topic, _COMMITTED))
        if work.topic == self._events_topic:
            now = self._now()
            ages = [max(0.0, now - timestamp / 1000) for timestamp in work.timestamps]
            self._age.observe_all((), ages, work.stride, work.records)

    def transaction_failed(self, topic: str, *, fenced: bool) -> None:
        """Count a transaction that failed."""
        self._transactions.add((topic, _FENCED if fenced else _FAILED))

    def taken_over(self, topic: str, seconds: float) -> None:
        """Count a partition that was taken over, and how long that took."""
        self._restores.add((topic, "ok"))
        self._restore.observe((topic,), seconds)

    def take_over_failed(self, topic: str) -> None:
        """Count an attempt at it that failed."""
        self._restores.add((topic, "failed"))

    def reset(self, topic: str) -> None:
        """Count a partition whose memory was dropped."""
        self._resets.add((topic,))

    # Told by the agents.

    def parsed(self, topic: str, counted: ParsedBatch) -> None:
        """Count what came of a batch of raw records."""
        self._parsed.add((topic,), counted.events)
        self._count_errors(topic, counted.errors)
        for (source, name), number in counted.unknown.items():
            self._unknown.add(self._unknown_names.bounded(source, name), number)

    def opened(self, partition: int, store: TableStore) -> None:
        """Watch a partition from now on."""
        self._stores[partition] = store
        self._deliveries.opened(partition, store)
        self._heartbeat.began(COMMIT, partition, store.tick)

    def folded(self, partition: int, fold: Fold) -> None:
        """Count what came of a batch of events."""
        events = self._events
        for key, number in fold.events.items():
            events[key] = events.get(key, 0) + number
        self._count_errors(self._events_topic, fold.errors)
        self._deliveries.folded(partition, fold.changes.partials, fold.buckets, fold.events)
        self._heartbeat.came(COMMIT, partition, fold.changes.tick)

    def closed(self, partition: int) -> None:
        """Watch a partition no longer."""
        self._stores.pop(partition, None)
        self._deliveries.closed(partition)
        self._heartbeat.ended(COMMIT, partition)

    def _count_errors(self, topic: str, errors: Mapping[str, int]) -> None:
        for error, number in errors.items():
            self._dead.add(self._errors.bounded(topic, error), number)

    # Asked by Prometheus.

    def collect(self) -> Iterator[Family]:
        """Yield all but what heartbeat, deliveries and publisher yield."""
        yield self._event_family()
        for series in (self._records, self._parsed, self._dead, self._unknown, self._age, self._batch, self._fold):
            yield series.family()
        for series in (self._commit, self._transactions, self._restores, self._restore, self._resets):
            yield series.family()
        yield from self._standing()

    def _event_family(self) -> CounterMetricFamily:
        counts = CounterSeries(catalog.EVENTS)
        for key, number in self._events.items():
            source, kind, decision = unpack_event_counter(key)
            counts.add((self._sources.get(source, OTHER), KIND_NAME[kind], DECISION_NAMES[decision]), number)
        return counts.family()

    def _standing(self) -> Iterator[Family]:
        standing = self._look()
        now = self._now()
        phases: dict[Labels, float] = {}
        records: dict[Labels, float] = {}
        seconds: dict[Labels, float] = {}
        commits: dict[Labels, float] = {}
        for view in standing.partitions:
            for phase in _PHASES:
                phases.setdefault((view.topic, phase), 0.0)
            phases[view.topic, view.phase] += 1
            place = view.topic, str(view.partition)
            records[place] = view.lag
            seconds[place] = view.lag_seconds
            commits[place] = round(now - view.since_commit, 3)
        yield gauge(catalog.READY, {(): float(standing.assigned)})
        yield gauge(catalog.LEADER, {(): float(self._leads())})
        yield gauge(catalog.PARTITIONS, phases)
        yield gauge(catalog.LAG_RECORDS, records)
        yield gauge(catalog.LAG_SECONDS, seconds)
        yield gauge(catalog.LAST_COMMIT, commits)
        yield gauge(catalog.ROWS, {(str(p),): float(store.count()) for p, store in self._stores.items()})
        restored = catalog.RESTORED_RECORDS
        yield CounterMetricFamily(restored.name, restored.help, value=standing.restored)
