"""Names and layouts of all topics, declared once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

_MINUTE_MS: Final = 60 * 1000
_DAY_MS: Final = 24 * 60 * _MINUTE_MS
_MIB: Final = 1024 * 1024
#: The broker's own guard: it takes no record whose timestamp is further in the future, milliseconds. Kafka has it since
#: 3.6; since 4.0 its default is an hour. There is none for the past: records are written late, and replayed.
TIMESTAMP_GUARD: Final = "message.timestamp.after.max.ms"
#: No guard. What the engine writes has the time of what it has read: a broker that has taken the one must not refuse
#: the other, or the partition would stand still.
_ANY_TIMESTAMP: Final = str(2**63 - 1)


class Topics:
    """The names of all topics of one installation.

    Args:
        prefix: of every name; installations that share a cluster have different prefixes.
        events: name of the topic of canonical events, if not the default one.
        raw: by source, names of raw topics that are not the default ones, such as one that an MTA writes already.
    """

    def __init__(self, prefix: str = "feedback", events: str = "", raw: Mapping[str, str] | None = None) -> None:
        self.prefix = prefix
        self._raw = dict(raw or {})
        self.events = events or f"{prefix}.events"
        self.status = f"{prefix}.status"
        self.contacts = f"{prefix}.contacts"
        self.kpis = f"{prefix}.kpis"
        self.deliveries = f"{prefix}.deliveries"
        self.alerts = f"{prefix}.alerts"
        self.dead_letters = f"{prefix}.dead-letters"
        self.control = f"{prefix}.control"
        self.positions = f"{prefix}.positions"
        self.clock = self.raw("clock")

    def raw(self, source: str) -> str:
        """Return the raw topic of a source."""
        return self._raw.get(source) or f"{self.prefix}.raw.{source}"


class TopicLayout(msgspec.Struct, frozen=True):
    """The layout with which `aftersend topics apply` creates one topic."""

    name: str
    partitions: int
    config: dict[str, str]
    purpose: str


def layouts(
    topics: Topics,
    sources: tuple[str, ...],
    partitions: int,
    raw_retention_days: float = 90.0,
) -> tuple[TopicLayout, ...]:
    """Return the layout of every topic of an installation.

    Args:
        topics: the names.
        sources: names of the sources with raw topics, the clock excluded.
        partitions: of the raw topics, of `events` and of its changelogs (which must have as many).
        raw_retention_days: how long raw records and events are kept for replay, in days.
    """
    kept = {
        "cleanup.policy": "delete",
        "retention.ms": str(int(raw_retention_days * _DAY_MS)),
        "message.timestamp.type": "CreateTime",
    }
    arrivals = kept | {TIMESTAMP_GUARD: str(60 * _MINUTE_MS)}
    # What the ticks say is the time for everybody: the clocks of the workers and brokers have to be in step.
    ticks = kept | {TIMESTAMP_GUARD: str(10 * _MINUTE_MS)}
    letters = kept | {TIMESTAMP_GUARD: _ANY_TIMESTAMP}
    compacted = {
        TIMESTAMP_GUARD: _ANY_TIMESTAMP,
        "cleanup.policy": "compact",
        "message.timestamp.type": "CreateTime",
        # A tombstone stays long enough for a restart from local state to read it (`store_max_age`).
        "delete.retention.ms": str(_DAY_MS),
    }
    # The last record of an alert is its state, which must stay; a consumer that is down for a week reads every change.
    alerts = compacted | {"min.compaction.lag.ms": str(7 * _DAY_MS)}
    # Every transaction writes to it, and every take-over reads it: it is compacted often, and its segments are small.
    positions = compacted | {
        "segment.bytes": str(_MIB),
        "min.cleanable.dirty.ratio": "0.1",
        "delete.retention.ms": str(_MINUTE_MS),
    }
    return (
        *(TopicLayout(topics.raw(name), partitions, arrivals, f"raw records of the source {name}") for name in sources),
        TopicLayout(topics.clock, 1, ticks, "ticks of the leader's clock"),
        TopicLayout(topics.events, partitions, arrivals, "canonical events, keyed by recipient"),
        TopicLayout(topics.status, partitions, compacted, "state of every recipient of every delivery"),
        TopicLayout(topics.contacts, partitions, compacted, "state of every address"),
        TopicLayout(topics.kpis, partitions, compacted, "KPIs of every delivery, one partial per partition"),
        TopicLayout(topics.deliveries, partitions, compacted, "declarations of deliveries by their senders"),
        TopicLayout(topics.alerts, 1, alerts, "alerts on deliveries, raised and ended"),
        TopicLayout(topics.dead_letters, partitions, letters, "unreadable records, byte for byte"),
        TopicLayout(topics.control, 1, kept, "commands of operators to running workers"),
        TopicLayout(topics.positions, 1, positions, "how far each partition was processed, and who owns the topics"),
    )
