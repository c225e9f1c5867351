"""What a comparison has found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

#: What is compared with what.
ROWS: Final = "rows and KPI topic"
REDIS: Final = "KPI topic and Redis"
#: What consumers read of a row, and what a restart goes on from.
HEADERS: Final = "rows and their headers"


class Drift(msgspec.Struct, frozen=True):
    """One number that is not what it should be."""

    delivery_id: str
    #: None: the total over all partitions.
    partition: int | None
    #: `ROWS`, `REDIS` or `HEADERS`.
    between: str
    name: str
    expected: int | None
    found: int | None


class DriftReport(msgspec.Struct):
    """What came of comparing everything."""

    drift: list[Drift] = []
    rows: int = 0
    #: Numbers compared.
    compared: int = 0
    deliveries: set[str] = set()
    #: Deliveries whose rows are (or are just being) tombstoned: nothing to recompute from.
    archived: set[str] = set()
    #: Deliveries that left Redis, as they should.
    expired: set[str] = set()
    #: How often something was read again, since it was being written.
    again: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return what scripts read."""
        return {
            "ok": not self.drift,
            "deliveries": len(self.deliveries),
            "rows": self.rows,
            "compared": self.compared,
            "archived": sorted(self.archived),
            "expired_in_redis": sorted(self.expired),
            "read_again": self.again,
            "drift": [msgspec.to_builtins(drift) for drift in self.drift],
        }


def differences(
    expected: Mapping[str, int], found: Mapping[str, int], delivery_id: str, partition: int | None, between: str
) -> list[Drift]:
    """Return where two sets of numbers differ; a number that is not there is 0."""
    return [
        Drift(delivery_id, partition, between, name, expected.get(name, 0), found.get(name, 0))
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name, 0) != found.get(name, 0)
    ]
