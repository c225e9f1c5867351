"""Declarations of deliveries: decoding them, and writing the public record (`docs/domain.md §7`)."""

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
    """Return a declaration with all of its fields; folding decodes only the fields that every event needs.

    Raises:
        msgspec.MsgspecError: if it is no event.
        ValueError: if it has no declaration or no delivery, or the delivery's id can't be part of a key.
    """
    event = _decode(value or b"")
    if event.declaration is None or not event.delivery_id:
        raise ValueError("an event without a declaration, or without a delivery")
    if any(character < " " for character in event.delivery_id):
        raise ValueError("a delivery id with a control character")
    return event


def publishes(delivery_id: str, partition: int, partitions: int) -> bool:
    """Return whether a partition of the events topic is the one that writes a delivery's public record.

    Every partition folds every declaration; one of them writes the record that consumers read.
    """
    return partition_of_key(delivery_id.encode(), partitions) == partition


def write_delivery(channel: Any, event: Feedback, received_at: float) -> None:
    """Write a delivery's record to the deliveries topic."""
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
