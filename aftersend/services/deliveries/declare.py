"""Declaring a delivery: a record of the source `sender` on its raw topic, like those of the sender's own system."""

from __future__ import annotations

import time
import uuid
from typing import Any, Final

import msgspec

from aftersend.config.settings import Settings
from aftersend.errors import UsageError
from aftersend.schemas.delivery import Delivery
from aftersend.schemas.raw import RawRecord
from aftersend.services.cluster import partitions_of
from aftersend.services.raw_records import write_raw_records
from aftersend.sources.base import SourceError, SourceOptions
from aftersend.sources.own import sender
from aftersend.sources.own.sender.payload import DELIVERY

#: Fields of a declaration that stay as they were when others are set.
_KEPT: Final = (
    "name",
    "tenant",
    "message_type",
    "policy",
    "validity_hours",
    "statistics_update_period_days",
    "start",
    "expected_audience",
)


def merged(known: Delivery | None, delivery_id: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the record that declares a delivery: what was declared, with what is given in its place.

    Args:
        known: what was declared of it; None: nothing, or it is not to be kept.
        delivery_id: of the delivery.
        given: fields of the record; None as a value takes one back.
    """
    before = {} if known is None else msgspec.to_builtins(known)
    fields = {name: before[name] for name in _KEPT if name in before} | given
    said = {name: value for name, value in fields.items() if value is not None}
    return {"type": DELIVERY, "delivery_id": delivery_id, **said, "event_id": uuid.uuid4().hex}


def encode(record: dict[str, Any]) -> bytes:
    """Return a record's bytes, once the source's own parser has read them.

    Raises:
        UsageError: if it can't; says which field is wrong.
    """
    value = msgspec.json.encode(record)
    try:
        list(sender.SOURCE.parser(SourceOptions())(value))
    except SourceError as error:
        raise UsageError(str(error)) from error
    return value


async def write(settings: Settings, delivery_id: str, value: bytes) -> None:
    """Write a declaration to the raw topic; returns when Kafka has it.

    Raises:
        KafkaUnusableError: if the topic is missing, or Kafka does not take it.
    """
    partitions = await partitions_of(settings, settings.topics.raw(sender.NAME))
    record = RawRecord(sender.NAME, value, delivery_id.encode(), int(time.time() * 1000))
    await write_raw_records(settings, [record], {sender.NAME: partitions})
