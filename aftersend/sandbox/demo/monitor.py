"""Monitors the demo from outside its workers: KPIs in Redis, and committed offsets of the consumer group."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import redis.asyncio as redis_client
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from aftersend.config.installation import raw_sources
from aftersend.config.settings import Settings
from aftersend.engine.aiokafka.offsets import all_committed_offsets
from aftersend.sandbox.reference.domain import DECISIONS

#: Fields of a hash that are not counters.
_NO_COUNTERS: Final = {"started_at", "updated_at", "revision"}


@dataclass(slots=True)
class DemoSnapshot:
    """State at one moment."""

    #: Counters by name, by delivery id.
    deliveries: dict[str, Counter[str]] = field(default_factory=dict)
    #: Raw records parsed so far.
    parsed: int = 0

    @property
    def decisions(self) -> Counter[str]:
        """Events of all deliveries by decision."""
        total: Counter[str] = Counter()
        for counters in self.deliveries.values():
            total.update({name: counters[name] for name in DECISIONS if counters[name]})
        return total


class DemoMonitor:
    """Reads snapshots.

    Args:
        settings: of the installation.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._redis = redis_client.from_url(settings.redis_url, decode_responses=True)
        self._admin = AIOKafkaAdminClient(**settings.kafka_options())
        self._raw = {settings.topics.raw(name) for name in raw_sources()}
        self._last = DemoSnapshot()

    async def start(self) -> None:
        """Connect."""
        await self._admin.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._admin.close()
        await self._redis.aclose()

    async def read(self) -> DemoSnapshot:
        """Return the current state, or the last known state if a server does not answer."""
        try:
            deliveries = await self._deliveries()
            offsets = await all_committed_offsets(self._admin, self._settings.app_id)
        except (RedisError, KafkaError, OSError):
            return self._last
        parsed = sum(offset for tp, offset in offsets.items() if tp.topic in self._raw)
        self._last = DemoSnapshot(deliveries, parsed)
        return self._last

    async def _deliveries(self) -> dict[str, Counter[str]]:
        prefix = f"{self._settings.redis_prefix}:kpi:"
        keys = sorted([key async for key in self._redis.scan_iter(f"{prefix}*", count=1000)])
        pipe = self._redis.pipeline(transaction=False)
        for key in keys:
            pipe.hgetall(key)
        return {
            key.removeprefix(prefix): Counter(
                {name: int(n) for name, n in found.items() if name not in _NO_COUNTERS and not name.startswith("_p")}
            )
            for key, found in zip(keys, await pipe.execute(), strict=True)
        }
