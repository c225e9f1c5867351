"""Reads what there is and compares it, again where it was just being written."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import msgspec

from aftersend.config.settings import Settings
from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.rules.recipient.timing import DAY
from aftersend.schemas.kpi import DeliveryKpis
from aftersend.services.drift import live
from aftersend.services.drift.findings import Drift, DriftReport
from aftersend.services.drift.recount import PartitionRecount
from aftersend.services.installation import codec
from aftersend.services.kpis import RedisKpis
from aftersend.tables.codec.keys import is_kpi_key

#: How often something is read again before a difference counts.
TRIES: Final = 3
#: Between two tries, seconds: more than Redis may lag behind.
_PAUSE: Final = 1.5

_decode_value: Final = msgspec.json.Decoder(DeliveryKpis).decode
Offsets = dict[tuple[str, int], int]


async def check(settings: Settings, partitions: int, only: str | None, *, with_redis: bool) -> DriftReport:
    """Compare rows, KPI topic and Redis.

    Args:
        settings: of the installation.
        partitions: of the status and KPI topics.
        only: the one delivery of interest; None: all.
        with_redis: look at Redis too.
    """
    report = DriftReport()
    versions = live.PartVersions()
    offsets: Offsets = {}
    for number in range(partitions):
        # One after the other, so that only one partition's rows are in memory.
        partition = PartitionRecount(number, codec(settings), settings.retention_days * DAY)
        offsets |= await _partition(settings, partition, report, only)
        versions.take(partition.parts.values())
    if with_redis:
        report.drift += await _redis(settings, versions, offsets, report, only)
    return report


async def _partition(settings: Settings, partition: PartitionRecount, report: DriftReport, only: str | None) -> Offsets:
    """Recount one partition; return how far its KPI topic was read."""
    topics = settings.topics
    starts: dict[tuple[str, int], int | None] = {
        (topics.status, partition.number): None,
        (topics.kpis, partition.number): None,
    }
    attempt = 0
    while True:
        ends = await changelog.read(settings.kafka_options(), starts, partition.apply)
        found = DriftReport()
        drift = partition.compare(found, only)
        if not drift or attempt == TRIES:
            break
        # Only what was written since: the two ends may have been seen on either side of a transaction's end.
        starts = dict(ends)
        attempt += 1
        report.again += 1
        await asyncio.sleep(_PAUSE)
    report.drift += drift
    report.rows += partition.rows(only)
    report.compared += found.compared
    report.deliveries |= found.deliveries
    report.archived |= found.archived
    return {(topics.kpis, partition.number): ends[topics.kpis, partition.number]}


async def _redis(
    settings: Settings, versions: live.PartVersions, offsets: Offsets, report: DriftReport, only: str | None
) -> list[Drift]:
    client = RedisKpis(settings)
    drift: list[Drift] = []
    for attempt in range(TRIES + 1):
        # What Kafka has now, Redis should have in a moment; what it gets meanwhile is right as well.
        offsets = await _read_on(settings, versions, offsets)
        versions.begin()
        if attempt:
            report.again += 1
            await asyncio.sleep(_PAUSE)
        ids = client.deliveries() if only is None else [only]
        hashes = {delivery_id: values for delivery_id in ids if (values := client.read(delivery_id))}
        offsets = await _read_on(settings, versions, offsets)
        found = DriftReport()
        oldest = time.time() - settings.redis_expiry_days * DAY
        drift = live.compare(hashes, versions, found, oldest, only)
        if not drift or attempt == TRIES:
            report.compared += found.compared
            report.deliveries |= found.deliveries
            report.expired |= found.expired
            break
    return drift


async def _read_on(settings: Settings, versions: live.PartVersions, offsets: Offsets) -> Offsets:
    """Read the KPI topic on from where it was read to."""

    def apply(_topic: str, _partition: int, records: list[FetchedRecord]) -> None:
        versions.take(_decode_value(r.value) for r in records if r.value is not None and is_kpi_key(r.key))

    return await changelog.read(settings.kafka_options(), dict(offsets), apply)
