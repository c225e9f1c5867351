"""Reading a compacted topic's partitions from an offset to their end, committed records only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from aftersend.engine.aiokafka import records as lean

#: Takes the records of one partition, in order.
Apply = Callable[[str, int, list[lean.FetchedRecord]], None]


class Progress:
    """How many records this process has read from changelogs; `aftersend.processes.health` watches it in a restore."""

    records = 0


progress = Progress()

_POLL_MS = 500
_MAX_RECORDS = 10_000
_FETCH_BYTES = 4 * 1024 * 1024


async def read(
    options: Mapping[str, Any],
    starts: Mapping[tuple[str, int], int | None],
    apply: Apply,
) -> dict[tuple[str, int], int]:
    """Read partitions to where they end now.

    Args:
        options: of the connection, as aiokafka takes them.
        starts: by (topic, partition), the offset to read from; None, or an offset that is gone: the beginning.
        apply: called with the records of one partition at a time, in order.

    Returns:
        By (topic, partition), the end that was reached.
    """
    consumer = _consumer(options)
    await consumer.start()
    try:
        partitions = [TopicPartition(*key) for key in starts]
        consumer.assign(partitions)
        firsts = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
        left = set()
        for tp in partitions:
            start = starts[tp.topic, tp.partition]
            begin = firsts[tp] if start is None else max(start, firsts[tp])
            if begin < ends[tp]:
                consumer.seek(tp, begin)
                left.add(tp)
        consumer.pause(*(tp for tp in partitions if tp not in left))
        while left:
            fetched = await consumer.getmany(*left, timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)
            for tp, fresh in fetched.items():
                # What was written since stays out: whoever reads two partitions gets both as of one moment.
                records = fresh if fresh[-1].offset < ends[tp] else [r for r in fresh if r.offset < ends[tp]]
                if records:
                    apply(tp.topic, tp.partition, records)
                    progress.records += len(records)
            # Transaction markers are no records: the position says how far we are, not the last record.
            left = {tp for tp in left if await consumer.position(tp) < ends[tp]}
        return {(tp.topic, tp.partition): offset for tp, offset in ends.items()}
    finally:
        await consumer.stop()


@asynccontextmanager
async def follow(
    options: Mapping[str, Any], starts: Mapping[tuple[str, int], int]
) -> AsyncIterator[Callable[[Apply], Awaitable[None]]]:
    """Go on reading partitions, committed records only; gives what fetches the next ones, if there are any by then.

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


def _consumer(options: Mapping[str, Any]) -> Any:
    lean.install()
    return AIOKafkaConsumer(
        **options,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=_FETCH_BYTES,
        value_deserializer=lean.Lean(),
    )


async def bounds(
    options: Mapping[str, Any],
    keys: list[tuple[str, int]],
) -> dict[tuple[str, int], tuple[int, int]]:
    """Return by (topic, partition) the first offset and the end."""
    consumer = AIOKafkaConsumer(**options, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(*key) for key in keys]
        firsts = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
    finally:
        await consumer.stop()
    return {(tp.topic, tp.partition): (firsts[tp], ends[tp]) for tp in partitions}
