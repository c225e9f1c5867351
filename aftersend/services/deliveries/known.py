"""Deliveries as Kafka knows them: declared by their senders, or made by their first event, or both."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from aftersend.config.settings import Settings
from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.schemas.delivery import Delivery
from aftersend.schemas.times import iso
from aftersend.services.cluster import partitions_of
from aftersend.services.kpis import Kpis, read_kafka

_decode: Final = msgspec.json.Decoder(Delivery).decode


class DeliveryOverview(msgspec.Struct):
    """One delivery."""

    delivery_id: str
    #: None: nobody has declared it.
    declared: Delivery | None = None
    #: None: nothing was heard of it yet.
    seen: Kpis | None = None

    @property
    def latest(self) -> float:
        """When it was last heard of, seconds since 1970."""
        return max(
            self.declared.declared_at if self.declared is not None else 0.0,
            self.seen.updated_at if self.seen is not None else 0.0,
        )


async def read_declared(settings: Settings) -> dict[str, Delivery]:
    """Return what was declared, by delivery, committed records only.

    Raises:
        KafkaUnusableError: if Kafka can't be reached, or the topic is missing.
    """
    topic = settings.topics.deliveries
    partitions = await partitions_of(settings, topic)
    found: dict[str, Delivery] = {}

    def apply(_topic: str, _partition: int, records: list[FetchedRecord]) -> None:
        for record in records:
            delivery_id = (record.key or b"").decode()
            if record.value is None:
                found.pop(delivery_id, None)
            else:
                found[delivery_id] = _decode(record.value)

    await changelog.read(settings.kafka_options(), {(topic, partition): None for partition in range(partitions)}, apply)
    return found


async def read_deliveries(settings: Settings) -> dict[str, DeliveryOverview]:
    """Return every delivery that was declared or heard of, by its id.

    Raises:
        KafkaUnusableError: if Kafka can't be reached, or a topic is missing.
    """
    result = {d: DeliveryOverview(d, declared) for d, declared in (await read_declared(settings)).items()}
    seen = await read_kafka(settings, await partitions_of(settings, settings.topics.kpis))
    for delivery_id, kpis in seen.items():
        if delivery_id:  # what came without one is no delivery
            result.setdefault(delivery_id, DeliveryOverview(delivery_id)).seen = kpis
    return result


def as_json(known: DeliveryOverview, settings: Settings) -> dict[str, Any]:
    """Return a delivery as scripts read it; what is in force where nothing was declared is said too."""
    declared, seen = known.declared, known.seen
    said = {} if declared is None else msgspec.to_builtins(declared)
    period = said.get("statistics_update_period_days")
    result: dict[str, Any] = {
        "delivery_id": known.delivery_id,
        "declared": declared is not None,
        **{name: said[name] for name in _SHOWN if name in said},
        "statistics_update_period_days": settings.statistics_update_period_days if period is None else period,
    }
    if declared is not None:
        result |= {"declared_at": iso(declared.declared_at), "event_id": declared.event_id}
        if declared.start is not None:
            result["start"] = iso(declared.start)
    if seen is not None:
        result |= {
            "started_at": iso(seen.started_at),
            "updated_at": iso(seen.updated_at),
            "audience": seen.kpis["audience"],
            "archived": seen.archived,
        }
    return result


_SHOWN: Final = ("name", "tenant", "message_type", "policy", "validity_hours", "expected_audience")
