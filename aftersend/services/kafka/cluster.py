"""Topics and partitions of the cluster."""

from __future__ import annotations

from aftersend.config.settings import Settings
from aftersend.engine import admin
from aftersend.errors import KafkaUnusableError


def missing(topic: str) -> KafkaUnusableError:
    """Return the error for a missing topic."""
    return KafkaUnusableError(f"topic {topic} is missing: run `aftersend topics apply`, or set AFTERSEND_TOPIC_PREFIX")


async def partitions_of(settings: Settings, *topics: str) -> int:
    """Return the number of partitions that some topics have in common.

    Raises:
        KafkaUnusableError: if Kafka does not answer, or a topic is missing.
    """
    cluster = await admin.inspect(settings.kafka_options())
    for topic in topics:
        if topic not in cluster.partitions:
            raise missing(topic)
    return cluster.partitions[topics[0]]
