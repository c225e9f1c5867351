"""KPIs of deliveries from the KPI topic, summed over partitions."""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec

from aftersend.config.settings import Settings
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.publish.kpis import STATUS_PREFIX, Kpis, from_counters
from aftersend.schemas.kpi import DeliveryKpis
from aftersend.services.kafka.cluster import partitions_of
from aftersend.tables.codec.keys import is_kpi_key
from aftersend.tables.damage import read_state

_decode_value: Final = msgspec.json.Decoder(DeliveryKpis).decode


def flat(value: DeliveryKpis) -> dict[str, int]:
    """Return the counters of a record of the KPI topic by their names in Redis, without zeros."""
    named = value.kpis | {STATUS_PREFIX + name: rows for name, rows in value.statuses.items()}
    return {name: number for name, number in named.items() if number}


class KpiSums:
    """Sums the KPIs of deliveries over partitions."""

    def __init__(self) -> None:
        #: Last record by delivery id and partition.
        self.parts: dict[tuple[str, int], DeliveryKpis] = {}

    def apply(self, _topic: str, _partition: int, records: list[FetchedRecord]) -> None:
        """Add records of the KPI topic; a later record of a key replaces an earlier one."""
        for record in records:
            if record.value is not None and is_kpi_key(record.key):
                value = _decode_value(record.value)
                self.parts[value.delivery_id, value.partition] = value

    def deliveries(self) -> dict[str, Kpis]:
        """Return the KPIs of every delivery, by its id."""
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


async def read_stored(settings: Settings) -> dict[str, Kpis]:
    """Return the KPIs of every delivery, committed records only, by its id.

    Raises:
        KafkaUnusableError: if Kafka does not answer, or the topic is missing.
    """
    topic = settings.topics.kpis
    sums = KpiSums()
    starts = {(topic, partition): None for partition in range(await partitions_of(settings, topic))}
    await read_state(settings.kafka_options(), starts, sums.apply)
    return sums.deliveries()
