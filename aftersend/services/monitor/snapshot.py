"""Snapshots of an installation for `aftersend top`: KPI hashes in Redis, offsets of the consumer group in Kafka."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import msgspec
import redis
from aiokafka.errors import KafkaError

from aftersend.config.installation import raw_sources
from aftersend.config.settings import Settings
from aftersend.errors import AftersendError, KafkaUnusableError
from aftersend.publish.kpis import Kpis, from_counters
from aftersend.rules.kpi.indicators import RATES
from aftersend.rules.recipient.decisions import DECISION_NAMES
from aftersend.services.kafka.lag import LagReader, PartitionLag
from aftersend.services.kpis.live import RedisKpis
from aftersend.services.kpis.silent import silent_beside_redis

#: KPIs that are shown. Only these fields of a hash are fetched: its partition parts, which are most of it, are not.
KPIS: Final = (
    "audience",
    "sent",
    "delivered",
    "soft_bounced",
    "hard_bounced",
    "unique_opens",
    "unique_machine_opens",
    "unique_clicks",
    "unsubscribed",
    "complained",
    "not_sent",
)
_TIMES: Final = ("started_at", "updated_at")
_FIELDS: Final = (*dict.fromkeys((*KPIS, *(n for rate in RATES for n in (rate.numerator, rate.denominator)))),)
_ALL: Final = (*_TIMES, *_FIELDS, *DECISION_NAMES)
#: Hashes read in one round trip.
_PAGE: Final = 500
#: Time after which declared deliveries are read again, seconds.
_SILENT_SECONDS: Final = 10.0
#: Kafka has to answer within this time, seconds; the next snapshot tries again.
_KAFKA_TIMEOUT_SECONDS: Final = 5.0


class Snapshot(msgspec.Struct):
    """State of an installation at one moment."""

    #: Wall clock, seconds since 1970.
    at: float
    #: Monotonic clock, seconds.
    monotonic: float
    #: By delivery id; empty where Redis does not answer.
    deliveries: dict[str, Kpis] = {}
    #: Empty where Kafka does not answer.
    positions: list[PartitionLag] = []
    #: Servers that did not answer, as error messages.
    problems: list[str] = []
    #: Redis answered.
    has_deliveries: bool = True
    #: Kafka answered.
    has_positions: bool = True


class SnapshotReader:
    """Reads snapshots; a server that does not answer is a problem in the snapshot, and the next snapshot tries again.

    Args:
        settings: of the installation.
    """

    def __init__(self, settings: Settings) -> None:
        topics = settings.topics
        self._settings = settings
        self._redis = RedisKpis(settings)
        self._lag: LagReader | None = None
        #: Declared deliveries, as deliveries without an event; and when they were read, by a monotonic clock.
        self._silent: dict[str, Kpis] = {}
        self._silent_at = float("-inf")
        self.topics: tuple[str, ...] = (*(topics.raw(name) for name in raw_sources()), topics.clock, topics.events)

    async def close(self) -> None:
        """Disconnect."""
        await self._disconnect_kafka()
        self._redis.client.close()

    async def read(self) -> Snapshot:
        """Return the current state."""
        snapshot = Snapshot(time.time(), time.monotonic())
        positions, deliveries, _ = await asyncio.gather(
            self._positions(), asyncio.to_thread(self._deliveries), self._refresh_silent(), return_exceptions=True
        )
        if isinstance(positions, list):
            snapshot.positions = positions
        else:
            snapshot.has_positions = False
            snapshot.problems.append(_message(positions))
        if isinstance(deliveries, dict):
            snapshot.deliveries = {**self._silent, **deliveries}
        else:
            snapshot.has_deliveries = False
            snapshot.problems.append(_message(deliveries))
        return snapshot

    async def _positions(self) -> list[PartitionLag]:
        try:
            if self._lag is None:
                timeout = min(self._settings.request_timeout, _KAFKA_TIMEOUT_SECONDS)
                self._lag = await LagReader(self._settings, timeout).__aenter__()
            return await self._lag.read(self.topics)
        except KafkaUnusableError:
            await self._disconnect_kafka()
            raise

    async def _refresh_silent(self) -> None:
        """Read the declared deliveries again, at most every `_SILENT_SECONDS`; they stay if Kafka does not answer."""
        if time.monotonic() - self._silent_at >= _SILENT_SECONDS:
            self._silent_at = time.monotonic()
            self._silent = await silent_beside_redis(self._settings, ()) or self._silent

    async def _disconnect_kafka(self) -> None:
        lag, self._lag = self._lag, None
        if lag is not None:
            try:
                await lag.__aexit__()
            except (KafkaError, OSError):
                return  # the broker is away, and the connection with it

    def _deliveries(self) -> dict[str, Kpis]:
        found = {}
        ids = self._redis.deliveries()
        for start in range(0, len(ids), _PAGE):
            page = ids[start : start + _PAGE]
            pipe = self._redis.client.pipeline(transaction=False)
            for delivery_id in page:
                pipe.hmget(self._redis.key(delivery_id), _ALL)
            try:
                answers: list[Any] = pipe.execute()
            except redis.RedisError as error:
                raise self._redis.unusable(error) from error
            for delivery_id, values in zip(page, answers, strict=True):
                if any(values):
                    found[delivery_id] = _kpis(delivery_id, dict(zip(_ALL, values, strict=True)))
        return found


def _kpis(delivery_id: str, values: dict[str, str | None]) -> Kpis:
    times = [float(values.pop(name) or 0) for name in _TIMES]
    return from_counters(delivery_id, {name: int(value or 0) for name, value in values.items()}, *times)


def _message(error: BaseException) -> str:
    if isinstance(error, AftersendError):
        return str(error)
    raise error
