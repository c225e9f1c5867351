"""How far an installation has come with its input."""

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
_POLL: Final = 0.3
#: How long a broker may take to know the group's offsets, seconds.
_PATIENCE: Final = 60.0


async def committed(settings: Settings, partitions: list[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """Return how far the installation's group has come in each partition; 0 where it has done nothing yet.

    Raises:
        KafkaError: if the broker won't tell.
        TimeoutError: if the broker can't tell for a minute.
    """
    consumer = AIOKafkaConsumer(
        **settings.kafka_options(), group_id=settings.app_id, enable_auto_commit=False, auto_offset_reset="none"
    )
    await consumer.start()
    try:
        offsets = await wait_for_committed_offsets(consumer, [TopicPartition(*key) for key in partitions], _PATIENCE)
        return {key: offsets.get(TopicPartition(*key), 0) for key in partitions}
    finally:
        await consumer.stop()


async def left_over(settings: Settings, *, raw: bool = True) -> int:
    """Return how many committed records wait to be folded; ticks, which never end, do not count.

    Offsets alone do not tell: the ends of transactions take some too.
    """
    topics = settings.topics
    cluster = await admin.inspect(settings.kafka_options())
    names = [topics.events, *(topics.raw(name) for name in raw_sources() if raw)]
    keys = [(name, partition) for name in names for partition in range(cluster.partitions.get(name, 0))]
    starts: Mapping[tuple[str, int], int | None] = await committed(settings, keys)
    left = 0

    def count(_topic: str, _partition: int, records: list[FetchedRecord]) -> None:
        nonlocal left
        left += sum(1 for record in records if record.value is None or _TICK not in record.value)

    await changelog.read(settings.kafka_options(), starts, count)
    return left


async def wait_until_folded(settings: Settings, timeout: float, *, raw: bool = True) -> None:  # noqa: ASYNC109 - a bound, not a cancellation
    """Wait until nothing waits to be folded; the input must have ended.

    Args:
        settings: of the installation.
        timeout: seconds.
        raw: whether raw topics belong to the input.

    Raises:
        TimeoutError: if there is still something left then; the message says how much.
    """
    deadline = time.monotonic() + timeout
    while left := await left_over(settings, raw=raw):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{left} records still wait to be folded after {timeout:g} s")
        await asyncio.sleep(_POLL)
