"""Faust's aiokafka transport, with all records fetched for a partition as one message.

Registered as the URL scheme `aftersend://` (entry point group `faust.transports`). Differences to Faust's own driver:

- A message's value is a `Batch`: all records that one fetch returned for a partition; its offset is the last one's.
- Offsets are committed by the transactions that hold the batches' results, never by Faust.
- A partition's owner accepts a batch only if it begins where the last one ended, so seeks, rebalances and stale buffers
  neither skip nor repeat a record.
- Only committed records are read, and each topic is spread evenly over the workers (`aftersend.engine.group.assignor`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

import uvloop
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from aftersend.engine.faust.consumer_thread import ConsumerThread
from aftersend.engine.partitions.manager import PartitionManager
from aftersend.engine.partitions.start import LogBounds

#: Share of the rebalance timeout in which transactions in flight may end. A member that has not joined again by the end
#: of the timeout is removed from the group; the rest of the time is for joining.
_REVOKE_SHARE: Final = 0.7


class NoReadOffsets(dict[TP, int | None]):
    """Faust's record of the last offset read, kept empty: Faust drops what it reads again after a seek backwards."""

    def __missing__(self, tp: TP) -> None:
        """Return None for any partition."""

    def __setitem__(self, tp: TP, offset: int | None) -> None:
        """Store nothing."""


class Consumer(driver.Consumer):
    """The consumer of a worker, in the main thread."""

    _thread: ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Of the `aftersend.engine.faust.app.WorkerApp`.
        self.partitions: PartitionManager = cast("Any", self.app).partitions
        self._read_offset = NoReadOffsets()

    def _new_consumer_thread(self) -> ConsumerThread:
        # All fetched bytes pass through the thread, so it has the faster event loop, too.
        return ConsumerThread(self, loop=self.loop, thread_loop=uvloop.new_event_loop(), beacon=self.beacon)

    @property
    def thread(self) -> ConsumerThread:
        """The thread that talks to Kafka."""
        return self._thread

    async def committed(self, partitions: Iterable[TP]) -> dict[TP, int]:
        """Return the stable committed offset of each partition that has one."""
        return await self._thread.committed(partitions)

    async def bounds(self, tp: TP) -> LogBounds:
        """Return the bounds of a partition's log, as far as it is committed."""
        return await self._thread.bounds(tp)

    async def seek_all(self, positions: Mapping[TP, int]) -> int:
        """Seek to positions; return the seek's number, which batches fetched afterwards carry."""
        return await self._thread.seek_all(positions)

    async def perform_seek(self) -> None:
        """Seek every partition to its owner's position. Faust calls this after it has dropped its buffers."""
        positions = {tp: self.partitions.position(tp) for tp in self.assignment()}
        await self.seek_all({tp: offset for tp, offset in positions.items() if offset is not None})

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let transactions in flight end before the rebalance continues, for a share of the rebalance timeout."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.app.conf.broker_rebalance_timeout * _REVOKE_SHARE):
                await self.partitions.quiesce()
        await super().on_partitions_revoked(revoked)

    # The methods below disable Faust's own tracking of offsets: the transactions commit them.

    def track_message(self, message: Any) -> None:
        """Do nothing: the partition's owner tracks its batches."""

    def ack(self, message: Any) -> bool:
        """Mark a message as processed."""
        message.acked = True
        return True

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002, FBT001, FBT002 - Faust's signature
        """Commit nothing."""
        return False

    async def verify_all_partitions_active(self) -> None:
        """Do nothing: `aftersend.processes.health` checks progress by committed offsets and lag."""

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Do nothing: gaps are transaction markers and compacted records."""


class Transport(driver.Transport):
    """The transport behind `aftersend://`."""

    Consumer = Consumer
