"""KPIs recounted from the records of the real fold."""

from collections.abc import Iterable
from copy import copy
from typing import Any

import msgspec
import pytest

from aftersend.rules.recipient.timing import DAY
from aftersend.schemas.event import Feedback
from aftersend.schemas.kpi import DeliveryKpis
from aftersend.services.drift.findings import HEADERS, ROWS, Drift, DriftReport
from aftersend.services.drift.recount import PartitionRecount
from tests.unit.folding_in_memory import START, Partition, Record, events, tick


def feedback(recipient: str, *kinds: str, delivery_id: str = "d", **more: Any) -> list[Feedback]:
    return [
        msgspec.structs.replace(event, event_id=f"{recipient}-{event.event_id}", **more)
        for event in events(*kinds, delivery_id=delivery_id, recipient=recipient)
    ]


@pytest.fixture
def partition() -> Partition:
    return Partition()


def recounted(partition: Partition, retention: float = 120 * DAY) -> PartitionRecount:
    result = PartitionRecount(partition.number, partition.codec, retention)
    topics = partition.settings.topics
    for topic in (topics.status, topics.kpis):
        result.apply(topic, partition.number, list(partition.shown.get(topic, {}).values()))  # type: ignore[arg-type]
    return result


def drift(recount: PartitionRecount, only: str | None = None) -> list[Drift]:
    return recount.compare(DriftReport(), only)


def campaign() -> Iterable[Feedback]:
    yield from feedback("a@x.org", "sent", "delivered", "opened", "opened", "clicked")
    yield from feedback("b@x.org", "sent", "deferred", "delivered", "complained", "opened")
    yield from feedback("c@x.org", "sent", "hard_bounce")
    yield from feedback("d@x.org", "sent", "delivered", "opened", machine=True)
    yield from feedback("d@x.org", "clicked", machine=True)
    yield from feedback("e@x.org", "sent", "delivered", "clicked", unsubscribe_link=True)
    yield from feedback("a@x.org", "sent", "delivered", "opened", delivery_id="other")


def test_the_recount_equals_the_folded_kpis(partition: Partition) -> None:
    partition.fold([*campaign(), *campaign()])

    recount = recounted(partition)
    report = DriftReport()

    assert [] == recount.compare(report, None)
    assert {"d", "other"} == report.deliveries
    assert 6 == recount.rows(None)
    assert 1 == recount.rows("other")
    assert report.compared > 50


def test_test_messages_and_unattributed_events_are_recounted(partition: Partition) -> None:
    """Neither is in any KPI."""
    partition.fold(
        [
            *campaign(),
            *feedback("t@x.org", "sent", "delivered", "opened", test=True),
            *feedback("", "sent", "opened"),
            *feedback("u@x.org", "sent", "opened", "clicked", delivery_id=""),
        ]
    )

    assert [] == drift(recounted(partition))


def tampered(partition: Partition, delivery_id: str, **changed: int) -> PartitionRecount:
    """Return a PartitionRecount with a KPI record of different numbers."""
    recount = recounted(partition)
    part = recount.parts[delivery_id]
    recount.parts[delivery_id] = msgspec.structs.replace(part, kpis=part.kpis | changed)
    return recount


def test_a_different_number_is_drift(partition: Partition) -> None:
    partition.fold(campaign())

    assert [Drift("d", 0, ROWS, "delivered", 4, 5)] == drift(tampered(partition, "d", delivered=5))
    assert [Drift("d", 0, ROWS, "total_opens", 3, 2)] == drift(tampered(partition, "d", total_opens=2))


def test_only_the_selected_delivery_is_compared(partition: Partition) -> None:
    partition.fold(campaign())

    assert [] == drift(tampered(partition, "d", delivered=5), "other")


def test_a_missing_row_is_drift(partition: Partition) -> None:
    partition.fold(campaign())
    del partition.shown[partition.settings.topics.status][b"d\tc@x.org"]

    names = {one.name for one in drift(recounted(partition))}

    assert {"audience", "sent", "hard_bounced", "status_hard_bounce"} == names


def test_a_row_that_differs_from_its_header_is_drift(partition: Partition) -> None:
    """Consumers read the value, a restart continues from the header."""
    partition.fold(campaign())
    status = partition.shown[partition.settings.topics.status]
    status[b"d\tc@x.org"].headers = status[b"d\ta@x.org"].headers

    assert [Drift("d", 0, HEADERS, "rows that disagree", 0, 1)] == drift(recounted(partition))


def test_a_later_record_that_agrees_with_its_header_is_no_drift(partition: Partition) -> None:
    partition.fold(campaign())
    topic = partition.settings.topics.status
    status = partition.shown[topic]
    true, status[b"d\tc@x.org"] = status[b"d\tc@x.org"], copy(status[b"d\tc@x.org"])
    status[b"d\tc@x.org"].headers = status[b"d\ta@x.org"].headers
    recount = recounted(partition)
    recount.apply(topic, partition.number, [true])  # type: ignore[list-item]

    assert [] == drift(recount)


def test_a_missing_kpi_record_is_drift(partition: Partition) -> None:
    partition.fold(campaign())
    del partition.shown[partition.settings.topics.kpis][b"other\t0"]

    assert {"other"} == {one.delivery_id for one in drift(recounted(partition))}


def test_deliveries_past_their_retention_are_archived(partition: Partition) -> None:
    partition.fold(campaign())
    partition.fold([tick(START + 121 * DAY)])

    report = DriftReport()

    assert [] == recounted(partition).compare(report, None)
    assert {"d", "other"} == report.archived


def test_a_delivery_is_archived_while_its_rows_are_deleted(partition: Partition) -> None:
    """One tick deletes a limited number of rows; the next one deletes further rows."""
    partition.fold(campaign())
    recount = recounted(partition)
    recount.apply(partition.settings.topics.status, 0, [Record(9, 0, b"d\ta@x.org", None)])  # type: ignore[list-item]
    report = DriftReport()

    assert [] == recount.compare(report, None)
    assert {"d"} == report.archived


def test_a_delivery_past_its_retention_by_the_clock_is_archived(partition: Partition) -> None:
    partition.fold([*campaign(), tick(START + 2 * DAY)])
    report = DriftReport()

    recounted(partition, retention=DAY).compare(report, None)

    assert {"d", "other"} == report.archived


def test_a_later_record_replaces_an_earlier_one(partition: Partition) -> None:
    """After a difference, the topics are read further, not from the beginning."""
    partition.fold(feedback("a@x.org", "sent"))
    recount = recounted(partition)
    partition.fold(feedback("a@x.org", "sent", "delivered"))
    topics = partition.settings.topics

    recount.apply(topics.status, 0, list(partition.shown[topics.status].values()))  # type: ignore[arg-type]
    assert drift(recount)
    recount.apply(topics.kpis, 0, list(partition.shown[topics.kpis].values()))  # type: ignore[arg-type]

    assert [] == drift(recount)
    assert isinstance(recount.parts["d"], DeliveryKpis)
