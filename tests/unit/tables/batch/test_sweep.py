"""What time does to rows: waits that end, deliveries that freeze, rows that are forgotten."""

import msgspec
import pytest

from aftersend.rules.recipient.history import unpack_history
from aftersend.rules.recipient.kinds import KIND_NAME
from aftersend.rules.recipient.timing import timing
from aftersend.tables.codec.public import decode_clock
from aftersend.tables.stores.base import PartitionStore
from tests.unit.rules.factories import DAY, HOUR, NUMBERS, START, event
from tests.unit.tables.factories import Partition, tick

QUICK = timing(freeze=DAY, retention=2 * DAY, numbers=NUMBERS)


@pytest.fixture
def quick(store: PartitionStore) -> Partition:
    """Return a partition that freezes after a day and forgets after two."""
    return Partition(store, times=QUICK)


def test_an_event_after_the_freeze_is_late(quick: Partition) -> None:
    """Case 18: statuses and KPIs no longer change; it is counted, and remembered."""
    quick.take(event("sent"))
    before = quick.kpis()
    quick.take(event("delivered", DAY - 1), event("clicked", DAY), event("hard_bounce", DAY + 1))
    row = quick.row()

    assert row is not None
    assert (6, 2, 0) == (row.status, row.version, row.clicks)
    assert before | {"delivered": 1, "applied": 2, "late": 2} == quick.kpis()


def test_the_freeze_counts_from_the_deliverys_first_arrival(quick: Partition) -> None:
    """Whatever the recipient; and `occurred_at` is somebody else's clock."""
    quick.take(event("sent", recipient="first@example.org"))
    quick.take(event("sent", DAY, occurred_at=START))

    assert quick.row() is None
    assert 1 == quick.kpis()["late"]


def test_late_events_are_late_however_often_they_come(quick: Partition) -> None:
    opened = event("opened", 2 * HOUR)
    again = msgspec.structs.replace(opened, received_at=START + 25 * HOUR)
    quick.take(event("sent"), opened)
    quick.take(again, again)

    assert (2, 1) == (quick.kpis()["late"], quick.kpis()["total_opens"])


def test_a_complaint_after_the_freeze_still_counts_for_the_contact(quick: Partition) -> None:
    """Statistics are closed, but nobody who complains may be mailed again."""
    quick.take(event("sent"))
    quick.take(event("complained", 2 * DAY))

    assert "complained" == quick.contact()["cause"]


def test_a_duplicate_after_the_freeze_is_not_held_against_anybody_again(quick: Partition) -> None:
    bounce = event("soft_bounce", HOUR)
    quick.take(event("sent"), bounce)
    quick.take(msgspec.structs.replace(bounce, received_at=START + 2 * DAY - 1))

    assert 1 == quick.contact()["failures"]


def test_rows_past_their_retention_are_tombstoned(quick: Partition) -> None:
    """KPIs stay."""
    quick.take(event("delivered"), event("opened", 1, recipient="other@example.org"))
    before = quick.kpis()
    quick.take(tick(2 * DAY - 1))
    assert 2 == len(quick.rows())
    quick.take(tick(2 * DAY))

    assert {} == quick.rows()
    assert {b"d\tr@example.org": None, b"d\tother@example.org": None} == {
        record.key: record.value for record in quick.written["feedback.status"][-2:]
    }
    assert before == quick.kpis()
    partial = quick.store.partial("d")
    assert partial is not None
    assert partial.archived


def test_rows_past_their_retention_are_tombstoned_with_those_that_the_batch_has_made(quick: Partition) -> None:
    quick.take(event("delivered"))
    quick.take(event("planned", 1, recipient="other@example.org"))
    quick.take(
        event("sent", 2, recipient="other@example.org"), event("sent", 3, recipient="new@example.org"), tick(9 * DAY)
    )

    assert {} == quick.rows()
    assert {"delivered": 1, "sent": 2} == quick.statuses(), "their windows end after the freeze"


def test_what_comes_after_the_retention_makes_no_row(quick: Partition) -> None:
    quick.take(event("delivered"))
    quick.take(tick(3 * DAY))
    quick.take(event("opened", 4 * DAY))

    assert {} == quick.rows()
    assert (1, 0) == (quick.kpis()["late"], quick.kpis().get("total_opens", 0))


def test_a_tick_is_remembered(partition: Partition) -> None:
    partition.take(tick(60.0))
    partition.take(tick(30.0))

    assert START + 60 == partition.store.tick
    assert START + 60 == decode_clock(partition.last("feedback.kpis", "@clock").value or b"")
    assert 1 == len(partition.written["feedback.kpis"]), "a tick that says less changes nothing"


def test_a_tick_ends_the_waits_that_are_over(partition: Partition) -> None:
    """Case 17, without any further event."""
    partition.take(event("sent"), event("deferred", HOUR, recipient="other@example.org"))
    partition.take(tick(48 * HOUR))
    assert {"unknown": 1, "deferred": 1} == partition.statuses()
    partition.take(tick(49.5 * HOUR))

    assert {"unknown": 1, "soft_bounce": 1} == partition.statuses()
    assert 2 == partition.kpis()["expired"]


def test_a_tick_looks_at_no_row_twice(partition: Partition) -> None:
    partition.take(event("sent"))
    partition.take(tick(48 * HOUR))
    written = len(partition.written["feedback.status"])
    partition.take(tick(96 * HOUR))

    assert written == len(partition.written["feedback.status"])


def test_a_restarted_worker_ends_the_waits_that_it_finds(partition: Partition) -> None:
    """When rows are due is not stored: the first tick after a restart looks."""
    partition.take(event("sent"))
    partition.first_expiries.clear()
    partition.take(tick(50 * HOUR))

    assert {"unknown": 1} == partition.statuses()


def test_a_row_that_begins_to_wait_behind_a_scan_is_found_by_the_next_one(store: PartitionStore) -> None:
    """A delivery with more rows than one tick looks at is looked through page by page."""
    partition = Partition(store, sweep_rows=2)
    partition.take(*(event("planned", recipient=f"{i}@example.org") for i in range(3)))
    partition.take(tick(1))
    partition.take(event("sent", 2, recipient="0@example.org"))
    partition.take(tick(3))
    assert {"sent": 1, "planned": 2} == partition.statuses()
    for hours in range(49, 53):
        partition.take(tick(hours * HOUR))

    assert {"unknown": 1, "planned": 2} == partition.statuses()


def test_an_expiry_is_counted_the_same_whoever_notices_it() -> None:
    """By the tick or by the row's next event: `events` of the KPI topic must not depend on when sweeps run."""
    swept, folded = Partition(), Partition()
    for partition in (swept, folded):
        partition.take(event("sent", event_id="s"))
    swept.take(tick(49 * HOUR))
    for partition in (swept, folded):
        partition.take(event("delivered", 50 * HOUR, event_id="d"))
    one, other = swept.store.partial("d"), folded.store.partial("d")

    assert one is not None
    assert other is not None
    assert one.events == other.events


def test_nothing_expires_after_the_freeze() -> None:
    """After it, statuses and KPIs no longer change (`docs/domain.md §2.6`)."""
    partition = Partition()
    partition.take(event("planned"), event("sent", 29.5 * DAY))
    frozen = partition.kpis()
    partition.take(tick(33 * DAY))

    assert frozen == partition.kpis()


def test_an_event_that_arrived_in_time_is_not_too_late_because_it_was_read_late() -> None:
    """An event's time for expiry is its arrival: the timestamp of the raw record (`docs/domain.md §6`)."""
    partition = Partition()
    partition.take(event("sent"))
    partition.take(tick(49 * HOUR))
    partition.take(event("delivered", HOUR))

    assert {"delivered": 1} == partition.statuses()


def test_a_late_event_finds_the_wait_ended_that_was_over_before_it() -> None:
    """Whether a sweep has come by in between or not."""
    partition = Partition(times=timing(freeze=3 * DAY, retention=9 * DAY, numbers=NUMBERS))
    partition.take(event("sent"))
    partition.take(event("delivered", 4 * DAY), tick(4 * DAY))
    row = partition.row()

    assert row is not None
    assert ["sent", "expired", "delivered"] == [KIND_NAME[entry.kind] for entry in unpack_history(row.history)]
