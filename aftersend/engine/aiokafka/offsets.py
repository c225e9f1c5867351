"""The offsets that a group has committed, with the answer's error codes heeded."""

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

#: Before a broker that can't tell yet is asked again, seconds.
_PAUSE: Final = 0.1


async def committed_offsets(consumer: aiokafka.AIOKafkaConsumer, partitions: Iterable[TP]) -> dict[TP, int]:
    """Return the committed offsets of those partitions that have one.

    aiokafka's own `committed` overlooks the answer's error code: while the broker loads the group, such as after
    a restart, it says that nothing was ever committed, and everything would be read and counted again.

    Raises:
        KafkaError: if the broker does not tell.
    """
    coordinator = consumer._coordinator
    topics: dict[str, list[int]] = {}
    for tp in partitions:
        topics.setdefault(tp.topic, []).append(tp.partition)
    await coordinator.ensure_coordinator_known()
    response = await coordinator._send_req(OffsetFetchRequest(coordinator.group_id, list(topics.items())))
    try:
        answered = _answered(response)
    except (NotCoordinatorForGroupError, GroupCoordinatorNotAvailableError):
        coordinator.coordinator_dead()
        raise
    for topic, numbers in topics.items():
        for number in numbers:
            if TP(topic, number) not in answered:
                raise KafkaError(f"the broker says nothing of the offset of {topic}-{number}")
    return {tp: offset for tp, offset in answered.items() if offset >= 0}


async def wait_for_committed_offsets(
    consumer: aiokafka.AIOKafkaConsumer, partitions: Iterable[TP], patience: float
) -> dict[TP, int]:
    """Return what `committed_offsets` does, asking again while the broker can't tell yet.

    Args:
        consumer: a member of the group, or one that only bears its name.
        partitions: to be asked about.
        patience: for how long to ask, seconds.

    Raises:
        KafkaError: if the broker says that it never will.
        TimeoutError: if it can't tell for so long.
    """
    asked = list(partitions)
    async with asyncio.timeout(patience):
        while True:
            try:
                return await committed_offsets(consumer, asked)
            except KafkaError as error:
                if not error.retriable:
                    raise
            await asyncio.sleep(_PAUSE)


async def all_committed_offsets(client: AIOKafkaAdminClient, group: str) -> dict[TP, int]:
    """Return all offsets that a group has committed; aiokafka's `list_consumer_group_offsets` overlooks the error too.

    Raises:
        KafkaError: if the broker does not tell.
    """
    node = await client.find_coordinator(group)
    response = await client._send_request(OffsetFetchRequest(group, None), node)
    return {tp: offset for tp, offset in _answered(response).items() if offset >= 0}


def _answered(response: Any) -> dict[TP, int]:
    """Return the offset of each partition in an answer, -1 where none was committed.

    Raises:
        KafkaError: if there is an error code, for the whole or for a partition.
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
