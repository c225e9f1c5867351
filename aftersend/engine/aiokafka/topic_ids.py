"""Ids of topics: a topic that was deleted and created again has another one, and offsets of its own."""

from __future__ import annotations

from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient

from aftersend.engine.aiokafka.requests import TopicIdsRequest


async def topic_ids(client: AIOKafkaAdminClient, topics: Iterable[str]) -> dict[str, str]:
    """Return the ids of topics as hexadecimal digits, without those that the broker does not tell.

    Args:
        client: connected.
        topics: their names.
    """
    try:
        response = await client._send_request(TopicIdsRequest(list(topics)))
    except NotImplementedError:  # Kafka before 2.8 has no ids
        return {}
    found: dict[str, str] = {}
    for code, topic, topic_id, *_ in response.topics:
        if not code and any(topic_id):
            found[topic] = topic_id.hex()
    return found
