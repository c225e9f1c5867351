"""Drift check: reads rows, KPI topic and Redis, compares them, and repeats what was being written."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import msgspec

from aftersend.config.settings import Settings
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.rules.recipient.timing import DAY
from aftersend.schemas.kpi import DeliveryKpis
from aftersend.services.drift import live
from aftersend.services.drift.findings import Drift, DriftReport
from aftersend.services.drift.recount import PartitionRecount
from aftersend.services.installation import codec
from aftersend.services.kafka.cluster import partitions_of
from aftersend.services.kpis.live import RedisKpis
from aftersend.tables.codec.keys import is_kpi_key
from aftersend.tables.damage import read_state

#: Repetitions before a difference counts.
RETRIES: Final = 3
#: Pause before a repetition, seconds: more than the lag of Redis.
_PAUSE_SECONDS: Final = 1.5

_decode_value: Final = msgspec.json.Decoder(DeliveryKpis).decode
#: Offsets by topic and partition.
Offsets = dict[tuple[str, int], int]


async def check_drift(settings: Settings, only: str | None, *, with_redis: bool) -> DriftReport:
    """Compare rows, KPI topic and Redis.

    Args:
        settings: of the installation.
        only: id of the only delivery to compare; None: all.
        with_redis: compare with Redis too.

    Raises:
        KafkaUnusableError: if Kafka does not answer, or a topic is missing.
        RedisUnusableError: if Redis does not answer.
    """
    partitions = await partitions_of(settings, settings.topics.status, settings.topics.kpis)
    report = DriftReport()
    versions = live.PartVersions()
    offsets: Offsets = {}
    for number in range(partitions):
        # One after the other, so that memory holds the rows of one partition.
        partition = PartitionRecount(number, codec(settings), settings.retention_days * DAY)
        offsets |= await _recount(settings, partition, report, only)
        versions.add(partition.parts.values())
    if with_redis:
        report.drift += await _compare_redis(settings, versions, offsets, report, only)
    return report


async def _recount(settings: Settings, partition: PartitionRecount, report: DriftReport, only: str | None) -> Offsets:
    """Recompute one partition; return the offset that its KPI topic was read to."""
    topics = settings.topics
    starts: dict[tuple[str, int], int | None] = {
        (topics.status, partition.number): None,
        (topics.kpis, partition.number): None,
    }
    attempt = 0
    while True:
        ends = await read_state(settings.kafka_options(), starts, partition.apply)
        found = DriftReport()
        drift = partition.compare(found, only)
        if not drift or attempt == RETRIES:
            break
        # Read on from the ends: they may have been read before and after the end of the same transaction.
        starts = dict(ends)
        attempt += 1
        report.retries += 1
        await asyncio.sleep(_PAUSE_SECONDS)
    report.drift += drift
    report.rows += partition.rows(only)
    report.compared += found.compared
    report.deliveries |= found.deliveries
    report.archived |= found.archived
    return {(topics.kpis, partition.number): ends[topics.kpis, partition.number]}


async def _compare_redis(
    settings: Settings, versions: live.PartVersions, offsets: Offsets, report: DriftReport, only: str | None
) -> list[Drift]:
    client = RedisKpis(settings)
    drift: list[Drift] = []
    for attempt in range(RETRIES + 1):
        # Redis has at least the versions before this reading, and at most those after the next one.
        offsets = await _continue_reading(settings, versions, offsets)
        versions.begin()
        if attempt:
            report.retries += 1
            await asyncio.sleep(_PAUSE_SECONDS)
        ids = client.deliveries() if only is None else [only]
        hashes = {delivery_id: values for delivery_id in ids if (values := client.read_hash(delivery_id))}
        offsets = await _continue_reading(settings, versions, offsets)
        found = DriftReport()
        oldest = time.time() - settings.redis_expiry_days * DAY
        drift = live.compare(hashes, versions, found, oldest, only)
        if not drift or attempt == RETRIES:
            report.compared += found.compared
            report.deliveries |= found.deliveries
            report.expired |= found.expired
            break
    return drift


async def _continue_reading(settings: Settings, versions: live.PartVersions, offsets: Offsets) -> Offsets:
    """Read the KPI topic from some offsets to its end; return the end."""

    def apply(_topic: str, _partition: int, records: list[FetchedRecord]) -> None:
        versions.add(_decode_value(r.value) for r in records if r.value is not None and is_kpi_key(r.key))

    return await read_state(settings.kafka_options(), dict(offsets), apply)
