"""Metrics of batches, transactions and restores, observed by the engine once a batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from aftersend.engine.partitions.observer import BatchObserver, CommittedBatch
from aftersend.engine.partitions.start import OffsetSlip, Slip
from aftersend.publish.prometheus import catalog
from aftersend.publish.prometheus.series import CounterSeries, HistogramSeries

_COMMITTED, _FAILED, _FENCED = "committed", "failed", "fenced"
_OK: Final = "ok"


class BatchMetrics(Collector, BatchObserver):
    """Metrics of batches.

    Args:
        topics: every source topic, the events topic included.
        events_topic: the topic whose records' age is measured.
        now: the wall clock, seconds since 1970.
    """

    def __init__(self, topics: Iterable[str], events_topic: str, now: Callable[[], float] = time.time) -> None:
        self._events_topic = events_topic
        self._now = now
        labels = [(topic,) for topic in topics]
        transactions = [(*topic, outcome) for topic in labels for outcome in (_COMMITTED, _FAILED, _FENCED)]
        restores = [(*topic, outcome) for topic in labels for outcome in (_OK, _FAILED)]
        self._records = CounterSeries(catalog.RECORDS, labels)
        self._age = HistogramSeries(catalog.EVENT_AGE, ((),))
        self._batch = HistogramSeries(catalog.BATCH_RECORDS, labels)
        self._fold = HistogramSeries(catalog.BATCH_FOLD, labels)
        self._commit = HistogramSeries(catalog.BATCH_COMMIT, labels)
        self._transactions = CounterSeries(catalog.TRANSACTIONS, transactions)
        self._restores = CounterSeries(catalog.RESTORES, restores)
        self._restore = HistogramSeries(catalog.RESTORE_DURATION, labels)
        self._resets = CounterSeries(catalog.RESETS, labels)
        self._skipped = CounterSeries(
            catalog.OFFSETS_SKIPPED, [(*topic, kind.value) for topic in labels for kind in OffsetSlip]
        )

    def committed(self, work: CommittedBatch) -> None:
        """Count a committed batch and its transaction."""
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
        """Count a failed transaction."""
        self._transactions.add((topic, _FENCED if fenced else _FAILED))

    def taken_over(self, topic: str, seconds: float) -> None:
        """Count a partition that was taken over, and the seconds that it took."""
        self._restores.add((topic, _OK))
        self._restore.observe((topic,), seconds)

    def take_over_failed(self, topic: str) -> None:
        """Count a failed attempt to take a partition over."""
        self._restores.add((topic, _FAILED))

    def reset(self, topic: str) -> None:
        """Count a partition whose state in memory was dropped."""
        self._resets.add((topic,))

    def slipped(self, topic: str, slip: Slip) -> None:
        """Count the offsets of a partition that does not go on where its consumer group stands."""
        self._skipped.add((topic, slip.kind.value), slip.offsets)

    def collect(self) -> Iterator[Family]:
        """Yield the series as they are now."""
        for series in (self._records, self._age, self._batch, self._fold, self._commit):
            yield series.family()
        for series in (self._transactions, self._restores, self._restore, self._resets, self._skipped):
            yield series.family()
