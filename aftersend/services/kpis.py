"""The KPIs of deliveries, as the commands show them: read from Redis (live) or from the KPI topic (the truth)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, cast

import msgspec
import redis

from aftersend.config.settings import Settings
from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.errors import RedisUnusableError
from aftersend.publish.kpis import STATUS_PREFIX, Kpis, from_counters, from_hash, key_of, pattern_of
from aftersend.schemas.kpi import DeliveryKpis
from aftersend.tables.codec.keys import is_kpi_key

__all__ = ["KpiSums", "Kpis", "RedisKpis", "flat", "from_counters", "from_hash", "read_kafka"]

_PAGE: Final = 500
_decode_value: Final = msgspec.json.Decoder(DeliveryKpis).decode


def flat(value: DeliveryKpis) -> dict[str, int]:
    """Return the counters of a record of the KPI topic, by their names in Redis; zeros are left out."""
    named = value.kpis | {STATUS_PREFIX + name: rows for name, rows in value.statuses.items()}
    return {name: number for name, number in named.items() if number}


# ------------------------------------------------------------------------------------------------------------- Redis


class RedisKpis:
    """Reads the hashes that `aftersend.publish.redis.publisher` writes.

    Args:
        settings: where Redis is.
    """

    def __init__(self, settings: Settings) -> None:
        self._url = settings.redis_url
        self.prefix = settings.redis_prefix
        self.client = redis.Redis.from_url(
            settings.redis_url, decode_responses=True, socket_connect_timeout=5.0, socket_timeout=10.0
        )

    def key(self, delivery_id: str) -> str:
        """Return the key of a delivery's hash."""
        return key_of(self.prefix, delivery_id)

    def read(self, delivery_id: str) -> dict[str, str]:
        """Return a delivery's hash; empty: there is none.

        Raises:
            RedisUnusableError: if Redis can't be reached.
        """
        try:
            return cast("dict[str, str]", self.client.hgetall(self.key(delivery_id)))
        except redis.RedisError as error:
            raise self.unusable(error) from error

    def deliveries(self) -> list[str]:
        """Return the ids of all deliveries that Redis knows.

        Raises:
            RedisUnusableError: if Redis can't be reached.
        """
        start = self.key("")
        try:
            return [key.removeprefix(start) for key in self.client.scan_iter(pattern_of(self.prefix), count=_PAGE)]
        except redis.RedisError as error:
            raise self.unusable(error) from error

    def many(self, delivery_ids: list[str]) -> Iterable[Kpis]:
        """Yield the KPIs of deliveries; those that have gone meanwhile are left out."""
        for start in range(0, len(delivery_ids), _PAGE):
            page = delivery_ids[start : start + _PAGE]
            pipe = self.client.pipeline(transaction=False)
            for delivery_id in page:
                pipe.hgetall(self.key(delivery_id))
            try:
                hashes = pipe.execute()
            except redis.RedisError as error:
                raise self.unusable(error) from error
            yield from (from_hash(delivery_id, found) for delivery_id, found in zip(page, hashes, strict=True) if found)

    def announcements(self) -> redis.client.PubSub:
        """Return the subscription to changes; what was announced before is not in it."""
        pubsub: redis.client.PubSub = self.client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        pubsub.subscribe(f"{self.prefix}:changes")
        return pubsub

    def unusable(self, error: Exception) -> RedisUnusableError:
        """Return the error that says so to the operator."""
        where = self._url.rpartition("@")[2]  # without the password
        return RedisUnusableError(f"Redis at {where} (AFTERSEND_REDIS_URL) can't be asked: {error}")


# ------------------------------------------------------------------------------------------------------------- Kafka


class KpiSums:
    """KPIs added up over partitions."""

    def __init__(self) -> None:
        self.parts: dict[tuple[str, int], DeliveryKpis] = {}

    def apply(self, _topic: str, _partition: int, records: list[FetchedRecord]) -> None:
        """Take records of the KPI topic; a later one of a key replaces an earlier one."""
        for record in records:
            if record.value is not None and is_kpi_key(record.key):
                value = _decode_value(record.value)
                self.parts[value.delivery_id, value.partition] = value

    def deliveries(self) -> dict[str, Kpis]:
        """Return the KPIs of every delivery."""
        by_delivery: dict[str, list[DeliveryKpis]] = {}
        for (delivery_id, _), value in self.parts.items():
            by_delivery.setdefault(delivery_id, []).append(value)
        return {delivery_id: _sum(delivery_id, parts) for delivery_id, parts in by_delivery.items()}


def _sum(delivery_id: str, parts: list[DeliveryKpis]) -> Kpis:
    counters: Counter[str] = Counter()
    events: dict[str, dict[str, dict[str, int]]] = {}
    for part in parts:
        counters.update(flat(part))
        for source, kinds in part.events.items():
            for kind, decisions in kinds.items():
                into = events.setdefault(source, {}).setdefault(kind, {})
                for decision, number in decisions.items():
                    into[decision] = into.get(decision, 0) + number
    result = from_counters(
        delivery_id,
        counters,
        min(part.started_at for part in parts),
        max(part.updated_at for part in parts),
        archived=any(part.archived for part in parts),
    )
    result.events = events
    return result


async def read_kafka(settings: Settings, partitions: int) -> dict[str, Kpis]:
    """Return the KPIs of every delivery, from all of the KPI topic's partitions, committed records only."""
    summed = KpiSums()
    starts = {(settings.topics.kpis, partition): None for partition in range(partitions)}
    await changelog.read(settings.kafka_options(), starts, summed.apply)
    return summed.deliveries()
