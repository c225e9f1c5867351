"""Redis against the KPI topic, while both are being written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from aftersend.schemas.kpi import DeliveryKpis
from aftersend.services.drift.findings import REDIS, Drift, DriftReport, differences
from aftersend.services.kpis import flat

_PART_PREFIX: Final = "_p"
_META: Final = frozenset({"started_at", "updated_at", "revision"})

Key = tuple[str, int]


class PartVersions:
    """What each part of a delivery's KPIs has been of late.

    Redis lags behind Kafka by some tenths of a second, and does not say by how many versions. So a part there is right
    if it is what Kafka had when the comparison began, or anything that came since.
    """

    def __init__(self) -> None:
        self.latest: dict[Key, DeliveryKpis] = {}
        self._since: dict[Key, list[dict[str, int]]] = {}

    def begin(self) -> None:
        """Begin a comparison: what was replaced before now counts no longer."""
        self._since = {}

    def take(self, parts: Iterable[DeliveryKpis]) -> None:
        """Take parts in the order in which they were written."""
        for part in parts:
            key = part.delivery_id, part.partition
            if key in self.latest:
                self._since.setdefault(key, [flat(self.latest[key])]).append(flat(part))
            else:
                # Did not exist when the comparison began, so Redis need not have it yet.
                self._since.setdefault(key, [{}]).append(flat(part))
            self.latest[key] = part

    def allowed(self, key: Key) -> list[dict[str, int]]:
        """Return what a part may be, the latest last."""
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
    """Return where Redis says something else than Kafka.

    Args:
        hashes: by delivery, as Redis has them.
        versions: what Kafka has and had.
        report: is told what was looked at.
        oldest: what last changed before (seconds since 1970) need not be in Redis any more.
        only: the one delivery of interest; None: all.
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
        # Inside Redis: a delivery's totals are the sums of its parts.
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
    """Return a hash's totals and its parts, zeros left out."""
    totals: dict[str, int] = {}
    parts: dict[int, dict[str, int]] = {}
    for name, value in values.items():
        if name.startswith(_PART_PREFIX):
            part: dict[str, Any] = json.loads(value)
            parts[int(name.removeprefix(_PART_PREFIX))] = {k: int(n) for k, n in part["k"].items() if n}
        elif name not in _META and int(value):
            totals[name] = int(value)
    return totals, parts
