"""Private parts of aiokafka's producer: epoch, failure of its sender, metadata requests, closing by force, batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from aftersend.engine.types import OwnerEpoch

#: Between two requests for metadata while a partition has no leader, seconds. An election takes longer than that.
_METADATA_SECONDS: Final = 0.1
#: A sender that is cancelled first waits for its requests in flight, and only a second cancellation ends that wait;
#: the third is a reserve.
_CANCELS: Final = 3
_CANCEL_SECONDS: Final = 0.5


def epoch(producer: AIOKafkaProducer) -> OwnerEpoch:
    """Return producer id and epoch of a transactional producer that was started."""
    manager = producer._txn_manager
    return manager.producer_id, manager.producer_epoch


def sender_error(producer: AIOKafkaProducer) -> BaseException | None:
    """Return the exception that ended the producer's background sender; None: it runs, or was cancelled."""
    sender = producer._sender.sender_task
    if sender is None or not sender.done() or sender.cancelled():
        return None
    error: BaseException | None = sender.exception()
    return error


def append_function(builder: Any) -> Callable[..., Any]:
    """Return the `append` of the C builder inside a batch builder.

    aiokafka's wrapper around it costs half as much again as the builder itself. Whoever uses this counts the records
    and hands the number to `close_builder`.
    """
    append: Callable[..., Any] = builder._builder.append
    return append


def close_builder(builder: Any, count: int) -> None:
    """Close a batch builder that was filled by its `append_function` with so many records."""
    builder._relative_offset = count
    builder.close()


def encode_batch(builder: Any) -> None:
    """Encode a closed batch, as the sender does before it sends it; for measurements."""
    builder._build()


class ThrottledClient:
    """A client that requests metadata at intervals while no broker answers.

    While a partition has no leader, aiokafka's sender requests metadata in a tight loop. Where no broker answers, that
    takes a whole core.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        """Return anything else from the client itself."""
        return getattr(self._client, name)

    def force_metadata_update(self) -> asyncio.Future[bool]:
        """Request metadata; after a failure the future is done only when the interval has passed."""
        return asyncio.ensure_future(self._update())

    async def _update(self) -> bool:
        updated: bool = await self._client.force_metadata_update()
        if not updated:
            await asyncio.sleep(_METADATA_SECONDS)
        return updated


def throttle_metadata(producer: AIOKafkaProducer) -> None:
    """Make a producer that was not started yet request metadata at intervals while a partition has no leader."""
    sender = producer._sender
    sender.client = ThrottledClient(sender.client)


async def force_close(producer: AIOKafkaProducer) -> None:
    """Disconnect a producer at once and abort its requests in flight.

    aiokafka's own `stop` first delivers everything that is buffered, for as long as that takes. Without connections
    every request ends at once. Futures of records may never be done.
    """
    producer._closed = True
    manager = producer._txn_manager
    if manager is not None and manager._transaction_waiter is not None:
        # The waiter of a transaction that failed before its end is never awaited, so its exception is never retrieved.
        manager._transaction_waiter.add_done_callback(retrieve_exception)
    await producer.client.close()
    sender = producer._sender.sender_task
    for _ in range(_CANCELS):
        if sender is not None and not sender.done():
            sender.cancel()
            await asyncio.wait({sender}, timeout=_CANCEL_SECONDS)
    if sender is not None and sender.done():
        retrieve_exception(sender)
    # The sender may have connected again between the first close and its end.
    await producer.client.close()


def retrieve_exception(future: asyncio.Future[Any]) -> None:
    """Mark a future's exception as retrieved: an earlier error is already handled, so asyncio need not log this one."""
    if not future.cancelled():
        future.exception()
