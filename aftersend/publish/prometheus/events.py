"""Metrics of parsed and folded events and of unreadable records, observed by the agents once a batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from aftersend.publish.prometheus import catalog
from aftersend.publish.prometheus.catalog import OTHER
from aftersend.publish.prometheus.deliveries import DeliveryMetrics
from aftersend.publish.prometheus.heartbeat import COMMIT, Heartbeat
from aftersend.publish.prometheus.series import BoundedLabels, CounterSeries, gauge
from aftersend.rules.recipient.decisions import DECISION_NAMES
from aftersend.rules.recipient.kinds import KIND_NAME
from aftersend.schemas.packing import unpack_event_counter
from aftersend.sources.batch import ParsedBatch
from aftersend.tables.batch.result import BatchResult
from aftersend.tables.stores.base import PartitionStore

#: Providers' names for event types with series of their own; and classes of errors, likewise.
_MAX_NAMES: Final = 50
#: Classes of errors that parsers raise, and that decoding an event raises. Their series exist from the start, so that
#: `increase()` counts the first dead letter.
_RAW_ERRORS: Final = ("SourceError",)
_EVENT_ERRORS: Final = ("DecodeError", "ValidationError")


class EventMetrics(Collector):
    """Metrics of events; a `StoreObserver` of `aftersend.agents.track`.

    Args:
        topics: every source topic, the events topic included.
        events_topic: the topic of canonical events.
        sources: names of the sources by their numbers.
        heartbeat: gets the ticks that were folded.
        deliveries: gets the stores and the batches.
    """

    def __init__(
        self,
        topics: Iterable[str],
        events_topic: str,
        sources: Mapping[int, str],
        heartbeat: Heartbeat,
        deliveries: DeliveryMetrics,
    ) -> None:
        self._events_topic = events_topic
        self._sources = sources
        self._heartbeat = heartbeat
        self._deliveries = deliveries
        self._stores: dict[int, PartitionStore] = {}
        #: Events by `aftersend.schemas.packing.pack_event_counter`.
        self._events: dict[int, int] = {}
        self._errors, self._unknown_names = BoundedLabels(_MAX_NAMES), BoundedLabels(_MAX_NAMES)
        usual = [(t, error) for t in topics for error in (_EVENT_ERRORS if t == events_topic else _RAW_ERRORS)]
        for labels in usual:
            self._errors.bounded(*labels)
        self._parsed = CounterSeries(catalog.PARSED)
        self._dead_letters = CounterSeries(catalog.DEAD_LETTERS, usual)
        self._unknown = CounterSeries(catalog.UNKNOWN_NAMES)
        self._refused_ticks = CounterSeries(catalog.REFUSED_TICKS, [()])

    def parsed(self, topic: str, batch: ParsedBatch) -> None:
        """Count a committed batch of raw records."""
        self._parsed.add((topic,), batch.events)
        self._count_errors(topic, batch.errors)
        for (source, name), number in batch.unknown.items():
            self._unknown.add(self._unknown_names.bounded(source, name), number)

    def opened(self, partition: int, store: PartitionStore) -> None:
        """Add a partition."""
        self._stores[partition] = store
        self._deliveries.opened(partition, store)
        self._heartbeat.start(COMMIT, partition, store.tick)

    def folded(self, partition: int, fold: BatchResult) -> None:
        """Count a committed batch of events."""
        events = self._events
        for key, number in fold.events.items():
            events[key] = events.get(key, 0) + number
        self._count_errors(self._events_topic, fold.errors)
        self._refused_ticks.add((), fold.refused_ticks)
        self._deliveries.folded(partition, fold.changes.partials, fold.buckets, fold.events)
        self._heartbeat.observe(COMMIT, partition, fold.changes.tick)

    def closed(self, partition: int) -> None:
        """Remove a partition."""
        self._stores.pop(partition, None)
        self._deliveries.closed(partition)
        self._heartbeat.remove(COMMIT, partition)

    def _count_errors(self, topic: str, errors: Mapping[str, int]) -> None:
        for error, number in errors.items():
            self._dead_letters.add(self._errors.bounded(topic, error), number)

    def collect(self) -> Iterator[Family]:
        """Yield the series as they are now, except those of the heartbeat and of deliveries."""
        yield self._event_family()
        for series in (self._parsed, self._dead_letters, self._unknown, self._refused_ticks):
            yield series.family()
        yield gauge(catalog.ROWS, {(str(p),): float(store.count()) for p, store in self._stores.items()})

    def _event_family(self) -> CounterMetricFamily:
        counts = CounterSeries(catalog.EVENTS)
        for key, number in self._events.items():
            source, kind, decision = unpack_event_counter(key)
            counts.add((self._sources.get(source, OTHER), KIND_NAME[kind], DECISION_NAMES[decision]), number)
        return counts.family()
