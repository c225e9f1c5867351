"""One transaction per batch: its output and its source offset become visible together or not at all.

Each source partition has one producer with a transactional id of its own. A new owner of the partition starts a
producer with the same id, which fences the former owner's and ends the transaction that it left open (KIP-98).
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
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
    RecordListTooLargeError,
)

from aftersend.engine.aiokafka import patches, producers
from aftersend.engine.types import OwnerEpoch, Partition
from aftersend.errors import FencedError, RecordTooLargeError, TransactionFailedError, TransactionRejectedError

log = structlog.get_logger(__name__)

#: Longest batch, bytes: just under the broker's default `message.max.bytes`.
MAX_BATCH_BYTES: Final = 1_000_000
#: Batches in one request to a broker: its output partitions there, in requests of 8 MB at most.
_BATCHES_IN_REQUEST: Final = 8
_FENCED: Final = (ProducerFenced, InvalidProducerEpoch)
#: The broker will never accept these records. A topic may have a lower limit than `MAX_BATCH_BYTES`.
_REJECTED: Final = (
    CorruptRecordException,
    InvalidTimestampError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)
#: Errors of aiokafka's producer after it has failed.
_WRONG_STATE: Final = (IllegalOperation, AssertionError)
#: Time for an orderly stop of an idle producer, seconds; after that it is closed by force.
_CLOSE_SECONDS: Final = 5.0

Headers = list[tuple[str, bytes]]
_NO_HEADERS: Headers = []


def transactional_id(app_id: str, agent: str, topic: str, partition: int) -> str:
    """Return the transactional id of a source partition's owner: whoever starts a producer with it fences the owner.

    Args:
        app_id: of the application.
        agent: name of the agent that processes the topic.
        topic: the source topic.
        partition: of the source topic.
    """
    return f"{app_id}-{agent}-{topic}-{partition}"


class Channel:
    """Collects the records of one output partition during a batch."""

    __slots__ = ("_append", "_builder", "_new", "builders", "count", "partition", "topic")

    def __init__(self, new: Any, topic: str, partition: int) -> None:
        self._new = new
        self.topic = topic
        self.partition = partition
        #: Closed builders, with the number of their records.
        self.builders: list[tuple[Any, int]] = []
        self.count = 0
        self._builder: Any = None
        self._append: Any = None

    def append(self, key: bytes | None, value: bytes | None, timestamp_ms: int, headers: Headers = _NO_HEADERS) -> None:
        """Add one record.

        Raises:
            RecordTooLargeError: if it is larger than a batch may be. The whole output must be discarded then.
        """
        count = self.count
        if self._builder is None or self._append(count, timestamp_ms, key, value, headers) is None:
            self._roll()
            count = 0
            self._append(0, timestamp_ms, key, value, headers)
            # A builder accepts its first record whatever its size; the broker does not.
            size = self._builder.size()
            if size > MAX_BATCH_BYTES:
                raise RecordTooLargeError(
                    f"a record for {self.topic} takes {size} bytes, more than {MAX_BATCH_BYTES}, which are sent at once"
                )
        self.count = count + 1

    def _roll(self) -> None:
        self._close_builder()
        self._builder = self._new()
        self._append = producers.append_function(self._builder)

    def _close_builder(self) -> None:
        if self.count:
            producers.close_builder(self._builder, self.count)
            self.builders.append((self._builder, self.count))
        self.count, self._builder = 0, None

    def finish(self) -> list[tuple[Any, int]]:
        """Return the closed builders, with the number of their records."""
        self._close_builder()
        return self.builders


class Output:
    """Everything that one batch writes."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._new = producer.create_batch
        self.channels: dict[Partition, Channel] = {}

    def channel(self, topic: str, partition: int) -> Channel:
        """Return the channel of an output partition, made on first use."""
        key = topic, partition
        channel = self.channels.get(key)
        if channel is None:
            channel = self.channels[key] = Channel(self._new, topic, partition)
        return channel


class TransactionalWriter:
    """The producer of one source partition.

    Args:
        options: of the connection, as aiokafka takes them.
        transactional_id: the same for every owner of the partition.
        group: the consumer group whose offsets are committed.
        timeout: seconds after which the broker aborts an open transaction.
    """

    def __init__(self, options: Mapping[str, Any], transactional_id: str, group: str, timeout: float) -> None:
        patches.require()
        self._group = group
        self._timeout = timeout
        self.transactional_id = transactional_id
        #: No transaction has failed or is in flight.
        self._clean = True
        self._producer = AIOKafkaProducer(
            **options,
            transactional_id=transactional_id,
            transaction_timeout_ms=int(timeout * 1000),
            acks="all",
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=_BATCHES_IN_REQUEST * MAX_BATCH_BYTES,
            linger_ms=0,
        )
        producers.throttle_metadata(self._producer)

    async def start(self) -> None:
        """Fence the former owner, and end the transaction that it left open.

        Raises:
            KafkaError: if the broker rejects the producer, or is not ready.
        """
        try:
            await self._producer.start()
        except AssertionError as error:
            # aiokafka asserts that there is a broker, but a broker that has just started may list none in its metadata.
            raise KafkaConnectionError(f"no broker is known: {error}") from error

    @property
    def epoch(self) -> OwnerEpoch:
        """Producer id and epoch: larger for every later owner."""
        return producers.epoch(self._producer)

    def output(self) -> Output:
        """Return an empty output for a batch."""
        return Output(self._producer)

    async def commit(
        self, output: Output, source: Partition | None = None, next_offset: int = 0
    ) -> dict[Partition, int]:
        """Write a batch's output and the offset after the batch in one transaction.

        Args:
            output: may be empty.
            source: partition of the batch; None: no offset is committed.
            next_offset: of the first record after the batch.

        Returns:
            By output partition: the offset after the last record written.

        Raises:
            FencedError: another worker owns the partition now. Nothing was written.
            TransactionRejectedError: the broker rejects the records, and would again. Nothing was written.
            TransactionFailedError: any other failure. Whether it was written is known only after the next `start` of a
                producer with this transactional id.
        """
        self._clean = False
        try:
            # `asyncio.wait_for` may swallow a cancellation (Python 3.11).
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
        self._clean = True
        return ends

    def _cause_of(self, error: BaseException) -> BaseException:
        """Return the cause of an error: after its sender has failed, a producer only reports a wrong state."""
        if isinstance(error, _WRONG_STATE):
            return producers.sender_error(self._producer) or error
        return error

    async def _commit(self, output: Output, source: Partition | None, next_offset: int) -> dict[Partition, int]:
        producer = self._producer
        # Step 10. Begin a transaction and send the output; wait until the brokers have all of it.
        await producer.begin_transaction()
        sent = []
        for channel in output.channels.values():
            for builder, count in channel.finish():
                future = await producer.send_batch(builder, channel.topic, partition=channel.partition)
                future.add_done_callback(producers.retrieve_exception)
                sent.append((channel, count, future))
        ends: dict[Partition, int] = {}
        for channel, count, future in sent:
            metadata = await future
            ends[channel.topic, channel.partition] = metadata.offset + count
        # Step 11. Add the source offset after the batch to the transaction.
        if source is not None:
            await producer.send_offsets_to_transaction({TopicPartition(*source): next_offset}, self._group)
        # Step 12. Commit: output and offset become visible together.
        await producer.commit_transaction()
        return ends

    async def close(self) -> None:
        """Disconnect. An open transaction is aborted by the next owner, or by the broker after its timeout."""
        producer = self._producer
        if self._clean:
            try:
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await producer.stop()
            except (KafkaError, TimeoutError, OSError, RuntimeError) as error:
                log.info("producer did not stop in order", transactional_id=self.transactional_id, error=repr(error))
            else:
                return
        # An orderly stop would deliver what is in flight, which belongs to a failed transaction.
        await producers.force_close(producer)
