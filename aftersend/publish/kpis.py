"""KPIs of a delivery as they are shown: numbers, and rates with numerator and denominator; and their keys in Redis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from aftersend.rules.kpi.indicators import RATES, ROW_KPIS, RateValue
from aftersend.rules.recipient.decisions import DECISION_NAMES
from aftersend.rules.recipient.statuses import STATUS_NAMES
from aftersend.schemas.times import iso

#: Prefixes of fields of a hash in Redis: rows by status, and parts of partitions.
STATUS_PREFIX: Final = "status_"
_PART_PREFIX: Final = "_p"
_TIMES: Final = frozenset({"started_at", "updated_at"})


class Kpis(msgspec.Struct):
    """The KPIs of one delivery."""

    delivery_id: str
    #: By the names of `aftersend.rules.kpi.indicators`, without the decisions.
    kpis: dict[str, int]
    #: Rows by status, in the order of the statuses' ranks.
    statuses: dict[str, int]
    #: Events by decision.
    decisions: dict[str, int]
    started_at: float
    updated_at: float
    archived: bool = False
    #: Events by source, kind and decision; empty if read from Redis, which does not hold them.
    events: dict[str, dict[str, dict[str, int]]] = {}
    #: Declared, without an event so far: all numbers are 0.
    silent: bool = False
    #: Of a silent delivery, how many recipients it is meant for; None: not declared, or unknown.
    expected_audience: int | None = None

    def rates(self) -> dict[str, RateValue]:
        """Return every rate with its numerator and denominator."""
        result = {}
        for rate in RATES:
            above, below = self.kpis.get(rate.numerator, 0), self.kpis.get(rate.denominator, 0)
            value = above / below if below else None
            result[rate.name] = RateValue(value, above, rate.numerator, below, rate.denominator)
        return result

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object of `aftersend kpi --json`."""
        result: dict[str, Any] = {
            "delivery_id": self.delivery_id,
            "started_at": iso(self.started_at),
            "updated_at": iso(self.updated_at),
            "kpis": self.kpis,
            "rates": {name: msgspec.to_builtins(rate) for name, rate in self.rates().items()},
            "statuses": self.statuses,
            "decisions": self.decisions,
        }
        if self.archived:
            result["archived"] = True
        if self.silent:
            result["silent"] = True
            if self.expected_audience is not None:
                result["expected_audience"] = self.expected_audience
        if self.events:
            result["events"] = self.events
        return result


def from_counters(
    delivery_id: str, counters: Mapping[str, int], started_at: float, updated_at: float, *, archived: bool = False
) -> Kpis:
    """Return KPIs from counters by their names in Redis; missing counters are 0."""
    statuses = {name: counters.get(STATUS_PREFIX + name, 0) for name in ("none", *STATUS_NAMES)}
    return Kpis(
        delivery_id,
        {name: counters.get(name, 0) for name in ROW_KPIS},
        {name: rows for name, rows in statuses.items() if rows},
        {name: counters.get(name, 0) for name in DECISION_NAMES},
        started_at,
        updated_at,
        archived,
    )


def silent_kpis(
    delivery_id: str, start: float | None, declared_at: float, expected_audience: int | None = None
) -> Kpis:
    """Return the KPIs of a delivery that is declared and has no event so far: all are 0.

    Args:
        delivery_id: of the delivery.
        start: declared, seconds since 1970; None: the declaration stands for it.
        declared_at: arrival of the declaration, seconds since 1970.
        expected_audience: declared; None: not declared, or unknown.
    """
    kpis = from_counters(delivery_id, {}, declared_at if start is None else start, declared_at)
    kpis.silent, kpis.expected_audience = True, expected_audience
    return kpis


def from_hash(delivery_id: str, found: Mapping[str, str]) -> Kpis:
    """Return KPIs from a delivery's hash in Redis."""
    counters = {
        name: int(value) for name, value in found.items() if not name.startswith(_PART_PREFIX) and name not in _TIMES
    }
    return from_counters(delivery_id, counters, float(found.get("started_at", 0)), float(found.get("updated_at", 0)))


def key_of(prefix: str, delivery_id: str) -> str:
    """Return the key of a delivery's hash in Redis."""
    return f"{prefix}:kpi:{delivery_id}"


def part_field(partition: int) -> str:
    """Return the field of a delivery's hash that holds a partition's part."""
    return f"{_PART_PREFIX}{partition}"


def pattern_of(prefix: str) -> str:
    """Return the pattern of all hashes' keys; special characters of the prefix are escaped."""
    return "".join(f"\\{c}" if c in "*?[]^\\" else c for c in key_of(prefix, "")) + "*"
