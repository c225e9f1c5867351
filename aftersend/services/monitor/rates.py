"""What two looks come to: how quickly the numbers move, and how far behind the pipeline is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from aftersend.rules.recipient.lifecycle import DECISION_NAMES
from aftersend.schemas.times import iso
from aftersend.services.kpis import Kpis
from aftersend.services.monitor.snapshot import Look


class Flow(msgspec.Struct):
    """One topic that the pipeline reads."""

    topic: str
    partitions: int
    #: Offsets committed a second: records, and the ends of transactions. None: not known yet.
    per_second: float | None
    #: Records that wait, and for how long the first of them has, seconds.
    waiting: int
    seconds: float
    #: Offsets deleted before they were read.
    lost: int


class Moving(msgspec.Struct):
    """One delivery."""

    kpis: Kpis
    #: Events that were decided on, a second; None: not known yet.
    per_second: float | None


class Pulse(msgspec.Struct):
    """How things stand, and how they move."""

    at: float
    flows: list[Flow]
    deliveries: list[Moving]
    #: Events by decision since ever, of all deliveries, and a second.
    decisions: dict[str, int]
    decisions_per_second: dict[str, float]
    problems: list[str]

    @property
    def events_per_second(self) -> float | None:
        """Events that were decided on, a second; None: not known yet."""
        return sum(self.decisions_per_second.values()) if self.decisions_per_second else None

    def as_json(self, limit: int) -> dict[str, Any]:
        """Return what scripts read."""
        return {
            "at": iso(self.at),
            "events_per_second": _rounded(self.events_per_second),
            "decisions": self.decisions,
            "decisions_per_second": {name: round(value, 3) for name, value in self.decisions_per_second.items()},
            "topics": [
                {
                    "topic": flow.topic,
                    "partitions": flow.partitions,
                    "records_per_second": _rounded(flow.per_second),
                    "lag_records": flow.waiting,
                    "lag_seconds": round(flow.seconds, 3),
                    "lost_offsets": flow.lost,
                }
                for flow in self.flows
            ],
            "deliveries": [
                {
                    "delivery_id": one.kpis.delivery_id,
                    "events_per_second": _rounded(one.per_second),
                    "updated_at": iso(one.kpis.updated_at),
                    "kpis": {name: number for name, number in one.kpis.kpis.items() if number},
                    "rates": {name: msgspec.to_builtins(rate) for name, rate in one.kpis.rates().items()},
                    "decisions": {name: number for name, number in one.kpis.decisions.items() if number},
                }
                for one in self.deliveries[:limit]
            ],
            "known_deliveries": len(self.deliveries),
            "problems": self.problems,
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


#: By which deliveries can be sorted: the key, and how. All but the name put the largest first.
SORTS: Final = ("activity", "updated", "audience", "delivered", "opens", "bounces", "complaints", "name")

_KPI_OF_SORT: Final = {
    "audience": "audience",
    "delivered": "delivered",
    "opens": "unique_opens",
    "bounces": "hard_bounced",
    "complaints": "complained",
}


def pulse(look: Look, before: Look | None, topics: Iterable[str], sort: str = "activity") -> Pulse:
    """Return what two looks come to.

    Args:
        look: the later one.
        before: the earlier one; None: there was none, and nothing is known of speeds.
        topics: in the order in which they are shown.
        sort: one of `SORTS`.
    """
    seconds = look.ticks - before.ticks if before is not None else 0.0
    compare_redis = before if before is not None and look.has_deliveries and before.has_deliveries and seconds else None
    moving = [Moving(kpis, _speed(kpis, compare_redis, seconds)) for kpis in look.deliveries.values()]
    decisions = dict.fromkeys(DECISION_NAMES, 0)
    gained = dict.fromkeys(DECISION_NAMES, 0)
    for kpis in look.deliveries.values():
        for name in DECISION_NAMES:
            decisions[name] += kpis.decisions[name]
            if compare_redis is not None:
                gained[name] += _gain(kpis, compare_redis, name)
    return Pulse(
        look.at,
        _flows(look, before if seconds else None, seconds, topics),
        _sorted(moving, sort),
        decisions,
        {name: number / seconds for name, number in gained.items()} if compare_redis is not None else {},
        look.problems,
    )


def _gain(kpis: Kpis, before: Look, name: str) -> int:
    """Return by how much a decision grew: it never shrinks, but a Redis that lost everything is filled again."""
    known = before.deliveries.get(kpis.delivery_id)
    return max(0, kpis.decisions[name] - (known.decisions[name] if known is not None else 0))


def _speed(kpis: Kpis, before: Look | None, seconds: float) -> float | None:
    if before is None:
        return None
    return sum(_gain(kpis, before, name) for name in DECISION_NAMES) / seconds


def _flows(look: Look, before: Look | None, seconds: float, topics: Iterable[str]) -> list[Flow]:
    known = {(p.topic, p.partition): p for p in before.positions} if before is not None else {}
    flows = []
    for topic in topics:
        mine = [position for position in look.positions if position.topic == topic]
        if not mine:
            continue
        pairs = [(p, known[p.topic, p.partition]) for p in mine if (p.topic, p.partition) in known]
        # Partitions that were never committed may be begun any time; from then on they count.
        gained = sum(max(0, p.start - old.start) for p, old in pairs)
        flows.append(
            Flow(
                topic,
                len(mine),
                gained / seconds if pairs else None,
                sum(p.waiting for p in mine),
                max(p.seconds(look.at) for p in mine),
                sum(p.lost for p in mine),
            )
        )
    return flows


def _sorted(moving: list[Moving], sort: str) -> list[Moving]:
    def latest(one: Moving) -> tuple[float, str]:
        return -one.kpis.updated_at, one.kpis.delivery_id

    if sort == "name":
        return sorted(moving, key=lambda one: one.kpis.delivery_id)
    if sort == "updated":
        return sorted(moving, key=latest)
    if sort == "activity":
        return sorted(moving, key=lambda one: (-(one.per_second or 0.0), *latest(one)))
    kpi = _KPI_OF_SORT[sort]
    return sorted(moving, key=lambda one: (-one.kpis.kpis[kpi], *latest(one)))
