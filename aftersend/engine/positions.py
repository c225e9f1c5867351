"""Reads and writes the positions topic: how far each source partition was processed.

Each transaction writes the position after its batch, beside the results and the group's offset. The group's offset can
be changed from outside, or expire; the position can't. A partition goes on where both say, and never reads again what
it has processed (`aftersend.engine.partitions.start`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from aiokafka.errors import KafkaError

from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.engine.transaction import Output
from aftersend.engine.types import Partition
from aftersend.schemas.position import PartitionPosition, partition_of_key, position_key

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(PartitionPosition).decode


class PositionLog:
    """The positions of all partitions, as their transactions wrote them.

    Args:
        options: of the connection, as aiokafka takes them.
        topic: the positions topic, of one partition.
        topic_ids: ids of the source topics, as hexadecimal digits; a topic without is one whose id is not known.
        timeout_seconds: to wait for the end of transactions that were open when a read began.
    """

    def __init__(
        self, options: Mapping[str, Any], topic: str, topic_ids: Mapping[str, str], timeout_seconds: float
    ) -> None:
        self._options = options
        self._key = (topic, 0)
        self._topic_ids = topic_ids
        self._timeout = timeout_seconds
        self._positions: dict[Partition, PartitionPosition] = {}
        self._next: int | None = None
        self._lock = asyncio.Lock()
        #: Numbers of the last read that began, and of the last one that succeeded.
        self._begun = 0
        self._completed = 0

    def write(self, output: Output, topic: str, partition: int, offset: int) -> None:
        """Add a partition's position to the output of its transaction.

        Args:
            output: of the transaction.
            topic: of the partition.
            partition: its number.
            offset: of the first record that is not processed.
        """
        value = _encode(PartitionPosition(offset, self._topic_ids.get(topic, "")))
        output.channel(*self._key).append(position_key(topic, partition), value, int(time.time() * 1000))

    async def read(self, topic: str, partition: int) -> int | None:
        """Return the position of a partition whose former owner is fenced; None: there is none for this topic.

        Raises:
            KafkaError: if the topic can't be read to its present end in time.
        """
        await self.refresh()
        return self.get(topic, partition)

    async def refresh(self) -> None:
        """Read what was committed before this call.

        Raises:
            KafkaError: if the topic can't be read to its present end in time.
        """
        # Those who wait for a read together share the next one. A read that has begun already is of no use: it may end
        # before what the former owner wrote last.
        last = self._begun
        async with self._lock:
            if self._completed <= last:
                self._begun += 1
                await self._catch_up()
                self._completed = self._begun

    def get(self, topic: str, partition: int) -> int | None:
        """Return the position of a partition as of the last refresh."""
        position = self._positions.get((topic, partition))
        if position is None or not self._is_of(position, topic):
            return None
        return position.offset

    def _is_of(self, position: PartitionPosition, topic: str) -> bool:
        """Return whether a position belongs to the topic as it is now, not to one of the same name before it."""
        now = self._topic_ids.get(topic, "")
        return not position.topic_id or not now or position.topic_id == now

    async def _catch_up(self) -> None:
        """Read on to the present end, and past the transactions that are open there."""
        try:
            async with asyncio.timeout(self._timeout):
                (_, end) = (await changelog.bounds(self._options, [self._key]))[self._key]
                await changelog.read(self._options, {self._key: self._next}, self._apply, ends={self._key: end})
        except TimeoutError as error:
            raise KafkaError(
                f"the topic {self._key[0]} can't be read to its end within {self._timeout:g} s: a transaction that "
                "writes to it does not end. The broker ends it after its transaction timeout "
                "(AFTERSEND_TRANSACTION_TIMEOUT); `kafka-transactions.sh list` shows it"
            ) from error
        self._next = end

    def _apply(self, _topic: str, _partition: int, records: list[FetchedRecord]) -> None:
        for record in records:
            key = partition_of_key(record.key or b"")
            if key is not None and record.value is not None:
                self._positions[key] = _decode(record.value)


#: Writes a partition's position into the output of its transaction: topic, partition and offset after the batch.
WritePosition = Callable[[Output, str, int, int], None]
