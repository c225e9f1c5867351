"""Comparison of Redis with Kafka while both change."""

import json

import pytest

from aftersend.schemas.kpi import DeliveryKpis
from aftersend.schemas.version import SCHEMA_VERSION
from aftersend.services.drift.findings import REDIS, Drift, DriftReport
from aftersend.services.drift.live import PartVersions, compare

NEVER = 0.0


def part(partition: int, delivered: int, updated_at: float = 1000.0, delivery_id: str = "d") -> DeliveryKpis:
    return DeliveryKpis(
        SCHEMA_VERSION, delivery_id, partition, 1, 900.0, updated_at, {"delivered": delivered, "late": 0}, {}, {}
    )


def hashed(*parts: int | None, total: int | None = None) -> dict[str, str]:
    """Return a hash whose parts have these numbers of deliveries; None: a missing part."""
    counted = {i: number for i, number in enumerate(parts) if number is not None}
    result = {f"_p{i}": json.dumps({"c": "x", "k": {"delivered": n} if n else {}}) for i, n in counted.items()}
    summed = sum(counted.values()) if total is None else total
    return result | {"delivered": str(summed), "revision": "3", "started_at": "900", "updated_at": "1000.5"}


@pytest.fixture
def versions() -> PartVersions:
    result = PartVersions()
    result.add([part(0, 1), part(1, 5)])
    result.begin()
    return result


def drift(hashes: dict[str, dict[str, str]], versions: PartVersions, oldest: float = NEVER) -> list[Drift]:
    return compare(hashes, versions, DriftReport(), oldest, None)


def test_equal_parts_are_no_drift(versions: PartVersions) -> None:
    assert [] == drift({"d": hashed(1, 5)}, versions)


def test_a_part_with_an_older_version_is_drift(versions: PartVersions) -> None:
    assert [Drift("d", 1, REDIS, "delivered", 5, 4)] == drift({"d": hashed(1, 4)}, versions)


def test_a_part_that_changed_during_the_comparison_is_no_drift(versions: PartVersions) -> None:
    """Kafka had 5 when the comparison began, then 6 and 7: Redis may show any of them."""
    versions.add([part(1, 6), part(1, 7)])

    for shown in (5, 6, 7):
        assert [] == drift({"d": hashed(1, shown)}, versions)
    assert drift({"d": hashed(1, 4)}, versions)
    assert drift({"d": hashed(1, 8)}, versions)


def test_versions_before_the_comparison_do_not_count(versions: PartVersions) -> None:
    versions.add([part(1, 6)])
    versions.begin()

    assert [Drift("d", 1, REDIS, "delivered", 6, 5)] == drift({"d": hashed(1, 5)}, versions)


def test_a_part_that_caught_up_is_no_drift(versions: PartVersions) -> None:
    versions.add([part(2, 3)])

    assert [] == drift({"d": hashed(1, 5)}, versions)
    assert [] == drift({"d": hashed(1, 5, 3)}, versions)


def test_totals_are_the_sums_of_the_parts(versions: PartVersions) -> None:
    assert [Drift("d", None, REDIS, "delivered", 6, 9)] == drift({"d": hashed(1, 5, total=9)}, versions)


def test_a_missing_part_is_drift(versions: PartVersions) -> None:
    assert [Drift("d", 1, REDIS, "delivered", 5, 0)] == drift({"d": hashed(1)}, versions)


def test_a_part_that_kafka_lacks_is_drift(versions: PartVersions) -> None:
    assert [Drift("d", 2, REDIS, "delivered", 0, 8)] == drift({"d": hashed(1, 5, 8)}, versions)


def test_a_delivery_missing_in_redis_is_drift(versions: PartVersions) -> None:
    found = drift({}, versions)

    assert [("d", 0), ("d", 1)] == [(one.delivery_id, one.partition) for one in found]


def test_an_expired_delivery_is_no_drift(versions: PartVersions) -> None:
    report = DriftReport()

    assert [] == compare({}, versions, report, 2000.0, None)
    assert {"d"} == report.expired


def test_a_delivery_that_kafka_lacks_is_drift(versions: PartVersions) -> None:
    assert ["ghost"] == [one.delivery_id for one in drift({"d": hashed(1, 5), "ghost": hashed(2)}, versions)]


def test_only_the_selected_delivery_is_compared(versions: PartVersions) -> None:
    versions.add([part(0, 1, delivery_id="other")])
    versions.begin()

    assert [] == compare({"d": hashed(1, 5)}, versions, DriftReport(), NEVER, "d")
    assert ["other"] == [one.delivery_id for one in compare({}, versions, DriftReport(), NEVER, "other")]
