"""Writes bodies to the raw topics: batched for some milliseconds, and reported as acknowledged or not.

Bodies that arrive for a source within `gateway_linger` become one Kafka batch. A partition has one batch in flight at a
time. The producer is idempotent and asks for the acknowledgement of all replicas in sync.

A batch without an acknowledgement in time is reported as failed, though it may still be written: its requests are
answered with 503 and their providers retry. Events are deduplicated by their id, so the second copy does not count. As
long as such a batch leaves no partition free, the topic is `stalled` and new requests are rejected.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaProducer

from aftersend.gateway.raw.budget import MemoryBudget
from aftersend.gateway.raw.producer import ReplaceableProducer
from aftersend.gateway.raw.topic import RawTopic


class RawWriter:
    """All raw topics of a gateway.

    Args:
        options: of the connection, as aiokafka's clients take them.
        linger: how long a batch stays open for more records, seconds.
        budget: counts the bytes in memory.
    """

    def __init__(self, options: Mapping[str, Any], linger: float, budget: MemoryBudget) -> None:
        self._linger = linger
        self._budget = budget
        self._producer = ReplaceableProducer(options, self._load_partitions, self._resume)
        self._topics: list[RawTopic] = []

    def topic(self, topic: str, ack_timeout: float) -> RawTopic:
        """Return the writer of one raw topic; to be called before `start`.

        Args:
            topic: its name.
            ack_timeout: how long a request waits for Kafka's acknowledgement, seconds.
        """
        writer = RawTopic(self._producer, self._budget, topic, self._linger, ack_timeout)
        self._topics.append(writer)
        return writer

    @property
    def ready(self) -> bool:
        """Whether there is a working producer and no topic is stalled."""
        return self._producer.current is not None and not any(topic.stalled for topic in self._topics)

    async def start(self) -> None:
        """Connect.

        Raises:
            KafkaUnusableError: if Kafka can't be reached.
        """
        await self._producer.start()

    async def _load_partitions(self, producer: AIOKafkaProducer) -> None:
        for topic in self._topics:
            topic.set_partitions(await producer.partitions_for(topic.topic))

    def _resume(self) -> None:
        for topic in self._topics:
            topic.send_ready()

    async def close(self, grace: float) -> None:
        """Wait for the batches in flight, fail all others, and disconnect.

        Args:
            grace: seconds to wait.
        """
        await self._producer.drain(grace)
        for topic in self._topics:
            topic.drop()
        await self._producer.close()
