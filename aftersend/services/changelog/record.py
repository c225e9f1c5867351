"""One record of a changelog: what it holds, whether it can be read, and what would be lost with it."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from aftersend.config.settings import Settings
from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.errors import AftersendError, UsageError
from aftersend.schemas.times import iso
from aftersend.services.installation import codec
from aftersend.services.kafka.cluster import partitions_of
from aftersend.tables.codec.keys import CLOCK_KEY, is_kpi_key
from aftersend.tables.restore import unreadable

#: Short names of the changelogs.
Name = Literal["status", "contacts", "kpis"]

_LOST: Final = {
    "status": "the status, history and counters of one recipient of one delivery. The KPIs go on counting the "
    "recipient (`aftersend compute-stats` shows it as drift), and count it again with its next event",
    "contacts": "all that is held against one address: complaint, unsubscription, quarantine. It may be mailed again "
    "until the next bounce or complaint; suppress it by other means where you know of one",
    "kpis": "the totals of events of one delivery in this partition (opens, clicks, decisions). The counts of "
    "recipients are computed again from the rows, the start is that of the oldest event that a row remembers",
    "clock": "the time of the partition; the next tick sets it",
    "terms": "what was declared of one delivery, in this partition; declare it again",
}


class ChangelogRecord(msgspec.Struct):
    """A record of a changelog."""

    topic: str
    partition: int
    offset: int
    timestamp: float
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    #: Why it can't be read; "": it can.
    error: str
    #: `status`, `contacts`, `kpis`, `clock` or `terms`.
    kind: str
    #: Offsets of other records of the same key, before and after it.
    earlier: list[int]
    later: list[int]
    #: Value of the last earlier record.
    former: bytes | None = None

    @property
    def lost(self) -> str:
        """What is lost if the record is skipped."""
        return _LOST[self.kind]

    def as_json(self) -> dict[str, Any]:
        """Return the record for `--json`; bytes as text, with what is no UTF-8 escaped."""
        return {
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "timestamp": iso(self.timestamp),
            "key": text(self.key),
            "value": text(self.value),
            "headers": {name: text(value) for name, value in self.headers},
            "error": self.error,
            "kind": self.kind,
            "earlier": self.earlier,
            "later": self.later,
            "former_value": text(self.former),
            "lost_if_skipped": self.lost,
        }


def text(value: bytes | None) -> str | None:
    """Return bytes as text; bytes that are no UTF-8 are escaped, so that nothing is hidden."""
    return None if value is None else value.decode(errors="backslashreplace")


async def read_record(settings: Settings, name: Name, partition: int, offset: int) -> ChangelogRecord:
    """Return a record of a changelog, with the places of the others of its key.

    Raises:
        UsageError: if there is no such partition.
        AftersendError: if there is no record at this offset.
        KafkaError: if Kafka can't be read.
    """
    topics = settings.topics
    topic = {"status": topics.status, "contacts": topics.contacts, "kpis": topics.kpis}[name]
    partitions = await partitions_of(settings, topic)
    if not 0 <= partition < partitions:
        raise UsageError(f"{topic} has the partitions 0 to {partitions - 1}")
    found = await _at(settings, topic, partition, offset)
    record = ChangelogRecord(
        topic,
        partition,
        offset,
        found.timestamp / 1000,
        found.key,
        found.value,
        [(header, value or b"") for header, value in found.headers],
        unreadable(found, topic, codec(settings)),
        _kind(name, found.key),
        [],
        [],
    )

    def apply(_topic: str, _partition: int, records: list[FetchedRecord]) -> None:
        for other in records:
            if other.key == record.key and other.offset < offset:
                record.earlier.append(other.offset)
                record.former = other.value
            elif other.key == record.key and other.offset > offset:
                record.later.append(other.offset)

    await changelog.read(settings.kafka_options(), {(topic, partition): None}, apply)
    return record


def _kind(name: Name, key: bytes | None) -> str:
    if name != "kpis" or is_kpi_key(key):
        return name
    return "clock" if key == CLOCK_KEY else "terms"


async def _at(settings: Settings, topic: str, partition: int, offset: int) -> FetchedRecord:
    found = await changelog.read_one(settings.kafka_options(), topic, partition, offset)
    if found is None:
        raise AftersendError(
            f"{topic}, partition {partition} has no record at offset {offset}: a later one of its key has replaced it, "
            "or it belongs to a transaction that was not committed"
        )
    return found
