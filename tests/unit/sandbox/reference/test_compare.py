"""The comparison sees every kind of difference, and takes nothing else for one."""

from collections import Counter
from typing import Any

import msgspec
import pytest

from aftersend.sandbox.reference.compare import Differences, OverdueRows, compare_redis, compare_rows, kpis_of
from tests.unit.folding_in_memory import DAY, START, Partition, events, tick

KEY = b"d\tr@example.org"


@pytest.fixture
def partition() -> Partition:
    partition = Partition()
    partition.fold(events("sent", "delivered", "opened", "complained"))
    assert [] == partition.differences()
    return partition


def changed(partition: Partition, topic: str, key: bytes, **fields: Any) -> list[str]:
    """Return the differences when some fields on a topic were otherwise."""
    record = partition.shown[topic][key]
    assert record.value is not None
    value = msgspec.json.decode(record.value)
    record.value = msgspec.json.encode(value | fields)
    return partition.differences()


@pytest.mark.parametrize(
    "name, value",
    [
        ("status", "delivered"),
        ("version", 5),
        ("facts", ["delivered", "sent"]),
        ("facts", ["sent", "sent", "delivered", "confirmed", "opened", "complained"]),
        ("opens", 2),
        ("sent_at", START + 0.001),
        ("final", False),
        ("cause", {"event_id": "another"}),
        ("unheard_of", 1),
    ],
)
def test_any_field_of_a_row(partition: Partition, name: str, value: Any) -> None:
    (difference,) = changed(partition, partition.settings.topics.status, KEY, **{name: value})
    assert f"{name} is" in difference


def test_rows_that_are_missing_or_too_many(partition: Partition) -> None:
    rows = partition.shown[partition.settings.topics.status]
    record = rows.pop(KEY)
    rows[b"d\tsomebody@else.example"] = record
    assert [
        "partition 0: row d / r@example.org is missing",
        "partition 0: row d / somebody@else.example should not be there",
    ] == (partition.differences())


def test_contacts(partition: Partition) -> None:
    (difference,) = changed(partition, partition.settings.topics.contacts, b"r@example.org", cause="unsubscribed")
    assert "cause is 'unsubscribed', should be 'complained'" in difference


def test_kpis(partition: Partition) -> None:
    topic = partition.settings.topics.kpis
    counted = msgspec.json.decode(partition.values(topic)["d\t0"])["kpis"]
    (difference,) = changed(partition, topic, b"d\t0", kpis=counted | {"delivered": 2})
    assert "KPIs: delivered is 2, should be 1" in difference


def test_the_engine_may_take_its_time_to_end_a_wait() -> None:
    partition = Partition()
    partition.fold(events("sent"))
    rows = partition.values(partition.settings.topics.status)
    reference, found = partition.reference(), Differences()
    reference.pass_time(START + 3 * DAY)
    overdue = compare_rows(reference, rows, found)
    assert ([], {("d", "r@example.org")}) == (found.lines(), overdue.rows)
    assert (1, 1) == (
        kpis_of(reference, overdue)["d"]["status_sent"],
        kpis_of(reference, OverdueRows())["d"]["status_unknown"],
    )
    partition.fold([tick(START + 3 * DAY)])
    assert [] == partition.differences()


def test_the_engine_may_take_its_time_to_forget_a_delivery_too() -> None:
    """One that is first heard of in the very batch whose tick is past its retention."""
    partition = Partition()
    partition.fold([*events("sent"), tick(START + 121 * DAY)])
    assert {"sent": 1} == partition.kpis("d")["statuses"]
    assert [] == partition.differences()
    partition.fold([tick(START + 122 * DAY)])
    assert {"unknown": 1} == partition.kpis("d")["statuses"]
    assert [] == partition.differences()


def test_redis() -> None:
    expected = {"d": Counter({"delivered": 2, "status_sent": 1, "opened": 0}), "e": Counter({"delivered": 1})}
    right = {
        "d": {"delivered": "2", "status_sent": "1", "clicked": "0", "_p0": "{}", "revision": "9"},
        "e": {"delivered": "1"},
    }
    found = Differences()
    compare_redis(expected, right, found)
    assert [] == found.lines()
    compare_redis(expected, {"d": right["d"] | {"delivered": "3"}}, found)
    assert ["Redis: d: delivered is 3, should be 2", "Redis: e is missing"] == sorted(found.lines())


def test_many_differences_are_counted_and_the_first_ones_shown() -> None:
    found = Differences(limit=2)
    for number in range(5):
        found.add(str(number))
    assert ["0", "1", "… and 3 more"] == found.lines()
