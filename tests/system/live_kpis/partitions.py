"""Partitions whose KPIs tests publish to Redis."""

from __future__ import annotations

import time
from typing import Final

from aftersend.publish.redis.publisher import KpiPublisher, counters
from aftersend.rules.kpi.indicators import totals_of
from aftersend.rules.recipient.decisions import Decision
from aftersend.rules.recipient.facts import Fact
from aftersend.rules.recipient.kinds import OPENED, SENT
from aftersend.schemas.kpi import KpiPartial
from aftersend.schemas.packing import pack_bucket, pack_event_counter

EXPIRY_DAYS: Final = 45.0
DAY: Final = 86_400.0
STATUS_SENT: Final = 3


def part(sent: int, opened: int = 0, *, at: float | None = None, version: int = 1) -> KpiPartial:
    """Return a partition's part: rows that were sent, and some that were opened."""
    at = time.time() if at is None else at
    return KpiPartial(
        {
            pack_bucket(STATUS_SENT, Fact.SENT): sent,
            pack_bucket(8, Fact.SENT | Fact.DELIVERED | Fact.OPENED): opened,
        },
        {
            pack_event_counter(1, SENT, Decision.APPLIED): sent + opened,
            pack_event_counter(1, OPENED, Decision.APPLIED): opened,
        },
        at,
        at,
        version,
    )


class Partition:
    """A partition's committed KPIs, and one who publishes them."""

    def __init__(self, publisher: KpiPublisher, number: int) -> None:
        self.publisher = publisher
        self.number = number
        self.parts: dict[str, KpiPartial] = {}
        self.offset = 0

    def take(self, epoch: tuple[int, int]) -> None:
        self.publisher.taken_over(self.number, epoch, lambda: iter(self.parts.items()))

    def change(self, **parts: KpiPartial) -> None:
        self.offset += 10
        self.parts.update(parts)
        self.publisher.changed(self.number, self.offset, parts, {name: totals_of(part) for name, part in parts.items()})


def summed(*parts: KpiPartial) -> dict[str, int]:
    """Return the counters of parts added up."""
    result: dict[str, int] = {}
    for one in parts:
        for name, number in counters(totals_of(one)).items():
            result[name] = result.get(name, 0) + number
    return result
