"""Declares a delivery: writes a record of the source `sender` to its raw topic, as the sender's own system does."""

from __future__ import annotations

import time
import uuid
from typing import Any, Final

import msgspec

from aftersend.config.settings import Settings
from aftersend.errors import UsageError
from aftersend.schemas.delivery import Delivery
from aftersend.schemas.raw import RawRecord
from aftersend.services.deliveries.overview import read_declared
from aftersend.services.kafka.cluster import partitions_of
from aftersend.services.kafka.raw_records import write_raw_records
from aftersend.sources.base import SourceError, SourceOptions
from aftersend.sources.own import sender
from aftersend.sources.own.sender.payload import DELIVERY

#: Fields of a declaration that a new one keeps unless it sets them.
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


async def declare(
    settings: Settings, delivery_id: str, given: dict[str, Any], *, replace: bool, dry_run: bool
) -> dict[str, Any]:
    """Declare a delivery; return the raw record, once Kafka has acknowledged it.

    Args:
        settings: of the installation.
        delivery_id: of the delivery.
        given: fields of the declaration; None as a value removes one.
        replace: drop the fields that were declared before.
        dry_run: write nothing.

    Raises:
        UsageError: if there is nothing to declare, or a field is invalid.
        KafkaUnusableError: if Kafka does not answer, a topic is missing, or the record is not acknowledged.
    """
    if not given and not replace:
        raise UsageError("nothing to declare: give an option, such as --name (`aftersend deliveries set --help`)")
    earlier = None if replace else (await read_declared(settings)).get(delivery_id)
    record = merge_declaration(earlier, delivery_id, given)
    value = encode_declaration(record)
    if not dry_run:
        partitions = await partitions_of(settings, settings.topics.raw(sender.NAME))
        raw = RawRecord(sender.NAME, value, delivery_id.encode(), int(time.time() * 1000))
        await write_raw_records(settings, [raw], {sender.NAME: partitions})
    return record


def merge_declaration(earlier: Delivery | None, delivery_id: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the raw record of a declaration: the earlier one with the given fields.

    Args:
        earlier: the declaration so far; None: there is none.
        delivery_id: of the delivery.
        given: fields of the record; None as a value removes one.
    """
    before = {} if earlier is None else msgspec.to_builtins(earlier)
    fields = {name: before[name] for name in _KEPT if name in before} | given
    kept = {name: value for name, value in fields.items() if value is not None}
    return {"type": DELIVERY, "delivery_id": delivery_id, **kept, "event_id": uuid.uuid4().hex}


def encode_declaration(record: dict[str, Any]) -> bytes:
    """Return a record as bytes, after the source's own parser has validated it.

    Raises:
        UsageError: naming an invalid field.
    """
    value = msgspec.json.encode(record)
    try:
        list(sender.SOURCE.parser(SourceOptions())(value))
    except SourceError as error:
        raise UsageError(str(error)) from error
    return value
