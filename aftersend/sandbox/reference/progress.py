"""How much of its input an installation has folded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from aftersend.config.installation import raw_sources
from aftersend.config.settings import Settings
from aftersend.engine import admin, changelog
from aftersend.engine.aiokafka.offsets import wait_for_committed_offsets
from aftersend.engine.aiokafka.records import FetchedRecord

_TICK: Final = b'"type":"tick"'
_POLL_SECONDS: Final = 0.3
#: How long the broker may take to return the group's offsets.
_TIMEOUT_SECONDS: Final = 60.0


async def committed_offsets(settings: Settings, partitions: list[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """Return the committed offsets of the installation's group; 0 where there is none.

    Raises:
        KafkaError: if the broker returns an error.
        TimeoutError: if the broker returns none for a minute.
    """
    consumer = AIOKafkaConsumer(
        **settings.kafka_options(), group_id=settings.app_id, enable_auto_commit=False, auto_offset_reset="none"
    )
    await consumer.start()
    try:
        offsets = await wait_for_committed_offsets(
            consumer, [TopicPartition(*key) for key in partitions], _TIMEOUT_SECONDS
        )
        return {key: offsets.get(TopicPartition(*key), 0) for key in partitions}
    finally:
        await consumer.stop()


async def count_unfolded(settings: Settings, *, raw: bool = True) -> int:
    """Return the number of committed records that are not folded yet, without ticks, which never end.

    Offsets are not enough: transaction markers have offsets too.
    """
    topics = settings.topics
    cluster = await admin.inspect(settings.kafka_options())
    names = [topics.events, *(topics.raw(name) for name in raw_sources() if raw)]
    keys = [(name, partition) for name in names for partition in range(cluster.partitions.get(name, 0))]
    starts: Mapping[tuple[str, int], int | None] = await committed_offsets(settings, keys)
    left = 0

    def count(_topic: str, _partition: int, records: list[FetchedRecord]) -> None:
        nonlocal left
        left += sum(1 for record in records if record.value is None or _TICK not in record.value)

    await changelog.read(settings.kafka_options(), starts, count)
    return left


async def wait_until_folded(settings: Settings, timeout: float, *, raw: bool = True) -> None:  # noqa: ASYNC109 - a bound, not a cancellation
    """Wait until all input is folded; it must have ended.

    Args:
        settings: of the installation.
        timeout: seconds.
        raw: whether the raw topics are part of the input.

    Raises:
        TimeoutError: if it is not folded by then; the message has the number of records left.
    """
    deadline = time.monotonic() + timeout
    while left := await count_unfolded(settings, raw=raw):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{left} records still wait to be folded after {timeout:g} s")
        await asyncio.sleep(_POLL_SECONDS)
