"""Consumer lag: the committed offset of an installation's group on each partition, and the age of the next record."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, Final, Self

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from aftersend.config.settings import Settings
from aftersend.engine.aiokafka.offsets import all_committed_offsets
from aftersend.errors import KafkaUnusableError

_POLL_MS: Final = 100
#: Time to wait for the first unread record of every partition, seconds.
_FETCH_SECONDS: Final = 2.0
#: Fetched of each partition, bytes: only the first record matters, and Kafka returns at least one batch of any length.
_FETCH_BYTES: Final = 64 * 1024


class PartitionLag(msgspec.Struct):
    """Lag of the consumer group on one partition."""

    topic: str
    partition: int
    #: Offset of the next record to consume; None: the group has not committed one.
    committed: int | None
    #: Offset of the first record that retention has left.
    first: int
    #: Offset after the last committed record of its writers.
    end: int
    #: Records that are not consumed yet. Exact when there are few, else transaction markers count as well.
    waiting: int = 0
    #: Kafka timestamp of the first of them, seconds since 1970; None: there is none.
    oldest: float | None = None

    @property
    def start(self) -> int:
        """Offset at which consumption continues."""
        return self.first if self.committed is None else max(self.committed, self.first)

    @property
    def lost(self) -> int:
        """Offsets that were deleted before they were consumed."""
        return 0 if self.committed is None else max(0, self.first - self.committed)

    def lag_seconds(self, now: float) -> float:
        """Return the age of the next record, in seconds; 0.0 if there is none."""
        return 0.0 if self.oldest is None else max(0.0, now - self.oldest)


class LagReader:
    """Reads consumer lag any number of times; an asynchronous context manager.

    Args:
        settings: of the installation.
        request_timeout: seconds to wait for an answer; None: as the settings say.
    """

    def __init__(self, settings: Settings, request_timeout: float | None = None) -> None:
        options = settings.kafka_options()
        if request_timeout is not None:
            options["request_timeout_ms"] = int(request_timeout * 1000)
        self._group = settings.app_id
        self._bootstrap = settings.kafka_bootstrap
        self._admin = AIOKafkaAdminClient(**options)
        self._consumer = AIOKafkaConsumer(
            **options,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_FETCH_BYTES,
        )

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            KafkaUnusableError: if no broker can be reached.
        """
        try:
            await self._admin.start()
            await self._consumer.start()
        except (KafkaError, OSError) as error:
            await self.__aexit__()
            raise KafkaUnusableError(
                f"no Kafka broker at {self._bootstrap} (AFTERSEND_KAFKA_BOOTSTRAP): {type(error).__name__}: {error}"
            ) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._consumer.stop()
        await self._admin.close()

    async def read(self, topics: Iterable[str]) -> list[PartitionLag]:
        """Return the lag on each partition of some topics; topics that are missing are left out.

        Raises:
            KafkaUnusableError: if Kafka does not answer.
        """
        try:
            return await self._read(sorted(set(topics)))
        except (KafkaError, OSError, TimeoutError) as error:
            raise KafkaUnusableError(
                f"Kafka at {self._bootstrap} (AFTERSEND_KAFKA_BOOTSTRAP) does not answer: "
                f"{type(error).__name__}: {error}"
            ) from error

    async def _read(self, topics: Sequence[str]) -> list[PartitionLag]:
        existing = set(await self._admin.list_topics())
        wanted = [name for name in topics if name in existing]
        described = await self._admin.describe_topics(wanted) if existing else []
        partitions = [TopicPartition(t["topic"], p["partition"]) for t in described for p in t["partitions"]]
        if not partitions:
            return []
        # The committed offsets before the ends: a commit in between must not show as more than there is.
        committed = await all_committed_offsets(self._admin, self._group)
        firsts = await self._consumer.beginning_offsets(partitions)
        ends = await self._consumer.end_offsets(partitions)
        found = {
            tp: PartitionLag(tp.topic, tp.partition, committed.get(tp), firsts[tp], ends[tp])
            for tp in sorted(partitions)
        }
        await self._read_waiting([tp for tp in found if found[tp].start < found[tp].end], found)
        return list(found.values())

    async def _read_waiting(self, behind: list[TopicPartition], found: dict[TopicPartition, PartitionLag]) -> None:
        """Fill in the number of waiting records and the timestamp of the first."""
        consumer = self._consumer
        consumer.assign(behind)
        for tp in behind:
            consumer.seek(tp, found[tp].start)
        records: dict[TopicPartition, list[Any]] = {tp: [] for tp in behind}
        left = set(behind)
        deadline = time.monotonic() + _FETCH_SECONDS
        while left and time.monotonic() < deadline:
            for tp, fetched in (await consumer.getmany(*left, timeout_ms=_POLL_MS)).items():
                records[tp] += [record for record in fetched if record.offset < found[tp].end]
            # Where only transaction markers are left, no record comes, but the position moves.
            left = {tp for tp in left if not records[tp] and await consumer.position(tp) < found[tp].end}
            consumer.pause(*(tp for tp in behind if tp not in left))
        for tp in behind:
            lag = found[tp]
            complete = await consumer.position(tp) >= lag.end
            lag.waiting = len(records[tp]) if complete else lag.end - lag.start
            if records[tp]:
                lag.oldest = records[tp][0].timestamp / 1000
        # Nothing is fetched until the next call.
        consumer.pause(*behind)
