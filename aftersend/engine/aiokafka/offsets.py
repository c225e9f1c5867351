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

from aftersend.engine.aiokafka.requests import StableOffsetsRequest
from aftersend.errors import KafkaUnusableError

#: Between two requests to a broker that still loads the group, or while a transaction ends, seconds.
_RETRY_SECONDS: Final = 0.1
#: The protocol's UNSTABLE_OFFSET_COMMIT, which aiokafka does not have.
_UNSTABLE: Final = 88


class UnstableOffsetError(KafkaError):  # type: ignore[misc]  # aiokafka has no types here
    """A transaction that has not ended holds an offset of the partition: the committed one may be about to change."""

    retriable = True


async def committed_offsets(
    consumer: aiokafka.AIOKafkaConsumer, partitions: Iterable[TP], *, require_stable: bool = True
) -> dict[TP, int]:
    """Return the committed offset of each partition that has one.

    aiokafka's own `committed` ignores the error code of the response: while the broker loads the group, such as after a
    restart, it returns "nothing was ever committed", and every record would be read and counted again. Nor does it ask
    for stable offsets (KIP-447): those of a transaction whose rows are visible already may still be missing.

    Args:
        consumer: a member of the group, or a consumer that only has its `group_id`.
        partitions: whose offsets are wanted.
        require_stable: False: the last committed offset, whatever a transaction under way will make of it.

    Raises:
        UnstableOffsetError: if a transaction that has not ended holds an offset.
        KafkaError: if the broker returns an error, or no answer for a partition.
        KafkaUnusableError: if the broker is too old for stable offsets.
    """
    coordinator = consumer._coordinator
    topics: dict[str, list[int]] = {}
    for tp in partitions:
        topics.setdefault(tp.topic, []).append(tp.partition)
    await coordinator.ensure_coordinator_known()
    request = StableOffsetsRequest(coordinator.group_id, topics, require_stable=require_stable)
    try:
        response = await coordinator._send_req(request)
    except NotImplementedError as error:
        raise KafkaUnusableError(
            "this Kafka can't tell stable committed offsets (OffsetFetch version 7): use Apache Kafka 2.5 or later"
        ) from error
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
    consumer: aiokafka.AIOKafkaConsumer,
    partitions: Iterable[TP],
    timeout_seconds: float,
    *,
    require_stable: bool = False,
) -> dict[TP, int]:
    """Return what `committed_offsets` does, with retries while the broker loads the group or an offset is unstable.

    Args:
        consumer: a member of the group, or a consumer that only has its `group_id`.
        partitions: whose offsets are wanted.
        timeout_seconds: for all attempts together.
        require_stable: as in `committed_offsets`; True where the offsets decide what is read next.

    Raises:
        KafkaError: if the broker returns an error that a retry does not cure.
        UnstableOffsetError: if the transaction has not ended in time.
        TimeoutError: if the broker is not ready in time.
    """
    wanted = list(partitions)
    unstable: UnstableOffsetError | None = None
    try:
        async with asyncio.timeout(timeout_seconds):
            while True:
                try:
                    return await committed_offsets(consumer, wanted, require_stable=require_stable)
                except KafkaError as error:
                    if not error.retriable:
                        raise
                    unstable = error if isinstance(error, UnstableOffsetError) else None
                await asyncio.sleep(_RETRY_SECONDS)
    except TimeoutError:
        if unstable is None:
            raise
        raise UnstableOffsetError(
            f"{unstable}, and still after {timeout_seconds:g} s: a transaction with offsets of this consumer group "
            "does not end. The broker ends it after its transaction timeout (AFTERSEND_TRANSACTION_TIMEOUT); "
            "`kafka-transactions.sh list` shows it"
        ) from unstable


async def wait_for_all_committed_offsets(
    client: AIOKafkaAdminClient, group: str, timeout_seconds: float
) -> dict[TP, int]:
    """Return what `all_committed_offsets` does, with retries while the broker makes or loads its groups.

    Raises:
        KafkaError: if the broker returns an error that a retry does not cure.
        TimeoutError: if the broker is not ready in time.
    """
    async with asyncio.timeout(timeout_seconds):
        while True:
            try:
                return await all_committed_offsets(client, group)
            except KafkaError as error:
                if not error.retriable:
                    raise
            await asyncio.sleep(_RETRY_SECONDS)


async def all_committed_offsets(client: AIOKafkaAdminClient, group: str) -> dict[TP, int]:
    """Return all committed offsets of a group; aiokafka's `list_consumer_group_offsets` ignores the error code, too.

    For display: offsets of a transaction under way are not waited for.

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
    codes = [(response.error_code, "the group")]
    # Version 7 has the leader's epoch after the offset, and tagged fields at each end.
    has_epochs = response.API_VERSION >= StableOffsetsRequest.VERSION
    for topic, answers, *_ in response.topics:
        for partition, offset, *rest in answers:
            codes.append((rest[2] if has_epochs else rest[1], f"{topic}-{partition}"))
            found[TP(topic, partition)] = offset
    for code, where in codes:
        if code == _UNSTABLE:
            raise UnstableOffsetError(f"the committed offset of {where} is not stable")
        if code:
            raise for_code(code)
    return found
