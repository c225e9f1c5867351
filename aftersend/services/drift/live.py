"""Compares Redis with the KPI topic while both are written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from aftersend.schemas.kpi import DeliveryKpis
from aftersend.services.drift.findings import REDIS, Drift, DriftReport, differences
from aftersend.services.kpis.stored import flat

#: Prefix of the fields that hold the part of a partition.
_PART_PREFIX: Final = "_p"
#: Fields that are no counters.
_META: Final = frozenset({"started_at", "updated_at", "revision"})

#: Delivery id and partition.
PartId = tuple[str, int]


class PartVersions:
    """Recent versions of the parts of deliveries' KPIs.

    Redis lags behind Kafka by some tenths of a second, and does not have the version of a part. So a part in Redis is
    right if it equals the version in Kafka when the comparison began, or any later one.
    """

    def __init__(self) -> None:
        self.latest: dict[PartId, DeliveryKpis] = {}
        #: Versions since the comparison began, the first of them included.
        self._since: dict[PartId, list[dict[str, int]]] = {}

    def begin(self) -> None:
        """Begin a comparison: versions that are replaced by now are no longer right."""
        self._since = {}

    def add(self, parts: Iterable[DeliveryKpis]) -> None:
        """Add parts in the order in which they were written."""
        for part in parts:
            key = part.delivery_id, part.partition
            if key in self.latest:
                self._since.setdefault(key, [flat(self.latest[key])]).append(flat(part))
            else:
                # It did not exist when the comparison began, so Redis may not have it yet.
                self._since.setdefault(key, [{}]).append(flat(part))
            self.latest[key] = part

    def allowed(self, key: PartId) -> list[dict[str, int]]:
        """Return the right versions of a part, the latest last."""
        if key in self._since:
            return self._since[key]
        return [flat(self.latest[key])] if key in self.latest else [{}]


def compare(
    hashes: Mapping[str, Mapping[str, str]],
    versions: PartVersions,
    report: DriftReport,
    oldest: float,
    only: str | None,
) -> list[Drift]:
    """Return the numbers in Redis that differ from Kafka.

    Args:
        hashes: in Redis, by delivery id.
        versions: of the parts in Kafka.
        report: gets the number of comparisons, and the deliveries that were compared or have expired.
        oldest: parts last changed before this (seconds since 1970) may have expired in Redis.
        only: id of the only delivery to compare; None: all.
    """
    drift: list[Drift] = []
    parts: dict[str, set[int]] = {delivery_id: set() for delivery_id in hashes}
    for delivery_id, partition in versions.latest:
        if only is None or delivery_id == only:
            parts.setdefault(delivery_id, set()).add(partition)
    for delivery_id, known in sorted(parts.items()):
        if only is not None and delivery_id != only:
            continue
        report.deliveries.add(delivery_id)
        totals, found = _split(hashes.get(delivery_id, {}))
        summed: Counter[str] = Counter()
        for numbers in found.values():
            summed.update(numbers)
        # Within Redis, a delivery's totals are the sums of its parts.
        drift += differences(summed, totals, delivery_id, None, REDIS)
        for partition in sorted(known | found.keys()):
            drift += _part(delivery_id, partition, found.get(partition), versions, oldest, report)
    return drift


def _part(
    delivery_id: str,
    partition: int,
    found: dict[str, int] | None,
    versions: PartVersions,
    oldest: float,
    report: DriftReport,
) -> list[Drift]:
    key = delivery_id, partition
    allowed = versions.allowed(key)
    report.compared += len(allowed[-1])
    if found is None:
        if {} in allowed:
            return []
        if key in versions.latest and versions.latest[key].updated_at <= oldest:
            report.expired.add(delivery_id)
            return []
    elif found in allowed:
        return []
    return differences(allowed[-1], found or {}, delivery_id, partition, REDIS)


def _split(values: Mapping[str, str]) -> tuple[dict[str, int], dict[int, dict[str, int]]]:
    """Return the totals and the parts of a hash, without zeros."""
    totals: dict[str, int] = {}
    parts: dict[int, dict[str, int]] = {}
    for name, value in values.items():
        if name.startswith(_PART_PREFIX):
            part: dict[str, Any] = json.loads(value)
            parts[int(name.removeprefix(_PART_PREFIX))] = {k: int(n) for k, n in part["k"].items() if n}
        elif name not in _META and int(value):
            totals[name] = int(value)
    return totals, parts
