"""Deliveries in Kafka: declared by their senders, created by their first event, or both."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from aftersend.config.settings import Settings
from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.publish.kpis import Kpis
from aftersend.schemas.delivery import Delivery
from aftersend.schemas.times import iso
from aftersend.services.kafka.cluster import partitions_of
from aftersend.services.kpis.stored import read_stored

_decode: Final = msgspec.json.Decoder(Delivery).decode
#: Declared fields in the JSON object, besides times.
_FIELDS: Final = ("name", "tenant", "message_type", "policy", "validity_hours", "expected_audience")


class DeliveryOverview(msgspec.Struct):
    """One delivery."""

    delivery_id: str
    #: None: it has no declaration.
    declared: Delivery | None = None
    #: None: it has no events.
    kpis: Kpis | None = None

    @property
    def latest(self) -> float:
        """Time of its last event or declaration, seconds since 1970."""
        return max(
            self.declared.declared_at if self.declared is not None else 0.0,
            self.kpis.updated_at if self.kpis is not None else 0.0,
        )


async def read_declared(settings: Settings) -> dict[str, Delivery]:
    """Return the declarations by delivery id, committed records only.

    Raises:
        KafkaUnusableError: if Kafka does not answer, or the topic is missing.
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
    """Return every delivery with a declaration or an event, by its id.

    Raises:
        KafkaUnusableError: if Kafka does not answer, or a topic is missing.
    """
    result = {d: DeliveryOverview(d, declared) for d, declared in (await read_declared(settings)).items()}
    for delivery_id, kpis in (await read_stored(settings)).items():
        if delivery_id:  # events without a delivery id are counted under the empty one
            result.setdefault(delivery_id, DeliveryOverview(delivery_id)).kpis = kpis
    return result


def select(deliveries: Iterable[DeliveryOverview], *, declared: bool, tenant: str) -> list[DeliveryOverview]:
    """Return deliveries, the latest first.

    Args:
        deliveries: to choose from.
        declared: only those with a declaration.
        tenant: only those declared for this tenant; "": all.
    """
    chosen = [
        one
        for one in deliveries
        if (one.declared is not None or not (declared or tenant))
        and (not tenant or (one.declared is not None and one.declared.tenant == tenant))
    ]
    return sorted(chosen, key=lambda one: (-one.latest, one.delivery_id))


def as_json(delivery: DeliveryOverview, settings: Settings) -> dict[str, Any]:
    """Return the JSON object of a delivery, with the settings that apply where nothing is declared."""
    declared, kpis = delivery.declared, delivery.kpis
    fields = {} if declared is None else msgspec.to_builtins(declared)
    period = fields.get("statistics_update_period_days")
    result: dict[str, Any] = {
        "delivery_id": delivery.delivery_id,
        "declared": declared is not None,
        **{name: fields[name] for name in _FIELDS if name in fields},
        "statistics_update_period_days": settings.statistics_update_period_days if period is None else period,
    }
    if declared is not None:
        result |= {"declared_at": iso(declared.declared_at), "event_id": declared.event_id}
        if declared.start is not None:
            result["start"] = iso(declared.start)
    if kpis is not None:
        result |= {
            "started_at": iso(kpis.started_at),
            "updated_at": iso(kpis.updated_at),
            "audience": kpis.kpis["audience"],
            "archived": kpis.archived,
        }
    return result
