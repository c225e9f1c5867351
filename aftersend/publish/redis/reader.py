"""Reads the KPIs that `aftersend.publish.redis.publisher` has written, without standing in the way of anything else."""

from __future__ import annotations

import bisect
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
import redis.asyncio as redis

from aftersend.publish.kpis import Kpis, from_hash, key_of, pattern_of

_CHUNK: Final = 500
#: For so many seconds the list of deliveries counts as current: what is asked is how they stand, not which there are.
_LIST_SECONDS: Final = 1.0

#: By what deliveries are sorted: the latest first, or by their names.
ORDERS: Final = ("updated_at", "started_at", "delivery_id")

#: What a delivery is sorted by, and its id.
PageKey = tuple[float, str]


class DeliveryPage(msgspec.Struct):
    """Some deliveries."""

    deliveries: list[Kpis]
    #: Of all pages.
    total: int
    #: Where the next page begins; None: this is the last one.
    next: PageKey | None


class KpiReader:
    """Reads deliveries and their KPIs.

    Args:
        client: of Redis, with `decode_responses=True`.
        prefix: what every key starts with.
        clock: seconds that only go forward.
    """

    def __init__(self, client: redis.Redis, prefix: str, clock: Callable[[], float] = time.monotonic) -> None:
        # redis has one set of types for both of its clients, and for answers that are decoded and that are not.
        self._client: Any = client
        self._prefix = prefix
        self._clock = clock
        #: delivery -> (updated_at, started_at), and when that was so.
        self._known: dict[str, tuple[float, float]] = {}
        self._known_at = float("-inf")

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def read(self, delivery_id: str) -> Kpis | None:
        """Return a delivery's KPIs; None: Redis knows of none.

        Raises:
            RedisError: if Redis can't be asked.
        """
        found = await self._client.hgetall(key_of(self._prefix, delivery_id))
        return from_hash(delivery_id, found) if found else None

    async def page(self, order: str, after: PageKey | None, limit: int) -> DeliveryPage:
        """Return some deliveries.

        Args:
            order: one of `ORDERS`.
            after: where the page before ended; None: from the first.
            limit: how many at most.

        Raises:
            RedisError: if Redis can't be asked.
        """
        known = await self._list()
        at = {"updated_at": 0, "started_at": 1}.get(order)
        places = sorted((0.0 if at is None else -times[at], delivery_id) for delivery_id, times in known.items())
        start = 0 if after is None else bisect.bisect_right(places, after)
        chosen = places[start : start + limit]
        pipe = self._client.pipeline(transaction=False)
        for _, delivery_id in chosen:
            pipe.hgetall(key_of(self._prefix, delivery_id))
        hashes = await pipe.execute() if chosen else []
        kpis = [from_hash(delivery_id, found) for (_, delivery_id), found in zip(chosen, hashes, strict=True) if found]
        return DeliveryPage(kpis, len(places), chosen[-1] if start + limit < len(places) else None)

    async def _list(self) -> dict[str, tuple[float, float]]:
        if self._clock() - self._known_at < _LIST_SECONDS:
            return self._known
        asked_at = self._clock()
        start = key_of(self._prefix, "")
        found: dict[str, tuple[float, float]] = {}
        keys = [key async for key in self._client.scan_iter(pattern_of(self._prefix), count=_CHUNK)]
        for first in range(0, len(keys), _CHUNK):
            chunk = keys[first : first + _CHUNK]
            pipe = self._client.pipeline(transaction=False)
            for key in chunk:
                pipe.hmget(key, "updated_at", "started_at")
            for key, (updated_at, started_at) in zip(chunk, await pipe.execute(), strict=True):
                if updated_at:
                    found[key.removeprefix(start)] = float(updated_at), float(started_at or 0)
        self._known, self._known_at = found, asked_at
        return found
