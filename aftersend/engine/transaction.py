"""One transaction per batch: all that a batch gives, and the offset it came from, become visible together or not.

One producer per source partition, with a transactional id of its own. Whoever takes the partition over starts a
producer with the same id first, which fences the one before and ends what it left open (Kafka's KIP-98).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    CorruptRecordException,
    IllegalOperation,
    InvalidProducerEpoch,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
    RecordListTooLargeError,
)

from aftersend.engine.aiokafka import connections, producers
from aftersend.errors import FencedError, RecordTooLargeError, TransactionFailedError, TransactionRejectedError

log = structlog.get_logger(__name__)

connections.mend()

#: Just under the broker's default `message.max.bytes`.
MAX_BATCH_BYTES: Final = 1_000_000
_FENCED: Final = (ProducerFenced, InvalidProducerEpoch)
#: The broker's word that it will never take these records. A topic may have a lower limit than `MAX_BATCH_BYTES`.
_REJECTED: Final = (
    CorruptRecordException,
    InvalidTimestampError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)
#: What aiokafka says to whoever goes on with a producer that has failed.
_WRONG_STATE: Final = (IllegalOperation, AssertionError)

_CLOSE_SECONDS: Final = 5.0
Headers = list[tuple[str, bytes]]
_NO_HEADERS: Headers = []


class Channel:
    """Where the records of one output partition are gathered during a batch."""

    __slots__ = ("_append", "_builder", "_new", "builders", "count", "partition", "topic")

    def __init__(self, new: Any, topic: str, partition: int) -> None:
        self._new = new
        self.topic = topic
        self.partition = partition
        #: Builders that have records, with how many.
        self.builders: list[tuple[Any, int]] = []
        self.count = 0
        self._builder: Any = None
        self._append: Any = None

    def append(self, key: bytes | None, value: bytes | None, timestamp_ms: int, headers: Headers = _NO_HEADERS) -> None:
        """Add one record.

        Raises:
            RecordTooLargeError: if it is larger than a batch may be. The whole output is worth nothing then.
        """
        # Past aiokafka's wrapper of its own C builder, which costs half as much again as the builder itself.
        count = self.count
        if self._builder is None or self._append(count, timestamp_ms, key, value, headers) is None:
            self._roll()
            count = 0
            self._append(0, timestamp_ms, key, value, headers)
            # A builder takes its first record whatever its size; the broker does not.
            size = self._builder.size()
            if size > MAX_BATCH_BYTES:
                raise RecordTooLargeError(
                    f"a record for {self.topic} takes {size} bytes, more than {MAX_BATCH_BYTES}, which are sent at once"
                )
        self.count = count + 1

    def _roll(self) -> None:
        self._seal()
        self._builder = self._new()
        self._append = producers.append_function(self._builder)

    def _seal(self) -> None:
        if self.count:
            producers.close_builder(self._builder, self.count)
            self.builders.append((self._builder, self.count))
        self.count, self._builder = 0, None

    def finish(self) -> list[tuple[Any, int]]:
        """Return the closed builders and how many records each has."""
        self._seal()
        return self.builders


class Output:
    """All that one batch writes."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._new = producer.create_batch
        self.channels: dict[tuple[str, int], Channel] = {}

    def channel(self, topic: str, partition: int) -> Channel:
        """Return the channel of an output partition, opened when first asked for."""
        key = topic, partition
        channel = self.channels.get(key)
        if channel is None:
            channel = self.channels[key] = Channel(self._new, topic, partition)
        return channel


class TransactionalWriter:
    """The producer of one source partition.

    Args:
        options: of the connection, as aiokafka takes them.
        transactional_id: the same for every owner that the partition will ever have.
        group: the consumer group whose offsets are committed.
        timeout: seconds after which the broker gives up on an open transaction.
    """

    def __init__(self, options: Mapping[str, Any], transactional_id: str, group: str, timeout: float) -> None:
        self._group = group
        self._timeout = timeout
        self.transactional_id = transactional_id
        #: No transaction has failed or is under way.
        self._in_order = True
        self._producer = AIOKafkaProducer(
            **options,
            transactional_id=transactional_id,
            transaction_timeout_ms=int(timeout * 1000),
            acks="all",
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=8 * MAX_BATCH_BYTES,
            linger_ms=0,
        )
        producers.throttle_metadata(self._producer)

    async def start(self) -> None:
        """Fence whoever had the partition before, and end what it left open.

        Raises:
            KafkaError: if the broker does not let us in.
        """
        await self._producer.start()

    @property
    def epoch(self) -> tuple[int, int]:
        """Producer id and epoch: larger for every later owner."""
        return producers.epoch(self._producer)

    def output(self) -> Output:
        """Return an empty output for a batch."""
        return Output(self._producer)

    async def commit(
        self, output: Output, source: tuple[str, int] | None = None, next_offset: int = 0
    ) -> dict[tuple[str, int], int]:
        """Write a batch's output and the offset that follows the batch, in one transaction.

        Args:
            output: what to write; may be empty.
            source: topic and partition that the batch came from; None: from none whose offset the group keeps.
            next_offset: of the first record after the batch.

        Returns:
            By output partition: the offset after the last record written.

        Raises:
            FencedError: another worker has the partition now. Nothing was written.
            TransactionRejectedError: the broker refuses what was to be written, and would again. Nothing was written.
            TransactionFailedError: something else went wrong; whether it was written, only a new producer can tell.
        """
        self._in_order = False
        try:
            # Not `wait_for`, which may swallow a cancellation (Python 3.11).
            async with asyncio.timeout(self._timeout):
                ends = await self._commit(output, source, next_offset)
        except (KafkaError, TimeoutError, *_WRONG_STATE) as error:
            cause = self._cause_of(error)
            message = f"{type(cause).__name__}: {cause}"
            if isinstance(cause, _FENCED):
                raise FencedError(message) from error
            if isinstance(cause, _REJECTED):
                raise TransactionRejectedError(message) from error
            raise TransactionFailedError(message) from error
        self._in_order = True
        return ends

    def _cause_of(self, error: BaseException) -> BaseException:
        """Return the cause of an error: after its sender has died, a producer only reports that its state is wrong."""
        if isinstance(error, _WRONG_STATE):
            return producers.sender_error(self._producer) or error
        return error

    async def _commit(
        self, output: Output, source: tuple[str, int] | None, next_offset: int
    ) -> dict[tuple[str, int], int]:
        producer = self._producer
        await producer.begin_transaction()
        sent = []
        for channel in output.channels.values():
            for builder, count in channel.finish():
                future = await producer.send_batch(builder, channel.topic, partition=channel.partition)
                future.add_done_callback(producers.retrieve_exception)
                sent.append((channel, count, future))
        ends: dict[tuple[str, int], int] = {}
        for channel, count, future in sent:
            metadata = await future
            ends[channel.topic, channel.partition] = metadata.offset + count
        if source is not None:
            await producer.send_offsets_to_transaction({TopicPartition(*source): next_offset}, self._group)
        await producer.commit_transaction()
        return ends

    async def close(self) -> None:
        """Disconnect; an open transaction is left to whoever comes next."""
        producer = self._producer
        if self._in_order:
            try:
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await producer.stop()
            except (KafkaError, TimeoutError, OSError, RuntimeError) as error:
                log.info("producer did not stop in order", transactional_id=self.transactional_id, error=repr(error))
            else:
                return
        # Nobody wants any more what it has under way.
        await producers.force_close(producer)
