"""Live KPIs in Redis, which is a cache: writes are absolute and fenced by owner epoch, and lost data is written again.

Each delivery has one hash with its totals and, in fields that start with `_p`, the part of each partition. The script
`replace_part.lua` replaces a partition's part and adjusts the totals by the difference, unless the stored part has a
later owner epoch or offset. Totals and parts are in one key, so expiry, eviction and data loss remove both or neither.

Data loss is detected by two keys. `<prefix>:generation` is raised by a worker that finds a hash missing that it has
written. `<prefix>:flushed:<partition>` counts the partition's flushes; a Redis that lost writes has an older count. If
either differs from the last known value, the partition writes all of its deliveries.

`<prefix>:owner` names the installation that the keys belong to; nothing is written to those of another one.

A delivery expires when all of its parts are old. That is no data loss: parts that are older than the expiry are
*dormant*. They are not written until a change of another part has brought the delivery back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec
import redis.asyncio as redis
import structlog
from redis.exceptions import NoScriptError, RedisError

from aftersend.errors import RedisOwnedError
from aftersend.publish.kpis import STATUS_PREFIX, key_of, part_field
from aftersend.publish.prometheus.heartbeat import Heartbeat
from aftersend.publish.prometheus.redis_writes import RedisMetrics
from aftersend.publish.redis.owner import claim, owner_key
from aftersend.publish.redis.scripts import CONFIRM, EXPIRED, FENCED, LOST, REPLACE_PART
from aftersend.rules.kpi.indicators import KpiTotals, totals_of
from aftersend.schemas.kpi import KpiPartial

log = structlog.get_logger(__name__)

#: Returns the KPIs of all deliveries of a partition, by delivery id.
Partials = Callable[[], Iterator[tuple[str, KpiPartial]]]
#: Partition and delivery id.
PartKey = tuple[int, str]

#: Parts written in one round trip.
_CHUNK: Final = 200
_DAY: Final = 86_400.0
#: Pause after a failed flush, and the longest time without a check for data loss.
_RETRY_SECONDS: Final = 1.0
#: Before another look at keys that belong to another installation, seconds.
_FOREIGN_SECONDS: Final = 30.0
#: Interval of checks whether parts have expired, and whether an expired delivery is in Redis again.
_DORMANT_SECONDS: Final = 15.0


class _OwnedPartition(msgspec.Struct):
    """A partition that this worker publishes."""

    epoch: tuple[int, int]
    partials: Partials
    #: Source offset that the partials include.
    offset: int = -1
    #: Flushes that Redis has confirmed; -1: Redis has to get all deliveries first.
    flushed: int = -1
    #: Redis' count of flushes when the current flush began; "" if it was missing.
    flushed_before: str = ""
    #: Time of the last tick in a committed batch, seconds since 1970; 0.0: none.
    tick: float = 0.0
    #: The same when the current flush began: confirmed by it.
    tick_before: float = 0.0


class _Part(NamedTuple):
    """KPIs of one delivery in one partition."""

    partial: KpiPartial
    #: Computed when the batch was folded; None: not yet, as after a take-over.
    totals: KpiTotals | None = None


class KpiPublisher:
    """Writes changed KPIs to Redis at short intervals.

    The methods for agents are called synchronously after each batch; one task writes.

    Args:
        client: of Redis, with `decode_responses=True`.
        prefix: of every key.
        cluster: id of the Kafka cluster and installation: epochs of another one are not compared.
        interval: seconds between two flushes.
        expiry_days: days without events after which a delivery expires in Redis.
    """

    def __init__(self, client: redis.Redis, *, prefix: str, cluster: str, interval: float, expiry_days: float) -> None:
        # redis-py has the same types for its synchronous and asynchronous client, and for decoded answers and bytes.
        self._client: Any = client
        self._prefix = prefix
        self._cluster = cluster
        self._interval = interval
        self._expiry = expiry_days * _DAY
        self._owned: dict[int, _OwnedPartition] = {}
        self._changed: dict[PartKey, _Part] = {}
        #: Arrival of the last event in each part that was written, seconds since 1970.
        self._written: dict[PartKey, float] = {}
        #: Parts that are past the expiry, to be written if another partition's events keep the delivery in Redis.
        self._dormant: dict[PartKey, _Part] = {}
        self._dormant_until = 0.0
        self._generation: str | None = None
        self._sha = ""
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.connected = False
        self.writes = 0
        self.refused = 0
        self.heartbeat = Heartbeat()
        self.metrics = RedisMetrics(self, self.heartbeat)

    # A KpiSink, see `aftersend.agents.track`.

    def taken_over(self, partition: int, epoch: tuple[int, int], partials: Partials) -> None:
        """Add a partition; all of its deliveries are written first."""
        self._owned[partition] = _OwnedPartition(epoch, partials)
        self._wake.set()

    def changed(
        self, partition: int, offset: int, partials: Mapping[str, KpiPartial], totals: Mapping[str, KpiTotals]
    ) -> None:
        """Queue the deliveries that a committed batch has changed."""
        owned = self._owned.get(partition)
        if owned is None:
            return
        owned.offset = offset
        for delivery_id, partial in partials.items():
            self._changed[partition, delivery_id] = _Part(partial, totals[delivery_id])
            self._dormant.pop((partition, delivery_id), None)
        self._wake.set()

    def ticked(self, partition: int, tick: float) -> None:
        """Record the time of a tick, for the next flush to confirm."""
        owned = self._owned.get(partition)
        if owned is not None:
            owned.tick = tick
            self._wake.set()

    def released(self, partition: int) -> None:
        """Remove a partition."""
        self._owned.pop(partition, None)
        self.metrics.released(partition)
        for key in [key for key in self._changed if key[0] == partition]:
            del self._changed[key]
        self._dormant = {key: part for key, part in self._dormant.items() if key[0] != partition}
        self._forget_written(partition)

    @property
    def backlog(self) -> int:
        """Number of parts to be written."""
        return len(self._changed)

    # The writing task.

    async def check_owner(self) -> None:
        """Claim the prefix for this installation if nobody has; Redis that does not answer is checked when it does.

        Raises:
            RedisOwnedError: if it belongs to another installation.
        """
        try:
            await claim(self._client, self._prefix, self._cluster)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("redis is unavailable; the owner of its keys is checked when it is back", error=repr(error))

    def start(self) -> None:
        """Start the writing task."""
        self._task = asyncio.create_task(self._run(), name="redis publisher")

    async def stop(self) -> None:
        """Stop the writing task, flush once more if Redis answers, and disconnect."""
        while self._task is not None and not self._task.done():
            # Repeatedly: redis-py uses `asyncio.wait_for`, which may swallow a cancellation (Python 3.11).
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=_RETRY_SECONDS / 10)
        with contextlib.suppress(RedisError, OSError, TimeoutError, RedisOwnedError):
            async with asyncio.timeout(_RETRY_SECONDS):
                await self.flush()
        await self._client.aclose()

    async def _run(self) -> None:
        while True:
            # Without changes, Redis is checked for data loss once a second.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(self._interval, _RETRY_SECONDS)):
                    await self._wake.wait()
            self._wake.clear()
            started = time.monotonic()
            try:
                await self.flush()
            except (RedisError, OSError, TimeoutError) as error:
                self.metrics.failed()
                if self.connected:
                    log.warning("redis is unavailable; KPIs are written when it is back", error=repr(error))
                self.connected = False
                await asyncio.sleep(_RETRY_SECONDS)
            except RedisOwnedError as error:
                # Another installation's KPIs are not overwritten; this one's are in Kafka.
                self.metrics.failed()
                self.connected = False
                log.error("nothing is written to redis", reason=str(error))  # noqa: TRY400 - no defect, so no traceback
                await asyncio.sleep(_FOREIGN_SECONDS)
            else:
                if not self.connected:
                    log.info("redis is available")
                self.connected = True
                self.metrics.flushed(time.monotonic() - started)
                await asyncio.sleep(self._interval)

    async def flush(self) -> None:
        """Write what has changed, or all deliveries of a partition for which Redis has lost data."""
        if not self._owned:
            return
        for owned in self._owned.values():
            owned.tick_before = owned.tick
        await self._detect_data_loss()
        await self._check_dormant()
        # Step 15. Write the changed KPIs, absolute and with the owner's epoch.
        while self._changed:
            keys = list(self._changed)[:_CHUNK]
            await self._write({key: self._changed.pop(key) for key in keys})
        await self._confirm()

    async def _detect_data_loss(self) -> None:
        """Queue all deliveries of the partitions for which Redis has lost data."""
        partitions = list(self._owned)
        names = [owner_key(self._prefix), self._generation_key, *(self._flushed_key(p) for p in partitions)]
        owner, generation, *flushed = await self._client.mget(names)
        if owner != self._cluster:
            await claim(self._client, self._prefix, self._cluster)
        if generation is None:
            await self._client.incr(self._generation_key)
            generation = await self._client.get(self._generation_key)
        lost_all = generation != self._generation
        for partition, number in zip(partitions, flushed, strict=True):
            owned = self._owned.get(partition)
            if owned is None:
                continue
            owned.flushed_before = number or ""
            if lost_all or owned.flushed < 0 or number != str(owned.flushed):
                self._queue_all(partition, owned)
        self._generation = generation

    def _queue_all(self, partition: int, owned: _OwnedPartition) -> None:
        oldest = self._oldest
        for delivery_id, partial in owned.partials():
            # A queued part is never newer than this one; it is older if another worker owned the partition meanwhile.
            queue = self._changed if partial.updated_at > oldest else self._dormant
            queue[partition, delivery_id] = _Part(partial)
        self._dormant_until = 0.0
        self._forget_written(partition)
        owned.flushed = 0

    def _forget_written(self, partition: int) -> None:
        self._written = {key: updated_at for key, updated_at in self._written.items() if key[0] != partition}

    async def _check_dormant(self) -> None:
        """Make written parts dormant that have expired, and queue those whose delivery is in Redis without them."""
        now = time.monotonic()
        if now < self._dormant_until:
            return
        self._dormant_until = now + _DORMANT_SECONDS
        self._find_expired()
        if not self._dormant:
            return
        deliveries = sorted({delivery_id for _, delivery_id in self._dormant})
        pipe = self._client.pipeline(transaction=False)
        for delivery_id in deliveries:
            pipe.exists(key_of(self._prefix, delivery_id))
        present = {d for d, exists in zip(deliveries, await pipe.execute(), strict=True) if exists}
        keys = [key for key in self._dormant if key[1] in present]
        pipe = self._client.pipeline(transaction=False)
        for partition, delivery_id in keys:
            pipe.hexists(key_of(self._prefix, delivery_id), part_field(partition))
        for key, is_there in zip(keys, await pipe.execute() if keys else [], strict=True):
            # A part that is older than its delivery stays in it, and needs no other write.
            if not is_there and key in self._dormant:
                self._changed.setdefault(key, self._dormant.pop(key))

    def _find_expired(self) -> None:
        """Make written parts dormant that have grown older than the expiry."""
        oldest = self._oldest
        expired = {key for key, updated_at in self._written.items() if updated_at <= oldest}
        for partition in {partition for partition, _ in expired}:
            owned = self._owned.get(partition)
            for delivery_id, partial in owned.partials() if owned is not None else ():
                key = partition, delivery_id
                if key in expired and key not in self._changed:
                    self._dormant[key] = _Part(partial)
        for key in expired:
            del self._written[key]

    @property
    def _oldest(self) -> float:
        """Arrival of the last event of a part that expires now, seconds since 1970."""
        return time.time() - self._expiry

    async def _write(self, parts: dict[PartKey, _Part]) -> None:
        """Write parts; those that fail are queued again, unless a newer part is queued."""
        try:
            if not self._sha:
                self._sha = str(await self._client.script_load(REPLACE_PART))
            keys, results = await self._evaluate(parts)
        except BaseException as error:
            for key, part in parts.items():
                self._changed.setdefault(key, part)
            if isinstance(error, NoScriptError):
                self._sha = ""
                return
            raise
        lost = False
        for key, result in zip(keys, results, strict=True):
            if result == EXPIRED:
                self._written.pop(key, None)
                if key not in self._changed and key[0] in self._owned:
                    self._dormant[key] = parts[key]
                continue
            self.writes += 1
            self._written[key] = parts[key].partial.updated_at
            lost |= result == LOST
            if result == FENCED:
                self.refused += 1
        if lost:
            await self._client.incr(self._generation_key)
            self._wake.set()

    async def _evaluate(self, parts: dict[PartKey, _Part]) -> tuple[list[PartKey], list[Any]]:
        """Run the script for parts of owned partitions; return their keys, and the script's answers."""
        pipe = self._client.pipeline(transaction=False)
        oldest = self._oldest
        keys = []
        for (partition, delivery_id), part in parts.items():
            owned = self._owned.get(partition)
            if owned is None:
                continue
            keys.append((partition, delivery_id))
            await pipe.evalsha(
                self._sha,
                1,
                key_of(self._prefix, delivery_id),
                str(partition),
                self._cluster,
                str(owned.epoch[0]),
                str(owned.epoch[1]),
                str(owned.offset),
                json.dumps(counters(part.totals or totals_of(part.partial))),
                # What was written has not expired since, whatever became of other parts.
                "1" if self._written.get((partition, delivery_id), 0.0) > oldest else "0",
                repr(part.partial.started_at),
                repr(part.partial.updated_at),
                repr(self._expiry),
                f"{self._prefix}:changes",
                delivery_id,
            )
        return keys, await pipe.execute()

    async def _confirm(self) -> None:
        """Raise the partitions' counts of flushes, unless Redis has lost data since the flush began."""
        # A partition that was taken over during the flush has not been written yet.
        owned = {partition: one for partition, one in self._owned.items() if one.flushed >= 0}
        counts = [count for one in owned.values() for count in (one.flushed_before, str(one.flushed + 1))]
        keys = map(self._flushed_key, owned)
        confirmed: list[int] = await self._client.eval(CONFIRM, len(owned), *keys, *counts)
        for (partition, one), yes in zip(owned.items(), confirmed, strict=True):
            one.flushed = one.flushed + 1 if yes else -1
            if not yes:
                self._wake.set()
            elif self._owned.get(partition) is one:
                self.metrics.confirmed(partition, one.tick_before)

    @property
    def _generation_key(self) -> str:
        return f"{self._prefix}:generation"

    def _flushed_key(self, partition: int) -> str:
        return f"{self._prefix}:flushed:{partition}"


def counters(totals: KpiTotals) -> dict[str, int]:
    """Return the numbers of a delivery's part by their names in the hash, without zeros."""
    named = totals.kpis | {STATUS_PREFIX + name: rows for name, rows in totals.statuses.items()}
    return {name: number for name, number in named.items() if number}
