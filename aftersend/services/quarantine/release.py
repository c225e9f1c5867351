"""Releasing addresses: one raw record for each, through Kafka like everything that changes a contact."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from aftersend.config.settings import Settings
from aftersend.schemas.raw import RawRecord
from aftersend.services.cluster import partitions_of
from aftersend.services.quarantine.addresses import QuarantineEntry
from aftersend.services.raw_records import write_raw_records
from aftersend.sources.own import operations
from aftersend.sources.own.operations.payload import OperationRecord


class ReleaseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator has decided about some addresses."""

    #: When he looked, seconds since 1970.
    at: float
    by: str
    why: str
    #: The same for all of them.
    batch: str


def records(found: list[QuarantineEntry], decision: ReleaseRequest) -> Iterator[RawRecord]:
    """Yield the raw records that release addresses, keyed by address."""
    for held in found:
        recipient = held.contact.recipient
        # Kafka's clock may be ahead of this machine's: what the operator has seen is meant all the same.
        at = max(decision.at, held.standing.since)
        record = OperationRecord("release", recipient, at, decision.by, decision.why, batch=decision.batch)
        yield RawRecord(operations.NAME, msgspec.json.encode(record), recipient.encode(), int(decision.at * 1000))


async def write(
    settings: Settings, found: list[QuarantineEntry], decision: ReleaseRequest, on_written: Callable[[int], None]
) -> int:
    """Write releases to their raw topic; return how many, all of them acknowledged.

    Args:
        settings: of the installation.
        found: the addresses.
        decision: about them.
        on_written: told now and then how many were acknowledged so far.

    Raises:
        KafkaUnusableError: if the topic is missing, or Kafka does not take them.
    """
    partitions = await partitions_of(settings, settings.topics.raw(operations.NAME))
    return await write_raw_records(
        settings, records(found, decision), {operations.NAME: partitions}, on_sent=on_written
    )
