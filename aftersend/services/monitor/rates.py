"""Rates between two snapshots of an installation: events and records a second, and the lag of the pipeline."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from aftersend.publish.kpis import Kpis
from aftersend.rules.recipient.decisions import DECISION_NAMES
from aftersend.schemas.times import iso
from aftersend.services.monitor.snapshot import Snapshot


class TopicRate(msgspec.Struct):
    """One topic that the workers consume."""

    topic: str
    partitions: int
    #: Offsets committed a second: records and transaction markers. None: the snapshots have no partition in common.
    per_second: float | None
    #: Records that are not consumed yet.
    waiting: int
    #: Age of the oldest of them, seconds.
    lag_seconds: float
    #: Offsets that were deleted before they were consumed.
    lost: int


class DeliveryRate(msgspec.Struct):
    """One delivery."""

    kpis: Kpis
    #: Events folded a second; None: there is no earlier snapshot to compare with.
    per_second: float | None


class Rates(msgspec.Struct):
    """A snapshot, and the rates since the snapshot before it."""

    #: Time of the snapshot, seconds since 1970.
    at: float
    topics: list[TopicRate]
    deliveries: list[DeliveryRate]
    #: Events of all deliveries by decision, since each delivery began.
    decisions: dict[str, int]
    #: The same a second; empty: there is no earlier snapshot to compare with.
    decisions_per_second: dict[str, float]
    #: Servers that did not answer, as error messages.
    problems: list[str]

    @property
    def events_per_second(self) -> float | None:
        """Events folded a second; None: there is no earlier snapshot to compare with."""
        return sum(self.decisions_per_second.values()) if self.decisions_per_second else None

    def as_json(self, limit: int) -> dict[str, Any]:
        """Return the JSON object of `aftersend top --json`, with at most `limit` deliveries."""
        return {
            "at": iso(self.at),
            "events_per_second": _rounded(self.events_per_second),
            "decisions": self.decisions,
            "decisions_per_second": {name: round(value, 3) for name, value in self.decisions_per_second.items()},
            "topics": [_topic_as_json(topic) for topic in self.topics],
            "deliveries": [_delivery_as_json(delivery) for delivery in self.deliveries[:limit]],
            "known_deliveries": len(self.deliveries),
            "problems": self.problems,
        }


def _topic_as_json(topic: TopicRate) -> dict[str, Any]:
    return {
        "topic": topic.topic,
        "partitions": topic.partitions,
        "records_per_second": _rounded(topic.per_second),
        "lag_records": topic.waiting,
        "lag_seconds": round(topic.lag_seconds, 3),
        "lost_offsets": topic.lost,
    }


def _delivery_as_json(delivery: DeliveryRate) -> dict[str, Any]:
    kpis = delivery.kpis
    return {
        "delivery_id": kpis.delivery_id,
        "events_per_second": _rounded(delivery.per_second),
        "updated_at": iso(kpis.updated_at),
        "kpis": {name: number for name, number in kpis.kpis.items() if number},
        "rates": {name: msgspec.to_builtins(rate) for name, rate in kpis.rates().items()},
        "decisions": {name: number for name, number in kpis.decisions.items() if number},
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


#: Sort keys of deliveries. All but `name` sort in descending order.
SORTS: Final = ("activity", "updated", "audience", "delivered", "opens", "bounces", "complaints", "name")

_KPI_OF_SORT: Final = {
    "audience": "audience",
    "delivered": "delivered",
    "opens": "unique_opens",
    "bounces": "hard_bounced",
    "complaints": "complained",
}


def compute_rates(snapshot: Snapshot, before: Snapshot | None, topics: Iterable[str], sort: str = "activity") -> Rates:
    """Return a snapshot with the rates since the one before it.

    Args:
        snapshot: the later snapshot.
        before: the earlier snapshot; None: there is none, and no rate is known.
        topics: names, in the order in which they are shown.
        sort: one of `SORTS`.
    """
    seconds = snapshot.monotonic - before.monotonic if before is not None else 0.0
    if not seconds:
        before = None
    # Without the earlier counters all that was ever counted would seem to have come at once.
    with_counters = before if before is not None and snapshot.has_deliveries and before.has_deliveries else None
    deliveries = [
        DeliveryRate(kpis, _events_per_second(kpis, with_counters, seconds)) for kpis in snapshot.deliveries.values()
    ]
    decisions = dict.fromkeys(DECISION_NAMES, 0)
    gained = dict.fromkeys(DECISION_NAMES, 0)
    for kpis in snapshot.deliveries.values():
        for name in DECISION_NAMES:
            decisions[name] += kpis.decisions[name]
            if with_counters is not None:
                gained[name] += _gain(kpis, with_counters, name)
    return Rates(
        snapshot.at,
        _topic_rates(snapshot, before, seconds, topics),
        _sorted(deliveries, sort),
        decisions,
        {name: number / seconds for name, number in gained.items()} if with_counters is not None else {},
        snapshot.problems,
    )


def _gain(kpis: Kpis, before: Snapshot, decision: str) -> int:
    """Return the growth of a decision's counter; never negative, since a Redis that lost data is repopulated."""
    earlier = before.deliveries.get(kpis.delivery_id)
    return max(0, kpis.decisions[decision] - (earlier.decisions[decision] if earlier is not None else 0))


def _events_per_second(kpis: Kpis, before: Snapshot | None, seconds: float) -> float | None:
    if before is None:
        return None
    return sum(_gain(kpis, before, name) for name in DECISION_NAMES) / seconds


def _topic_rates(snapshot: Snapshot, before: Snapshot | None, seconds: float, topics: Iterable[str]) -> list[TopicRate]:
    earlier = {(p.topic, p.partition): p for p in before.positions} if before is not None else {}
    rates = []
    for topic in topics:
        positions = [position for position in snapshot.positions if position.topic == topic]
        if not positions:
            continue
        # A partition without a committed offset counts from its first commit on.
        pairs = [(p, earlier[p.topic, p.partition]) for p in positions if (p.topic, p.partition) in earlier]
        gained = sum(max(0, p.start - old.start) for p, old in pairs)
        rates.append(
            TopicRate(
                topic,
                len(positions),
                gained / seconds if pairs else None,
                sum(p.waiting for p in positions),
                max(p.lag_seconds(snapshot.at) for p in positions),
                sum(p.lost for p in positions),
            )
        )
    return rates


def _sorted(deliveries: list[DeliveryRate], sort: str) -> list[DeliveryRate]:
    def latest(delivery: DeliveryRate) -> tuple[float, str]:
        return -delivery.kpis.updated_at, delivery.kpis.delivery_id

    if sort == "name":
        return sorted(deliveries, key=lambda delivery: delivery.kpis.delivery_id)
    if sort == "updated":
        return sorted(deliveries, key=latest)
    if sort == "activity":
        return sorted(deliveries, key=lambda delivery: (-(delivery.per_second or 0.0), *latest(delivery)))
    kpi = _KPI_OF_SORT[sort]
    return sorted(deliveries, key=lambda delivery: (-delivery.kpis.kpis[kpi], *latest(delivery)))
