"""The agent that folds canonical events into the state of every recipient and the KPIs of every delivery."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import msgspec
import structlog

from aftersend.config.settings import Settings
from aftersend.engine.breaker import Tally, TopicBreakers
from aftersend.engine.partitions.batch import Batch
from aftersend.engine.partitions.processor import Processor
from aftersend.engine.transaction import Output
from aftersend.engine.types import OwnerEpoch, Partition
from aftersend.rules.kpi.indicators import KpiTotals
from aftersend.schemas.kpi import KpiPartial
from aftersend.schemas.times import iso
from aftersend.tables.batch.fold import BatchFold
from aftersend.tables.batch.result import BatchResult, FoldOptions
from aftersend.tables.codec.public import Codec
from aftersend.tables.restore import restore
from aftersend.tables.stores.base import PartitionStore

log = structlog.get_logger(__name__)


class KpiSink(Protocol):
    """Publishes KPIs. Called synchronously on the hot path: must be quick and must not raise."""

    def taken_over(
        self, partition: int, epoch: OwnerEpoch, partials: Callable[[], Iterator[tuple[str, KpiPartial]]]
    ) -> None:
        """Publish a partition from now on; `partials` returns all its KPIs at any time."""

    def changed(
        self, partition: int, offset: int, partials: Mapping[str, KpiPartial], totals: Mapping[str, KpiTotals]
    ) -> None:
        """Publish what a committed batch has changed, with its totals; `offset` is the source offset after it."""

    def ticked(self, partition: int, tick: float) -> None:
        """Publish the heartbeat: the tick in a committed batch, seconds since 1970."""

    def released(self, partition: int) -> None:
        """Stop publishing a partition."""


#: Called with the partition and the result of each committed batch.
OnFold = Callable[[int, BatchResult], None]


class StoreObserver(Protocol):
    """Observes the tables, for metrics. Called synchronously on the hot path: must be quick and must not raise."""

    def opened(self, partition: int, store: PartitionStore) -> None:
        """Observe a partition from now on; the store holds committed state only."""

    def folded(self, partition: int, fold: BatchResult) -> None:
        """Count a committed batch, which the store already holds."""

    def closed(self, partition: int) -> None:
        """Stop observing a partition."""


class _NullStoreObserver(StoreObserver):
    def opened(self, partition: int, store: PartitionStore) -> None:
        pass

    def folded(self, partition: int, fold: BatchResult) -> None:
        pass

    def closed(self, partition: int) -> None:
        pass


class TrackState(msgspec.Struct):
    """State of a partition of the events topic that this worker owns."""

    partition: int
    epoch: OwnerEpoch
    store: PartitionStore
    fold: BatchFold
    first_expiries: dict[str, float]
    restored: int
    #: The last batch with ticks had some that were too far ahead: said once.
    leaping: bool = False


class Track(Processor[TrackState, BatchResult]):
    """Folds events; see `aftersend.tables.batch.fold`.

    Args:
        settings: of the worker.
        codec: encodes rows, contacts and KPIs.
        options: of the fold.
        open_store: opens the store of a partition.
        sink: publishes the KPIs.
        on_fold: called with every committed batch.
        store_observer: counts batches and observes stores.
    """

    name = "track"

    def __init__(
        self,
        settings: Settings,
        codec: Codec,
        options: FoldOptions,
        open_store: Callable[[int], PartitionStore],
        sink: KpiSink,
        on_fold: OnFold = lambda _partition, _fold: None,
        store_observer: StoreObserver | None = None,
    ) -> None:
        self._settings = settings
        self._codec = codec
        self._options = options
        self._open_store = open_store
        self._sink = sink
        self._on_fold = on_fold
        self._store_observer = store_observer or _NullStoreObserver()
        self.breakers = TopicBreakers.of(settings)
        self._topic = codec.topics.events

    async def restore(self, topic: str, partition: int, epoch: OwnerEpoch) -> TrackState:  # noqa: ARG002
        """Bring the partition's store up to date with the changelogs (Step 2)."""
        store = self._open_store(partition)
        try:
            restored = await restore(self._settings.kafka_options(), store, self._codec, partition)
        except BaseException:
            store.close()
            raise
        first_expiries: dict[str, float] = {}
        fold = BatchFold(store, partition, self._codec, self._options, first_expiries)
        state = TrackState(partition, epoch, store, fold, first_expiries, restored)
        self._sink.taken_over(partition, epoch, store.partials)
        self._store_observer.opened(partition, store)
        return state

    def process(self, state: TrackState, batch: Batch, output: Output) -> BatchResult:
        """Fold a batch."""
        self.breakers.check(self._topic)
        # Step 9. Fold the events into copies of rows, contacts and KPIs; the store does not change.
        result = state.fold.fold(batch, output, self._topic)
        self.breakers.count(self._topic, {"": Tally(result.records, result.dead)})
        return result

    def set_aside(self, state: TrackState, batch: Batch, error: Exception, output: Output) -> BatchResult:
        """Write an event that can't be folded, or whose row Kafka does not accept, to the dead letters."""
        result = state.fold.set_aside(batch, error, output, self._topic)
        self.breakers.count(self._topic, {"": Tally(result.records, result.dead)})
        return result

    def discard(self, state: TrackState) -> None:
        """Drop the caches: the expiries that the failed batch has added were not committed."""
        state.first_expiries.clear()
        state.fold = BatchFold(state.store, state.partition, self._codec, self._options, state.first_expiries)

    def committed(self, state: TrackState, pending: BatchResult, ends: dict[Partition, int], next_offset: int) -> None:
        """Apply the batch's changes to the store and publish them."""
        # Step 13. Apply the committed changes to the store, with the offsets of the changelogs that hold them.
        ticked = pending.changes.tick > state.store.tick
        state.store.apply(pending.changes, {topic: offset for (topic, _), offset in ends.items()})
        expiries = state.first_expiries
        for delivery_id, expiry in pending.first_expiries.items():
            expiries[delivery_id] = min(expiry, expiries.get(delivery_id, expiry))
        # Step 14. Queue the KPIs for Redis.
        if pending.changes.partials:
            self._sink.changed(state.partition, next_offset, pending.changes.partials, pending.totals)
        if ticked:
            self._sink.ticked(state.partition, pending.changes.tick)
        if pending.refused_ticks and not state.leaping:
            log.warning(
                "ticks are too far ahead: time goes on by clock_max_step for each at most, and not for a single one. "
                "After an outage that is as it should be; else check the clock of the worker that writes them",
                partition=state.partition,
                ticks=pending.refused_ticks,
                time=iso(state.store.tick),
            )
        if pending.refused_ticks or ticked:
            state.leaping = pending.refused_ticks > 0
        self._store_observer.folded(state.partition, pending)
        self._on_fold(state.partition, pending)

    def release(self, state: TrackState) -> None:
        """Close the partition's store."""
        self._sink.released(state.partition)
        self._store_observer.closed(state.partition)
        state.store.close()

    def describe(self, state: TrackState) -> dict[str, Any]:
        """Return how much was restored."""
        return {"rows": state.store.count(), "restored": state.restored}
