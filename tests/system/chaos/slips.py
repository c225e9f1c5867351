"""An operator's slips: done to an installation with administrators' tools, as somebody in a hurry does them.

Each leaves the numbers right; how an installation notices them is in `docs/guide/operate.md`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka import TopicPartition as GroupOffset
from confluent_kafka.admin import AdminClient

from tests.patience import PATIENCE
from tests.system.chaos.installation import Installation
from tests.system.chaos.workers import WorkerProcess

_POLL: Final = 0.2


async def set_group_back(installation: Installation, topics: Iterable[str], offset: int = 0) -> None:
    """Set the consumer group back to an offset of every partition of some topics, once it has no members.

    The installation's workers must be stopped: Kafka refuses it while the group has members, which is waited for.
    """
    group = installation.settings.app_id
    partitions = [GroupOffset(topic, p, offset) for topic, p in await _partitions(installation, topics)]

    def alter(client: AdminClient) -> Any:
        return client.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, partitions)])

    await _once_empty(installation, alter)


async def delete_group(installation: Installation) -> None:
    """Delete the consumer group with all its offsets, once it has no members."""
    await _once_empty(installation, lambda client: client.delete_consumer_groups([installation.settings.app_id]))


async def delete_records(installation: Installation, topic: str, partition: int, before: int) -> None:
    """Delete a partition's records before an offset, as retention does."""
    async with _admin(installation) as client:
        await client.delete_records({TopicPartition(topic, partition): RecordsToDelete(before_offset=before)})


async def recreate_topic(installation: Installation, topic: str) -> None:
    """Delete a topic and create it again, empty, with the layout that it should have."""
    async with _admin(installation) as client:
        await client.delete_topics([topic])
        async with asyncio.timeout(PATIENCE):
            while topic in await client.list_topics():
                await asyncio.sleep(_POLL)
    await installation.apply_topics()


def add_worker_with_another_app_id(installation: Installation) -> WorkerProcess:
    """Return a worker, not started yet, with another application's id on the same topics."""
    second = f"{installation.settings.app_id}-second"
    return installation.add_worker(app_id=second, redis_prefix=second)


async def _partitions(installation: Installation, topics: Iterable[str]) -> list[tuple[str, int]]:
    async with _admin(installation) as client:
        described = await client.describe_topics(list(topics))
    return [(topic["topic"], partition["partition"]) for topic in described for partition in topic["partitions"]]


def _admin(installation: Installation) -> Any:
    return _Connected(AIOKafkaAdminClient(bootstrap_servers=installation.kafka.bootstrap))


class _Connected:
    """An administrator's client for the time of a block."""

    def __init__(self, client: AIOKafkaAdminClient) -> None:
        self._client = client

    async def __aenter__(self) -> AIOKafkaAdminClient:
        await self._client.start()
        return self._client

    async def __aexit__(self, *_error: object) -> None:
        await self._client.close()


async def _once_empty(installation: Installation, change: Callable[[AdminClient], Any]) -> None:
    """Change a group as soon as Kafka permits it: a member that was killed stays in it for its session."""
    client = AdminClient({"bootstrap.servers": installation.kafka.bootstrap})
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                for future in change(client).values():
                    await asyncio.to_thread(future.result)
            except KafkaException:
                await asyncio.sleep(_POLL)
            else:
                return
