"""Batches into rows, contacts and KPIs: what a partition does beyond its single rows."""

from typing import Any, cast

import msgspec
import pytest

from rules.history import entries
from rules.lifecycle import KIND_NAME
from rules.timing import timing
from schemas.state import Contact, DeliveryKpis
from tables import restore
from tables.codec import decode_clock, decode_partial, encode_row, unpack_contact
from tables.memory import MemoryStore
from tables.store import Changes, PartitionStore
from tests.unit.rules.making import DAY, HOUR, NUMBERS, START, event
from tests.unit.tables.making import Partition, Record, header, tick

QUICK = timing(freeze=DAY, retention=2 * DAY, numbers=NUMBERS)


@pytest.fixture
def partition(store: PartitionStore) -> Partition:
    return Partition(store)


@pytest.fixture
def quick(store: PartitionStore) -> Partition:
    """Return a partition that freezes after a day and forgets after two."""
    return Partition(store, times=QUICK)


# What is written.


def test_a_batch_writes_rows_kpis_and_contacts(partition: Partition) -> None:
    partition.take(event("sent"), event("hard_bounce", 1), event("delivered", 2, recipient="other@example.org"))

    assert {"feedback.status", "feedback.kpis", "feedback.contacts"} == set(partition.written)
    states = {r.key: msgspec.json.decode(r.value or b"") for r in partition.written["feedback.status"]}
    assert {b"d\tr@example.org": "hard_bounce", b"d\tother@example.org": "delivered"} == {
        key: state["status"] for key, state in states.items()
    }
    kpis = msgspec.json.decode(partition.last("feedback.kpis", "d\t0").value or b"", type=DeliveryKpis)
    assert {"hard_bounce": 1, "delivered": 1} == kpis.statuses
    assert {
        "kumomta": {"sent": {"applied": 1}, "hard_bounce": {"applied": 1}, "delivered": {"applied": 1}}
    } == kpis.events
    contact = msgspec.json.decode(partition.last("feedback.contacts", "r@example.org").value or b"", type=Contact)
    assert "hard_bounce" == contact.cause


def test_a_row_is_written_once_for_a_batch(partition: Partition) -> None:
    partition.take(event("sent"), event("delivered", 1), event("opened", 2))

    assert 1 == len(partition.written["feedback.status"])
    row = partition.row()
    assert row is not None
    assert 3 == row.version


def test_records_carry_the_time_of_their_change(partition: Partition) -> None:
    partition.take(event("sent"), event("hard_bounce", 5))

    assert {round((START + 5) * 1000)} == {
        partition.last(f"feedback.{topic}").timestamp for topic in ("status", "contacts", "kpis")
    }


def test_headers_hold_what_only_we_need(partition: Partition) -> None:
    partition.take(event("sent"))
    row, partial = partition.store.rows_of("d")("r@example.org"), partition.store.partial("d")

    assert row == header(partition.last("feedback.status"))
    assert partial == decode_partial(header(partition.last("feedback.kpis")))


def test_nothing_is_visible_before_the_commit(partition: Partition) -> None:
    """The store changes by `apply` only."""
    before = partition.store.partial("d")
    fold = partition.take(event("sent"))

    assert before is None
    assert {"d"} == fold.changes.rows.keys()
    assert encode_row(partition.row() or pytest.fail("no row")) == fold.changes.rows["d"]["r@example.org"]


def test_the_kpis_of_many_deliveries_are_kept_apart(partition: Partition) -> None:
    partition.take(
        event("sent", delivery_id="a"), event("opened", 1, delivery_id="b"), event("opened", 2, delivery_id="a")
    )

    assert (1, 1) == (partition.kpis("a")["audience"], partition.kpis("b")["audience"])
    assert (1, 1) == (partition.kpis("a")["total_opens"], partition.kpis("b")["total_opens"])
    assert "deferred" not in partition.kpis("a")


def test_corrections_are_signed(partition: Partition) -> None:
    """A row that moves on leaves the class where it was counted before."""
    partition.take(event("soft_bounce"))
    assert {"soft_bounce": 1} == _statuses(partition)
    partition.take(event("delivered", 1))

    assert {"delivered": 1} == _statuses(partition)


def _statuses(partition: Partition, delivery_id: str = "d") -> dict[str, int]:
    value = partition.last("feedback.kpis", f"{delivery_id}\t0").value or b""
    return msgspec.json.decode(value, type=DeliveryKpis).statuses


# What can't be read.

UNREADABLE = [b"", b"{", b"[]", b"null", b'{"event_id": 7}', b'{"type": "sent"}', b"\xff", None, b"[" * 100_000]


@pytest.mark.parametrize("value", UNREADABLE, ids=lambda value: repr(value[:12] if value else value))
def test_what_cannot_be_read_goes_to_the_dead_letters(partition: Partition, value: bytes | None) -> None:
    """And the rest of the batch is folded as if it had not been there."""
    good = [(msgspec.json.encode(e), e.received_at) for e in (event("sent"), event("delivered", 1))]
    fold = partition.take_values([good[0], (value, START), good[1]])

    assert (3, 1) == (fold.records, fold.dead)
    assert [value] == [record.value for record in partition.written["feedback.dead-letters"]]
    assert {"audience": 1, "sent": 1, "delivered": 1, "applied": 2} == partition.kpis()


TOO_MUCH = [
    {"raw_partition": 0, "raw_offset": 1 << 44},
    {"raw_partition": 1 << 14, "raw_offset": 0},
    {"raw_partition": -2, "raw_offset": 0},
    {"received_at": 1e11},
    {"received_at": -1e-3},
]
ENOUGH = [
    {"raw_partition": 0, "raw_offset": (1 << 44) - 1},
    {"raw_partition": (1 << 14) - 1, "raw_offset": 0},
    {"received_at": 99_999_999_999.0},
    {"received_at": 0.0},
]


@pytest.mark.parametrize("fields", TOO_MUCH, ids=str)
def test_numbers_that_cannot_be_stored_go_to_the_dead_letters(partition: Partition, fields: dict[str, Any]) -> None:
    fold = partition.take_values([(msgspec.json.encode(event("sent", **fields)), START)])

    assert (1, 1, {}) == (fold.records, fold.dead, partition.kpis())


@pytest.mark.parametrize("fields", ENOUGH, ids=str)
def test_numbers_that_can_be_stored_come_back(partition: Partition, fields: dict[str, Any]) -> None:
    partition.take_values([(msgspec.json.encode(event("sent", **fields)), START)])
    row = partition.row()

    assert row is not None
    (entry,) = entries(row.history)
    assert (fields.get("raw_partition", 0), fields.get("raw_offset", 0)) == (entry.partition, entry.offset)
    assert (fields.get("received_at") or START) == entry.received_at


NO_PLACES = [{"raw_offset": 5}, {"raw_partition": 5}, {"raw_partition": 1, "raw_offset": 5, "source": "of no name"}]


@pytest.mark.parametrize("fields", NO_PLACES, ids=str)
def test_without_a_raw_record_the_event_itself_is_the_place(partition: Partition, fields: dict[str, Any]) -> None:
    """Partition, offset and a source whose topic is known: less than all three says nothing."""
    partition.take(event("planned"), event("sent", 1, **fields))
    cause = msgspec.json.decode(partition.last("feedback.status").value or b"")["cause"]

    assert ("feedback.events", 1) == (cause["topic"], cause["offset"])
    assert "partition" not in cause


# Time.


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
    assert {"delivered": 1, "sent": 2} == _statuses(quick), "their windows end after the freeze"


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
    assert {"unknown": 1, "deferred": 1} == _statuses(partition)
    partition.take(tick(49.5 * HOUR))

    assert {"unknown": 1, "soft_bounce": 1} == _statuses(partition)
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
    partition.due.clear()
    partition.take(tick(50 * HOUR))

    assert {"unknown": 1} == _statuses(partition)


def test_a_row_that_begins_to_wait_behind_a_scan_is_found_by_the_next_one(store: PartitionStore) -> None:
    """A delivery with more rows than one tick looks at is looked through page by page."""
    partition = Partition(store, sweep_rows=2)
    partition.take(*(event("planned", recipient=f"{i}@example.org") for i in range(3)))
    partition.take(tick(1))
    partition.take(event("sent", 2, recipient="0@example.org"))
    partition.take(tick(3))
    assert {"sent": 1, "planned": 2} == _statuses(partition)
    for hours in range(49, 53):
        partition.take(tick(hours * HOUR))

    assert {"unknown": 1, "planned": 2} == _statuses(partition)


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
    """After it, statuses and KPIs no longer change (`semantics.md` section 2)."""
    partition = Partition()
    partition.take(event("planned"), event("sent", 29.5 * DAY))
    frozen = partition.kpis()
    partition.take(tick(33 * DAY))

    assert frozen == partition.kpis()


def test_an_event_that_arrived_in_time_is_not_too_late_because_it_was_read_late() -> None:
    """An event's time for expiry is its arrival: the timestamp of the raw record (`semantics.md` section 2)."""
    partition = Partition()
    partition.take(event("sent"))
    partition.take(tick(49 * HOUR))
    partition.take(event("delivered", HOUR))

    assert {"delivered": 1} == _statuses(partition)


def test_a_late_event_finds_the_wait_ended_that_was_over_before_it() -> None:
    """Whether a sweep has come by in between or not."""
    partition = Partition(times=timing(freeze=3 * DAY, retention=9 * DAY, numbers=NUMBERS))
    partition.take(event("sent"))
    partition.take(event("delivered", 4 * DAY), tick(4 * DAY))
    row = partition.row()

    assert row is not None
    assert ["sent", "expired", "delivered"] == [KIND_NAME[entry.kind] for entry in entries(row.history)]


def test_a_row_whose_delivery_has_a_tab_in_its_id_stays_forgotten() -> None:
    """Delivery ids come from outside."""
    partition = Partition(times=QUICK)
    partition.take(event("sent", delivery_id="a\tb"))
    partition.take(tick(2 * DAY))
    changes = Changes()
    restore._rows(cast("Any", partition.written["feedback.status"]), changes)

    assert {"r@example.org": None} == changes.rows["a\tb"]


@pytest.mark.parametrize("names", [("a\tb", "r"), ("a", "b\tr"), ("\t", "\t"), ("", "\t"), ("\t", "")])
def test_rows_of_names_with_tabs_are_restored_and_forgotten(names: tuple[str, str]) -> None:
    delivery_id, recipient = names
    partition = Partition()
    partition.take(event("sent", delivery_id=delivery_id, recipient=recipient))
    record = partition.last("feedback.status")
    store, changes, gone = MemoryStore(), Changes(), Changes()
    restore._rows(cast("Any", [record]), changes)
    store.apply(changes, {})

    assert partition.store.rows_of(delivery_id)(recipient) == store.rows_of(delivery_id)(recipient) is not None

    restore._rows(cast("Any", [Record(1, 0, record.key, None)]), gone)
    store.apply(gone, {})

    assert 0 == store.count()


# Whom it concerns.


def test_a_success_is_told_to_a_contact_that_is_known(partition: Partition) -> None:
    partition.take(event("soft_bounce", reason="QuotaIssues", delivery_id="one"))
    partition.take(event("delivered", 1, delivery_id="two"))

    assert "failures" not in partition.contact()
    assert 2 == partition.contact()["version"]


def test_what_a_contact_learns_does_not_depend_on_batches() -> None:
    """A soft bounce of one delivery and a success of another: one batch or two."""
    one, two = Partition(), Partition()
    bounce, success = event("soft_bounce", delivery_id="one"), event("delivered", 1, delivery_id="two")
    one.take(bounce, success)
    two.take(bounce)
    two.take(success)

    assert one.contact() == two.contact()


def test_contacts_hear_things_in_the_order_of_arrival(partition: Partition) -> None:
    """Though rows are folded one delivery after the other."""
    partition.take(
        event("sent", delivery_id="one"),
        event("soft_bounce", 1, delivery_id="two"),
        event("soft_bounce", 2, delivery_id="one"),
        event("complained", 3, delivery_id="two"),
    )
    contact = unpack_contact(partition.store.contact("r@example.org") or b"")

    assert [("two", "bounced"), ("one", "bounced"), ("two", "complained")] == [
        (notice.delivery_id, notice.kind) for notice in contact.notices
    ]


TOLD = ("hard_bounce", "invalid_address", "soft_bounce", "complained", "unsubscribed", "not_sent")


@pytest.mark.parametrize("kind", TOLD)
def test_what_is_held_against_an_address_is_told(partition: Partition, kind: str) -> None:
    told = event(kind, 1, reason="stopped")
    partition.take(event("sent"), told, told)

    assert 1 == partition.contact()["version"], "and told once, however often it comes"


@pytest.mark.parametrize("kind", ["delivered", "resubscribed", "sent", "opened", "clicked", "autoresponded"])
def test_what_is_not_held_against_anybody_makes_no_contact(partition: Partition, kind: str) -> None:
    partition.take(event(kind))

    assert {} == partition.contact()


def test_a_contact_learns_what_the_row_knew_then(partition: Partition) -> None:
    """Facts after that very event, not after the whole batch."""
    partition.take(event("hard_bounce"), event("delivered", 1), event("unsubscribed", 2))
    notices = partition.contact()["notices"]

    assert [None, True] == [notice.get("delivered") for notice in notices]


def test_a_complaint_without_delivery_still_counts_for_the_contact(partition: Partition) -> None:
    partition.take(event("complained", delivery_id=""), event("complained", recipient=""))

    assert "complained" == partition.contact()["cause"]
    assert {} == partition.contact("")


def test_test_messages_are_counted_apart(partition: Partition) -> None:
    partition.take(event("sent", test=True), event("opened", 1, test=True), event("hard_bounce", 2, test=True))

    assert {"test": 3} == partition.kpis()
    assert {} == partition.contact()


def test_a_row_that_turns_out_to_be_a_test_leaves_the_audience(partition: Partition) -> None:
    partition.take(event("delivered"))
    partition.take(event("sent", 1, test=True))

    assert {"applied": 1, "test": 1} == partition.kpis()


def test_opens_of_a_row_that_turns_out_to_be_a_test_stay_in_the_totals(partition: Partition) -> None:
    """A known limit: a tracking event does not say so, may come before the one that does, and was counted then.

    Totals are sums over events, which nobody goes back to. Recipients are sums over rows: those are right.
    """
    partition.take(event("opened"))
    partition.take(event("sent", 1, test=True))

    assert {"total_opens": 1, "applied": 1, "test": 1} == partition.kpis()


def test_what_belongs_to_nobody_is_nobody_of_the_audience(partition: Partition) -> None:
    """Case 10: an out-of-band bounce without recipient is counted by its decision only."""
    partition.take(event("hard_bounce", recipient=""))

    assert {"unattributed": 1} == partition.kpis()


def test_what_belongs_to_no_delivery_never_comes_too_late(partition: Partition) -> None:
    partition.take(event("complained", delivery_id=""))
    partition.take(event("complained", 31 * DAY, delivery_id="", recipient="other@example.org"))

    assert 2 == partition.kpis("")["unattributed"]


def test_one_address_twice_in_a_delivery(partition: Partition) -> None:
    """Case 16: `not_sent/duplicate_address` is for the extra copy; the first one goes its way."""
    partition.take(event("sent"), event("not_sent", 1, reason="duplicate_address"), event("delivered", 2))

    assert {"delivered": 1} == _statuses(partition)
