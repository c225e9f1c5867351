"""What a sender declares of a delivery: read, and shown to the world."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from aftersend.schemas.delivery import Declaration, Delivery
from aftersend.schemas.event import Feedback
from aftersend.schemas.partitioning import partition_of_key
from aftersend.schemas.version import SCHEMA_VERSION
from aftersend.tables.codec.public import encode_json

_decode: Final = msgspec.json.Decoder(Feedback).decode


def decode(value: bytes | None) -> Feedback:
    """Return the event with all of its fields; folding decodes only what every event needs.

    Raises:
        msgspec.MsgspecError: if it is none.
        ValueError: if it declares nothing, or the delivery's id is no part for a key.
    """
    event = _decode(value or b"")
    if event.declaration is None or not event.delivery_id:
        raise ValueError("a declaration that says nothing, or not of which delivery")
    if any(character < " " for character in event.delivery_id):
        raise ValueError("a delivery id with a control character")
    return event


def publishes(delivery_id: str, partition: int, partitions: int) -> bool:
    """Say whether a partition of the events topic is the one that shows a delivery to the world.

    Every partition hears of every declaration, and one of them writes the record that consumers read.
    """
    return partition_of_key(delivery_id.encode(), partitions) == partition


def write_delivery(channel: Any, event: Feedback, received_at: float) -> None:
    """Write a delivery's record for the deliveries topic."""
    declaration = event.declaration or Declaration()
    value = Delivery(
        SCHEMA_VERSION,
        event.delivery_id,
        received_at,
        declaration.name,
        event.tenant,
        event.message_type,
        declaration.policy,
        declaration.validity_hours,
        declaration.statistics_update_period_days,
        declaration.start,
        declaration.expected_audience,
        event.event_id,
    )
    channel.append(event.delivery_id.encode(), encode_json(value), int(received_at * 1000))
