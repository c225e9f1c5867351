"""Deliveries that are declared and have no event so far: planned, with all numbers at 0."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Container
from typing import Final

from aftersend.config.settings import Settings
from aftersend.errors import KafkaUnusableError
from aftersend.publish.kpis import Kpis, silent_kpis
from aftersend.services.deliveries.overview import read_declared

_DAY: Final = 86_400.0


async def read_silent(settings: Settings, known: Container[str], delivery_id: str | None = None) -> dict[str, Kpis]:
    """Return the declared deliveries that are not among those with events, by id.

    Args:
        settings: of the installation.
        known: ids of the deliveries with events.
        delivery_id: of the only delivery to return; None: all.

    Raises:
        KafkaUnusableError: if Kafka does not answer, or the topic is missing.
    """
    return {
        name: silent_kpis(name, declared.start, declared.declared_at, declared.expected_audience)
        for name, declared in (await read_declared(settings)).items()
        if name not in known and delivery_id in {None, name}
    }


async def silent_beside_redis(
    settings: Settings, known: Container[str], delivery_id: str | None = None
) -> dict[str, Kpis]:
    """Return the declared deliveries that Redis does not have; none if Kafka does not answer.

    A delivery that was declared longer ago than Redis keeps deliveries may have had events, which Redis has forgotten.

    Args:
        settings: of the installation.
        known: ids of the deliveries in Redis.
        delivery_id: of the only delivery to return; None: all.
    """
    oldest = time.time() - settings.redis_expiry_days * _DAY
    with contextlib.suppress(KafkaUnusableError):
        found = await read_silent(settings, known, delivery_id)
        return {name: kpis for name, kpis in found.items() if kpis.updated_at > oldest}
    return {}
