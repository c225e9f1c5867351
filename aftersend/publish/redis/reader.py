"""Reads the KPIs that `aftersend.publish.redis.publisher` writes, without blocking the event loop."""

from __future__ import annotations

import bisect
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import redis.asyncio as redis

from aftersend.publish.kpis import Kpis, from_hash, key_of, pattern_of

#: Hashes read in one round trip.
_CHUNK: Final = 500
#: Time for which the list of deliveries is cached; their KPIs are always read.
_LIST_SECONDS: Final = 1.0

#: Sort orders of deliveries: by time, the latest first, or by id.
ORDERS: Final = ("updated_at", "started_at", "delivery_id")

_NONE: Final[Mapping[str, Kpis]] = {}
#: Sort key of a delivery, and its id.
PageKey = tuple[float, str]


class DeliveryPage(msgspec.Struct):
    """One page of deliveries."""

    deliveries: list[Kpis]
    #: Deliveries on all pages.
    total: int
    #: Where the next page begins; None: this is the last page.
    next: PageKey | None


class KpiReader:
    """Reads deliveries and their KPIs.

    Args:
        client: of Redis, with `decode_responses=True`.
        prefix: of every key.
        clock: a monotonic clock, seconds.
    """

    def __init__(self, client: redis.Redis, prefix: str, clock: Callable[[], float] = time.monotonic) -> None:
        # redis-py has the same types for its synchronous and asynchronous client, and for decoded answers and bytes.
        self._client: Any = client
        self._prefix = prefix
        self._clock = clock
        #: `updated_at` and `started_at` by delivery, and when they were read.
        self._known: dict[str, tuple[float, float]] = {}
        self._known_at = float("-inf")

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def read(self, delivery_id: str) -> Kpis | None:
        """Return the KPIs of a delivery; None: Redis has none.

        Raises:
            RedisError: if Redis does not answer.
        """
        found = await self._client.hgetall(key_of(self._prefix, delivery_id))
        return from_hash(delivery_id, found) if found else None

    async def page(
        self, order: str, after: PageKey | None, limit: int, silent: Mapping[str, Kpis] = _NONE
    ) -> DeliveryPage:
        """Return a page of deliveries.

        Args:
            order: one of `ORDERS`.
            after: `next` of the previous page; None: the first page.
            limit: deliveries on the page at most.
            silent: deliveries that are shown if Redis has no KPIs of them, by id.

        Raises:
            RedisError: if Redis does not answer.
        """
        known = {name: (kpis.updated_at, kpis.started_at) for name, kpis in silent.items()} | await self._list()
        at = {"updated_at": 0, "started_at": 1}.get(order)
        places = sorted((0.0 if at is None else -times[at], delivery_id) for delivery_id, times in known.items())
        start = 0 if after is None else bisect.bisect_right(places, after)
        chosen = places[start : start + limit]
        pipe = self._client.pipeline(transaction=False)
        for _, delivery_id in chosen:
            pipe.hgetall(key_of(self._prefix, delivery_id))
        hashes = await pipe.execute() if chosen else []
        kpis = [
            from_hash(delivery_id, found) if found else silent.get(delivery_id)
            for (_, delivery_id), found in zip(chosen, hashes, strict=True)
        ]
        # One that has expired meanwhile is left out.
        return DeliveryPage(
            [one for one in kpis if one is not None], len(places), chosen[-1] if start + limit < len(places) else None
        )

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
