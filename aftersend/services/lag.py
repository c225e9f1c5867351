"""How far an installation's group has come on each partition, and for how long the next record has been waiting."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from aftersend.config.settings import Settings
from aftersend.engine.aiokafka.offsets import all_committed_offsets
from aftersend.errors import KafkaUnusableError

_POLL_MS: Final = 100
#: How long to wait for the first records that are behind, seconds.
_PATIENCE: Final = 2.0
#: Of each partition that is behind only the first records are wanted; Kafka gives one batch, however long.
_FETCH_BYTES: Final = 64 * 1024


class Position(msgspec.Struct):
    """One partition."""

    topic: str
    partition: int
    #: Offset of the next record to be read; None: the group has committed none yet.
    committed: int | None
    #: Offset of the first record that there still is, and the end of what is committed by its writers.
    first: int
    end: int
    #: Records that wait. Exact when there are few; else the ends of transactions, which take an offset each, are in it.
    waiting: int = 0
    #: Kafka timestamp of the first of them, seconds since 1970.
    oldest: float | None = None

    @property
    def start(self) -> int:
        """Where reading goes on."""
        return self.first if self.committed is None else max(self.committed, self.first)

    @property
    def lost(self) -> int:
        """Offsets that were deleted before they were read."""
        return 0 if self.committed is None else max(0, self.first - self.committed)

    def seconds(self, now: float) -> float:
        """Return for how long the next record has been waiting, in seconds."""
        return 0.0 if self.oldest is None else max(0.0, now - self.oldest)


class Lag:
    """Looks again and again; to be used as an asynchronous context manager.

    Args:
        settings: of the installation.
        request_timeout: how long to wait for an answer, seconds; None: as the settings say.
    """

    def __init__(self, settings: Settings, request_timeout: float | None = None) -> None:
        options = settings.kafka_options()
        if request_timeout is not None:
            options["request_timeout_ms"] = int(request_timeout * 1000)
        self._group = settings.app_id
        self._where = settings.kafka_bootstrap
        self._admin = AIOKafkaAdminClient(**options)
        self._consumer = AIOKafkaConsumer(
            **options,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_FETCH_BYTES,
        )

    async def __aenter__(self) -> Lag:  # noqa: PYI034 - not made to be derived from
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
                f"no Kafka broker at {self._where} (AFTERSEND_KAFKA_BOOTSTRAP): {type(error).__name__}: {error}"
            ) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._consumer.stop()
        await self._admin.close()

    async def look(self, topics: Iterable[str]) -> list[Position]:
        """Return how things stand with each partition of some topics; those that are missing are left out.

        Raises:
            KafkaUnusableError: if Kafka does not answer.
        """
        try:
            return await self._look(sorted(set(topics)))
        except (KafkaError, OSError, TimeoutError) as error:
            raise KafkaUnusableError(
                f"Kafka at {self._where} can't be asked: {type(error).__name__}: {error}"
            ) from error

    async def _look(self, topics: Sequence[str]) -> list[Position]:
        there = set(await self._admin.list_topics())
        described = await self._admin.describe_topics([name for name in topics if name in there]) if there else []
        partitions = [TopicPartition(t["topic"], p["partition"]) for t in described for p in t["partitions"]]
        if not partitions:
            return []
        # The offsets before the ends: what is committed in between must not look like more than there is.
        committed = await all_committed_offsets(self._admin, self._group)
        firsts = await self._consumer.beginning_offsets(partitions)
        ends = await self._consumer.end_offsets(partitions)
        found = {}
        for tp in sorted(partitions):
            found[tp] = Position(tp.topic, tp.partition, committed.get(tp), firsts[tp], ends[tp])
        await self._wait_of([tp for tp in found if found[tp].start < found[tp].end], found)
        return list(found.values())

    async def _wait_of(self, behind: list[TopicPartition], found: dict[TopicPartition, Position]) -> None:
        """Find out how many records wait, and since when."""
        consumer = self._consumer
        consumer.assign(behind)
        for tp in behind:
            consumer.seek(tp, found[tp].start)
        records: dict[TopicPartition, list[Any]] = {tp: [] for tp in behind}
        left = set(behind)
        deadline = time.monotonic() + _PATIENCE
        while left and time.monotonic() < deadline:
            for tp, fetched in (await consumer.getmany(*left, timeout_ms=_POLL_MS)).items():
                records[tp] += [record for record in fetched if record.offset < found[tp].end]
            # There may be nothing but the ends of transactions; then it is the position that tells.
            left = {tp for tp in left if not records[tp] and await consumer.position(tp) < found[tp].end}
            consumer.pause(*(tp for tp in behind if tp not in left))
        for tp in behind:
            position = found[tp]
            if await consumer.position(tp) >= position.end:
                position.waiting = len(records[tp])
            else:
                position.waiting = position.end - position.start
            if records[tp]:
                position.oldest = records[tp][0].timestamp / 1000
        # Nothing is to be fetched until the next look.
        consumer.pause(*behind)
