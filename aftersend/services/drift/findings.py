"""Results of a drift check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

#: Pairs that are compared.
ROWS: Final = "rows and KPI topic"
REDIS: Final = "KPI topic and Redis"
#: Public record of a row, and the stored row in its headers, which a restore reads.
HEADERS: Final = "rows and their headers"


class Drift(msgspec.Struct, frozen=True):
    """One number that differs."""

    delivery_id: str
    #: None: the sum over all partitions.
    partition: int | None
    #: `ROWS`, `REDIS` or `HEADERS`.
    between: str
    name: str
    expected: int | None
    found: int | None


class DriftReport(msgspec.Struct):
    """Result of a check."""

    drift: list[Drift] = []
    #: Rows counted.
    rows: int = 0
    #: Numbers compared.
    compared: int = 0
    #: Deliveries compared.
    deliveries: set[str] = set()
    #: Deliveries whose rows are deleted, or are being deleted: their KPIs can't be recomputed.
    archived: set[str] = set()
    #: Deliveries that have expired in Redis.
    expired: set[str] = set()
    #: Readings that were repeated, since workers were writing.
    retries: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object of `aftersend compute-stats --json`."""
        return {
            "ok": not self.drift,
            "deliveries": len(self.deliveries),
            "rows": self.rows,
            "compared": self.compared,
            "archived": sorted(self.archived),
            "expired_in_redis": sorted(self.expired),
            "read_again": self.retries,
            "drift": [msgspec.to_builtins(drift) for drift in self.drift],
        }


def differences(
    expected: Mapping[str, int], found: Mapping[str, int], delivery_id: str, partition: int | None, between: str
) -> list[Drift]:
    """Return the numbers that differ; a missing number is 0."""
    return [
        Drift(delivery_id, partition, between, name, expected.get(name, 0), found.get(name, 0))
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name, 0) != found.get(name, 0)
    ]
