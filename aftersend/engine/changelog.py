"""Reading partitions of compacted topics from an offset to their end, committed records only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

from aiokafka import AIOKafkaConsumer, TopicPartition

from aftersend.engine.aiokafka import patches
from aftersend.engine.aiokafka.records import FetchedRecord, FetchOptions
from aftersend.engine.types import Partition

#: Called with topic, partition and records of one partition, in order.
Apply = Callable[[str, int, list[FetchedRecord]], None]
#: `read_uncommitted`: records of transactions that are open or were aborted, too.
Isolation = Literal["read_committed", "read_uncommitted"]


class RestoreProgress:
    """Number of records that this process has read from changelogs, for health checks during a restore."""

    records = 0


progress = RestoreProgress()

#: How long a poll waits for records, milliseconds: it returns at once when there are some.
_POLL_MS: Final = 500
#: Records that are applied without a pause: some 10 ms.
_MAX_RECORDS: Final = 10_000
#: Fetched at once from a partition, bytes: larger fetches are no faster, and several partitions restore at a time.
_FETCH_BYTES: Final = 4 * 1024 * 1024


async def read(
    options: Mapping[str, Any],
    starts: Mapping[Partition, int | None],
    apply: Apply,
    *,
    ends: Mapping[Partition, int] | None = None,
    isolation: Isolation = "read_committed",
) -> dict[Partition, int]:
    """Read partitions up to their present ends.

    Args:
        options: of the connection, as aiokafka takes them.
        starts: by (topic, partition), the first offset to read; None, or an offset that was deleted: the beginning.
        apply: called with the records of one partition at a time, in order.
        ends: by (topic, partition), the end to read to, such as that of `bounds`: transactions that are open before it
            are waited for. None: the present end of what is committed.
        isolation: which records are read.

    Returns:
        By (topic, partition), the end that was reached.
    """
    consumer = _consumer(options, isolation)
    await consumer.start()
    try:
        left, until = await _seek_to_starts(consumer, starts, ends)
        while left:
            fetched = await consumer.getmany(*left, timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)
            for tp, fresh in fetched.items():
                # Newer records are left out, so that all partitions are read as of one moment.
                records = fresh if fresh[-1].offset < until[tp] else [r for r in fresh if r.offset < until[tp]]
                if records:
                    apply(tp.topic, tp.partition, records)
                    progress.records += len(records)
            # By the position, not by the last record: transaction markers are not records, but have offsets.
            left = {tp for tp in left if await consumer.position(tp) < until[tp]}
        return {(tp.topic, tp.partition): offset for tp, offset in until.items()}
    finally:
        await consumer.stop()


async def read_one(options: Mapping[str, Any], topic: str, partition: int, offset: int) -> FetchedRecord | None:
    """Return the record at an offset; None if its partition has none there, or has it no more."""
    key = topic, partition
    first, end = (await bounds(options, [key]))[key]
    if not first <= offset < end:
        return None
    found: list[FetchedRecord] = []

    def apply(_topic: str, _partition: int, records: list[FetchedRecord]) -> None:
        found.extend(record for record in records if record.offset == offset)

    await read(options, {key: offset}, apply, ends={key: offset + 1})
    return found[0] if found else None


async def _seek_to_starts(
    consumer: AIOKafkaConsumer, starts: Mapping[Partition, int | None], wanted: Mapping[Partition, int] | None
) -> tuple[set[TopicPartition], dict[TopicPartition, int]]:
    """Assign and seek partitions; return those with records to read, and the ends of all."""
    partitions = [TopicPartition(*key) for key in starts]
    consumer.assign(partitions)
    firsts = await consumer.beginning_offsets(partitions)
    if wanted is None:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
    else:
        ends = {TopicPartition(*key): wanted[key] for key in starts}
    left = set()
    for tp in partitions:
        start = starts[tp.topic, tp.partition]
        begin = firsts[tp] if start is None else max(start, firsts[tp])
        if begin < ends[tp]:
            consumer.seek(tp, begin)
            left.add(tp)
    consumer.pause(*(tp for tp in partitions if tp not in left))
    return left, ends


@asynccontextmanager
async def follow(
    options: Mapping[str, Any], starts: Mapping[Partition, int]
) -> AsyncIterator[Callable[[Apply], Awaitable[None]]]:
    """Read partitions on and on; yields a function that applies the records of one poll, if there are any.

    Args:
        options: of the connection, as aiokafka takes them.
        starts: by (topic, partition), the offset to read from, as `read` returns them.
    """
    consumer = _consumer(options)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(*key) for key in starts])
        for key, offset in starts.items():
            consumer.seek(TopicPartition(*key), offset)

        async def fetch(apply: Apply) -> None:
            for tp, records in (await consumer.getmany(timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)).items():
                apply(tp.topic, tp.partition, records)

        yield fetch
    finally:
        await consumer.stop()


def _consumer(options: Mapping[str, Any], isolation: Isolation = "read_committed") -> Any:
    patches.require()
    return AIOKafkaConsumer(
        **options,
        isolation_level=isolation,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=_FETCH_BYTES,
        value_deserializer=FetchOptions(),
    )


async def bounds(
    options: Mapping[str, Any],
    keys: list[Partition],
) -> dict[Partition, tuple[int, int]]:
    """Return the first offset and the end of each partition, by (topic, partition)."""
    patches.require()
    consumer = AIOKafkaConsumer(**options, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(*key) for key in keys]
        firsts = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
    finally:
        await consumer.stop()
    return {(tp.topic, tp.partition): (firsts[tp], ends[tp]) for tp in partitions}
