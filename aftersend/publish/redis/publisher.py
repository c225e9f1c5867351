"""Live KPIs in Redis: absolute values, fenced, complete again after Redis has lost them.

Each delivery has one hash with its totals and, in fields that start with `_p`, what each partition adds to them. A
script replaces a partition's part and moves the totals by the difference, unless the part that is there comes from a
later owner or offset. Totals and parts lie in one key, so expiry, eviction and loss take both or none.

Redis is not the truth: whatever it loses is written again. Two keys tell: `<prefix>:generation`, raised by whoever
finds a hash missing that it had written, and `<prefix>:flushed:<partition>`, the number of the partition's last write
(a Redis that has forgotten writes shows an older one). If either is not what it was, the partition writes all.
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

from aftersend.publish.prometheus.heartbeat import Heartbeat
from aftersend.publish.prometheus.redis_writes import RedisMetrics
from aftersend.rules.kpi.indicators import KpiTotals, totals_of
from aftersend.schemas.kpi import KpiPartial

log = structlog.get_logger(__name__)

Fence = tuple[int, int, int]
Partials = Callable[[], Iterator[tuple[str, KpiPartial]]]

_SCRIPT: Final = """
local totals, field = KEYS[1], '_p' .. ARGV[1]
local cluster, pid, epoch, offset = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local new, known = cjson.decode(ARGV[6]), ARGV[7] == '1'
local existed = redis.call('EXISTS', totals) == 1
local stored = redis.call('HGET', totals, field)
local old = {}
if stored then
  local part = cjson.decode(stored)
  if part.c == cluster then
    if part.p > pid or (part.p == pid and (part.e > epoch or (part.e == epoch and part.o > offset))) then
      return 0
    end
  end
  old = part.k
end
for name, value in pairs(new) do
  local difference = value - (old[name] or 0)
  if difference ~= 0 then redis.call('HINCRBY', totals, name, string.format('%d', difference)) end
end
for name, value in pairs(old) do
  if new[name] == nil and value ~= 0 then redis.call('HINCRBY', totals, name, string.format('%d', -value)) end
end
redis.call('HSET', totals, field, cjson.encode({c = cluster, p = pid, e = epoch, o = offset, k = new}))
local started = redis.call('HGET', totals, 'started_at')
if not started or tonumber(started) > tonumber(ARGV[8]) then redis.call('HSET', totals, 'started_at', ARGV[8]) end
local updated = redis.call('HGET', totals, 'updated_at')
if not updated or tonumber(updated) < tonumber(ARGV[9]) then
  redis.call('HSET', totals, 'updated_at', ARGV[9])
  updated = ARGV[9]
end
local revision = redis.call('HINCRBY', totals, 'revision', 1)
redis.call('PEXPIREAT', totals, string.format('%.0f', (tonumber(updated) + tonumber(ARGV[10])) * 1000))
redis.call('PUBLISH', ARGV[11], cjson.encode({delivery_id = ARGV[12], revision = revision}))
if known and not existed then return -1 end
return 1
"""

#: Confirms writes, each unless Redis has lost what it had when they began: KEYS the marks, ARGV seen and new in turn.
_CONFIRM: Final = """
local confirmed = {}
for i, key in ipairs(KEYS) do
  if (redis.call('GET', key) or '') == ARGV[2 * i - 1] then
    redis.call('SET', key, ARGV[2 * i])
    confirmed[i] = 1
  else
    confirmed[i] = 0
  end
end
return confirmed
"""

#: Hashes written in one round trip.
_CHUNK: Final = 200
_DAY: Final = 86_400.0
_RETRY_SECONDS: Final = 1.0
#: How often it is looked whether a delivery that had left Redis is there again.
_DORMANT_SECONDS: Final = 15.0


class _Owned(msgspec.Struct):
    """A partition that this worker publishes."""

    epoch: tuple[int, int]
    partials: Partials
    #: Offset that goes with what `partials` shows.
    offset: int = -1
    #: Number of the last write that Redis has confirmed; -1: it has to get everything.
    flushed: int = -1
    #: What Redis had as that number when the write under way began.
    seen: str = ""
    #: The last tick that a committed batch held, and the one before the write under way began.
    tick: float = 0.0
    beat: float = 0.0


class _Part(NamedTuple):
    """What one partition adds to a delivery."""

    partial: KpiPartial
    #: Computed when the batch was folded; None: not yet, as after a take-over.
    totals: KpiTotals | None = None


class KpiPublisher:
    """Writes changed KPIs to Redis at short intervals.

    Args:
        client: of Redis, with `decode_responses=True`.
        prefix: what every key starts with.
        cluster: id of the Kafka cluster: fences of another cluster do not compare.
        interval: seconds between two writes.
        expiry_days: after which a silent delivery leaves Redis.
    """

    def __init__(self, client: redis.Redis, *, prefix: str, cluster: str, interval: float, expiry_days: float) -> None:
        # redis has one set of types for both of its clients, and for answers that are decoded and that are not.
        self._client: Any = client
        self._prefix = prefix
        self._cluster = cluster
        self._interval = interval
        self._expiry = expiry_days * _DAY
        self._owned: dict[int, _Owned] = {}
        self._changed: dict[tuple[int, str], _Part] = {}
        self._written: set[tuple[int, str]] = set()
        #: Parts of deliveries that nothing was heard of for long in their partition, but perhaps in another one.
        self._dormant: dict[tuple[int, str], _Part] = {}
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

    # Called by the agents, between two awaits.

    def taken_over(self, partition: int, epoch: tuple[int, int], partials: Partials) -> None:
        """Publish a partition from now on, beginning with all that it has."""
        self._owned[partition] = _Owned(epoch, partials)
        self._wake.set()

    def changed(
        self, partition: int, offset: int, partials: Mapping[str, KpiPartial], totals: Mapping[str, KpiTotals]
    ) -> None:
        """Publish what a committed batch has changed."""
        owned = self._owned.get(partition)
        if owned is None:
            return
        owned.offset = offset
        for delivery_id, partial in partials.items():
            self._changed[partition, delivery_id] = _Part(partial, totals[delivery_id])
            self._dormant.pop((partition, delivery_id), None)
        self._wake.set()

    def ticked(self, partition: int, tick: float) -> None:
        """Take note of the heartbeat: the next write confirms it, which is due now."""
        owned = self._owned.get(partition)
        if owned is not None:
            owned.tick = tick
            self._wake.set()

    def released(self, partition: int) -> None:
        """Publish a partition no longer: it is somebody else's."""
        self._owned.pop(partition, None)
        self.metrics.released(partition)
        for key in [key for key in self._changed if key[0] == partition]:
            del self._changed[key]
        self._dormant = {key: part for key, part in self._dormant.items() if key[0] != partition}
        self._written = {key for key in self._written if key[0] != partition}

    @property
    def backlog(self) -> int:
        """How many deliveries' parts wait to be written."""
        return len(self._changed)

    # The loop.

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run(), name="redis publisher")

    async def stop(self) -> None:
        """Write what is left, if Redis is there, and stop."""
        while self._task is not None and not self._task.done():
            # Again and again: redis uses `asyncio.wait_for`, which may swallow a cancellation (Python 3.11).
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=_RETRY_SECONDS / 10)
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(_RETRY_SECONDS):
                await self.flush()
        await self._client.aclose()

    async def _run(self) -> None:
        while True:
            # An idle worker looks once a second whether Redis still has what it was given.
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
                    log.warning("redis is away; the stream goes on, redis gets everything later", error=repr(error))
                self.connected = False
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                if not self.connected:
                    log.info("redis is there")
                self.connected = True
                self.metrics.flushed(time.monotonic() - started)
                await asyncio.sleep(self._interval)

    async def flush(self) -> None:
        """Write what has changed, or all of it where Redis has lost something."""
        if not self._owned:
            return
        for owned in self._owned.values():
            owned.beat = owned.tick
        await self._look_for_losses()
        await self._look_for_dormant()
        while self._changed:
            keys = list(self._changed)[:_CHUNK]
            await self._write({key: self._changed.pop(key) for key in keys})
        await self._confirm()

    async def _look_for_losses(self) -> None:
        partitions = list(self._owned)
        names = [f"{self._prefix}:generation", *(self._flushed_key(p) for p in partitions)]
        generation, *flushed = await self._client.mget(names)
        if generation is None:
            await self._client.incr(f"{self._prefix}:generation")
            generation = await self._client.get(f"{self._prefix}:generation")
        lost_all = generation != self._generation
        for partition, number in zip(partitions, flushed, strict=True):
            owned = self._owned.get(partition)
            if owned is None:
                continue
            owned.seen = number or ""
            if lost_all or owned.flushed < 0 or number != str(owned.flushed):
                self._write_all(partition, owned)
        self._generation = generation

    async def _look_for_dormant(self) -> None:
        """Add the parts of deliveries that are in Redis again, since another partition has heard of them."""
        now = time.monotonic()
        if not self._dormant or now < self._dormant_until:
            return
        self._dormant_until = now + _DORMANT_SECONDS
        deliveries = sorted({delivery_id for _, delivery_id in self._dormant})
        pipe = self._client.pipeline(transaction=False)
        for delivery_id in deliveries:
            pipe.exists(f"{self._prefix}:kpi:{delivery_id}")
        there = {d for d, exists in zip(deliveries, await pipe.execute(), strict=True) if exists}
        for key in [key for key in self._dormant if key[1] in there]:
            self._changed.setdefault(key, self._dormant.pop(key))

    def _write_all(self, partition: int, owned: _Owned) -> None:
        oldest = time.time() - self._expiry
        for delivery_id, partial in owned.partials():
            # What waits is never newer, and older where the partition has been somebody else's meanwhile.
            waiting = self._changed if partial.updated_at > oldest else self._dormant
            waiting[partition, delivery_id] = _Part(partial)
        self._dormant_until = 0.0
        self._written = {key for key in self._written if key[0] != partition}
        owned.flushed = 0

    async def _write(self, parts: dict[tuple[int, str], _Part]) -> None:
        try:
            if not self._sha:
                self._sha = str(await self._client.script_load(_SCRIPT))
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
            self.writes += 1
            self._written.add(key)
            lost |= result == -1
            if result == 0:
                self.refused += 1
        if lost:
            await self._client.incr(f"{self._prefix}:generation")
            self._wake.set()

    async def _evaluate(self, parts: dict[tuple[int, str], _Part]) -> tuple[list[tuple[int, str]], list[Any]]:
        pipe = self._client.pipeline(transaction=False)
        keys = []
        for (partition, delivery_id), part in parts.items():
            owned = self._owned.get(partition)
            if owned is None:
                continue
            keys.append((partition, delivery_id))
            await pipe.evalsha(
                self._sha,
                1,
                f"{self._prefix}:kpi:{delivery_id}",
                str(partition),
                self._cluster,
                str(owned.epoch[0]),
                str(owned.epoch[1]),
                str(owned.offset),
                json.dumps(counters(part.totals or totals_of(part.partial))),
                "1" if (partition, delivery_id) in self._written else "0",
                repr(part.partial.started_at),
                repr(part.partial.updated_at),
                repr(self._expiry),
                f"{self._prefix}:changes",
                delivery_id,
            )
        return keys, await pipe.execute()

    async def _confirm(self) -> None:
        """Leave a mark that a Redis which forgets writes would forget as well, unless it has forgotten some already."""
        # A partition that came meanwhile has been given nothing yet.
        owned = {partition: one for partition, one in self._owned.items() if one.flushed >= 0}
        marks = [mark for one in owned.values() for mark in (one.seen, str(one.flushed + 1))]
        keys = map(self._flushed_key, owned)
        confirmed: list[int] = await self._client.eval(_CONFIRM, len(owned), *keys, *marks)
        for (partition, one), yes in zip(owned.items(), confirmed, strict=True):
            one.flushed = one.flushed + 1 if yes else -1
            if not yes:
                self._wake.set()
            elif self._owned.get(partition) is one:
                self.metrics.confirmed(partition, one.beat)

    def _flushed_key(self, partition: int) -> str:
        return f"{self._prefix}:flushed:{partition}"


def counters(totals: KpiTotals) -> dict[str, int]:
    """Return every additive number of a delivery's part, by its name in the hash; zeros are left out."""
    named = totals.kpis | {f"status_{name}": rows for name, rows in totals.statuses.items()}
    return {name: number for name, number in named.items() if number}
