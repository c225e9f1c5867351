"""The committed offsets of a group, with the error codes of the response checked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

import aiokafka
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    KafkaError,
    NotCoordinatorForGroupError,
    for_code,
)
from aiokafka.protocol.commit import OffsetFetchRequest
from faust.types import TP

#: Between two requests to a broker that still loads the group, seconds.
_RETRY_SECONDS: Final = 0.1


async def committed_offsets(consumer: aiokafka.AIOKafkaConsumer, partitions: Iterable[TP]) -> dict[TP, int]:
    """Return the committed offset of each partition that has one.

    aiokafka's own `committed` ignores the error code of the response: while the broker loads the group, such as after a
    restart, it returns "nothing was ever committed", and every record would be read and counted again.

    Raises:
        KafkaError: if the broker returns an error, or no answer for a partition.
    """
    coordinator = consumer._coordinator
    topics: dict[str, list[int]] = {}
    for tp in partitions:
        topics.setdefault(tp.topic, []).append(tp.partition)
    await coordinator.ensure_coordinator_known()
    response = await coordinator._send_req(OffsetFetchRequest(coordinator.group_id, list(topics.items())))
    try:
        answered = _offsets(response)
    except (NotCoordinatorForGroupError, GroupCoordinatorNotAvailableError):
        coordinator.coordinator_dead()
        raise
    for topic, numbers in topics.items():
        for number in numbers:
            if TP(topic, number) not in answered:
                raise KafkaError(f"the broker returned no offset of {topic}-{number}")
    return {tp: offset for tp, offset in answered.items() if offset >= 0}


async def wait_for_committed_offsets(
    consumer: aiokafka.AIOKafkaConsumer, partitions: Iterable[TP], timeout_seconds: float
) -> dict[TP, int]:
    """Return what `committed_offsets` does, with retries while the broker loads the group.

    Args:
        consumer: a member of the group, or a consumer that only has its `group_id`.
        partitions: whose offsets are wanted.
        timeout_seconds: for all attempts together.

    Raises:
        KafkaError: if the broker returns an error that a retry does not cure.
        TimeoutError: if the broker is not ready in time.
    """
    wanted = list(partitions)
    async with asyncio.timeout(timeout_seconds):
        while True:
            try:
                return await committed_offsets(consumer, wanted)
            except KafkaError as error:
                if not error.retriable:
                    raise
            await asyncio.sleep(_RETRY_SECONDS)


async def all_committed_offsets(client: AIOKafkaAdminClient, group: str) -> dict[TP, int]:
    """Return all committed offsets of a group; aiokafka's `list_consumer_group_offsets` ignores the error code, too.

    Raises:
        KafkaError: if the broker returns an error.
    """
    node = await client.find_coordinator(group)
    response = await client._send_request(OffsetFetchRequest(group, None), node)
    return {tp: offset for tp, offset in _offsets(response).items() if offset >= 0}


def _offsets(response: Any) -> dict[TP, int]:
    """Return the offset of each partition in a response; -1: none was committed.

    Raises:
        KafkaError: if the response has an error code, for all or for one partition.
    """
    found: dict[TP, int] = {}
    codes = [response.error_code]
    for topic, answers in response.topics:
        for partition, offset, _metadata, code in answers:
            codes.append(code)
            found[TP(topic, partition)] = offset
    for code in codes:
        if code:
            raise for_code(code)
    return found
