"""What `aftersend top` looks at: the deliveries' hashes in Redis, and the group's offsets in Kafka."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import msgspec
import redis
from aiokafka.errors import KafkaError

from aftersend.config.installation import raw_sources
from aftersend.config.settings import Settings
from aftersend.errors import AftersendError, KafkaUnusableError, RedisUnusableError
from aftersend.rules.kpi.indicators import RATES
from aftersend.rules.recipient.lifecycle import DECISION_NAMES
from aftersend.services.kpis import Kpis, RedisKpis, from_counters
from aftersend.services.lag import Lag, Position

#: Of a hash only what is shown is fetched: its parts, which are for Aftersend alone, are most of it.
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
_PAGE: Final = 500
#: Kafka gets so long to answer; the next look tries again.
_PATIENCE: Final = 5.0


class Look(msgspec.Struct):
    """How things stood at one moment."""

    #: Seconds since 1970, and of a clock that never jumps.
    at: float
    ticks: float
    #: By id. Empty where Redis does not answer.
    deliveries: dict[str, Kpis] = {}
    positions: list[Position] = []
    #: Why something is missing.
    problems: list[str] = []
    has_deliveries: bool = True
    has_positions: bool = True


class Eye:
    """Looks again and again; what does not answer is told, and asked again the next time.

    Args:
        settings: of the installation.
    """

    def __init__(self, settings: Settings) -> None:
        topics = settings.topics
        self._settings = settings
        self._redis = RedisKpis(settings)
        self._lag: Lag | None = None
        self.topics: tuple[str, ...] = (*(topics.raw(name) for name in raw_sources()), topics.clock, topics.events)

    async def close(self) -> None:
        """Disconnect."""
        await self._hang_up()
        self._redis.client.close()

    async def look(self) -> Look:
        """Return how things stand."""
        look = Look(time.time(), time.monotonic())
        kafka, live = await asyncio.gather(
            self._positions(), asyncio.to_thread(self._deliveries), return_exceptions=True
        )
        if isinstance(kafka, list):
            look.positions = kafka
        else:
            look.has_positions = False
            look.problems.append(_told(kafka))
        if isinstance(live, dict):
            look.deliveries = live
        else:
            look.has_deliveries = False
            look.problems.append(_told(live))
        return look

    async def _positions(self) -> list[Position]:
        try:
            if self._lag is None:
                self._lag = await Lag(self._settings, min(self._settings.request_timeout, _PATIENCE)).__aenter__()
            return await self._lag.look(self.topics)
        except KafkaUnusableError:
            await self._hang_up()
            raise

    async def _hang_up(self) -> None:
        lag, self._lag = self._lag, None
        if lag is not None:
            try:
                await lag.__aexit__()
            except (KafkaError, OSError):
                return  # there is nobody to take leave of

    def _deliveries(self) -> dict[str, Kpis]:
        found = {}
        known = self._redis.deliveries()
        for start in range(0, len(known), _PAGE):
            page = known[start : start + _PAGE]
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


def _told(error: BaseException) -> str:
    if isinstance(error, (KafkaUnusableError, RedisUnusableError, AftersendError)):
        return str(error)
    raise error
