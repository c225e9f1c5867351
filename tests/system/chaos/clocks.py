"""Wrong clocks as faults: ticks from far ahead, and records from long ago."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec

from aftersend.config.installation import topic_layouts
from aftersend.engine import admin
from aftersend.rules.recipient.timing import DAY
from aftersend.schemas.event import Feedback
from aftersend.schemas.topics import TIMESTAMP_GUARD, TopicLayout
from tests.system.chaos.installation import Input, Installation

#: Beyond every retention.
FAR_DAYS = 200.0
#: Beyond the statistics period, within the retention of raw records.
OLD_DAYS = 60.0
#: Of a broker that takes every timestamp.
_NO_GUARD = str(2**63 - 1)


async def remove_guards(installation: Installation, *names: str) -> None:
    """Have the broker take records from the future, as one before Kafka 3.6 does, on all topics or on those named."""
    layouts = [
        TopicLayout(one.name, one.partitions, one.config | {TIMESTAMP_GUARD: _NO_GUARD}, one.purpose)
        for one in topic_layouts(installation.settings)
        if TIMESTAMP_GUARD in one.config and (not names or one.name in names)
    ]
    await admin.apply_topics(installation.settings.kafka_options(), layouts, 1)


def far_tick(installation: Installation, days: float = FAR_DAYS) -> Input:
    """Return a tick from far ahead, as a worker whose clock is wrong would write it."""
    at_ms = int((time.time() + days * DAY) * 1000)
    return Input(installation.topics.clock, 0, None, b'{"tick":0}', at_ms)


def forged_ticks(installation: Installation, days: float = FAR_DAYS) -> Iterator[Input]:
    """Yield a tick from far ahead for each partition of the events topic, as another program might write it."""
    at_ms = int((time.time() + days * DAY) * 1000)
    topics, number = installation.topics, installation.settings.partitions
    value = msgspec.json.encode(Feedback(f"far-{at_ms}", "", "", "tick", source="forged"))
    yield from (Input(topics.events, partition, b"", value, at_ms) for partition in range(number))


def far_record(installation: Installation, delivery: str, days: float = FAR_DAYS) -> Input:
    """Return an open whose timestamp lies far ahead: its event does not fit onto the events topic."""
    record = {"event": "open", "recipient": "ahead@example.org", "delivery_id": delivery}
    at_ms = int((time.time() + days * DAY) * 1000)
    return Input(installation.topics.raw("tracking"), 0, None, msgspec.json.encode(record), at_ms)


def old_records(installation: Installation, delivery: str, days: float = OLD_DAYS) -> Iterator[Input]:
    """Yield an open of a delivery for each partition of the tracker's raw topic, stamped long ago: its first event."""
    at_ms = int((time.time() - days * DAY) * 1000)
    for number in range(installation.settings.partitions * 8):
        record = {"event": "open", "recipient": f"old{number}@example.org", "delivery_id": delivery}
        yield Input(
            installation.topics.raw("tracking"),
            number % installation.settings.partitions,
            None,
            msgspec.json.encode(record),
            at_ms,
        )
