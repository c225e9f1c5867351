"""The installation that owns the topics, and giving them to another one."""

from __future__ import annotations

import time

from aftersend.config.settings import Settings
from aftersend.engine import admin, ownership
from aftersend.errors import AftersendError, KafkaUnusableError
from aftersend.schemas.position import TopicsOwner


class OwnerRunsError(AftersendError):
    """The owner of the topics has workers that run."""


async def own_installation(settings: Settings) -> TopicsOwner:
    """Return this installation as it would own the topics now.

    Raises:
        KafkaUnusableError: if Kafka does not answer, or the topics are missing.
    """
    cluster = await admin.inspect(settings.kafka_options())
    topics = settings.topics
    for topic in (topics.events, topics.positions):
        if topic not in cluster.partitions:
            raise KafkaUnusableError(f"topic {topic} is missing: run `aftersend topics apply` first")
    return ownership.installation(settings.app_id, cluster.id, cluster.partitions[topics.events], time.time())


async def claim_topics(settings: Settings) -> TopicsOwner | None:
    """Make this installation the owner of the topics; return the former owner, None if there was no other one.

    Raises:
        KafkaUnusableError: if Kafka does not answer, or the topics have another layout than their owner's.
        OwnerRunsError: if the owner's consumer group has members.
    """
    options, topics = settings.kafka_options(), settings.topics
    own = await own_installation(settings)
    owner = await ownership.read_owner(options, topics)
    if owner is None or owner.identity == own.identity:
        await ownership.claim(options, topics, own)
        return None
    layout = TopicsOwner(own.app_id, own.cluster_id, owner.partitions, owner.format)
    if problem := ownership.difference(topics, layout, own):
        raise KafkaUnusableError(problem)
    if members := await admin.count_members(options, owner.app_id):
        raise OwnerRunsError(
            f"the application {owner.app_id!r}, to which the topics {topics.prefix}.* belong, has {members} running "
            "worker(s): stop them first, and wait until they have left their consumer group"
        )
    await ownership.transfer(options, topics, owner, own)
    return owner
