"""Batches into rows, contacts and KPIs: what a partition does beyond its single rows."""

from typing import Any

import msgspec
import pytest

from aftersend.rules.recipient.history import unpack_history
from aftersend.tables.codec.stored import unpack_contact
from tests.unit.rules.factories import DAY, START, event
from tests.unit.tables.factories import Partition

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
    (entry,) = unpack_history(row.history)
    assert (fields.get("raw_partition", 0), fields.get("raw_offset", 0)) == (entry.partition, entry.offset)
    assert (fields.get("received_at") or START) == entry.received_at


NO_RAW_POSITIONS = [
    {"raw_offset": 5},
    {"raw_partition": 5},
    {"raw_partition": 1, "raw_offset": 5, "source": "of no name"},
]


@pytest.mark.parametrize("fields", NO_RAW_POSITIONS, ids=str)
def test_without_a_raw_record_the_event_itself_is_the_place(partition: Partition, fields: dict[str, Any]) -> None:
    """Partition, offset and a source whose topic is known: less than all three says nothing."""
    partition.take(event("planned"), event("sent", 1, **fields))
    cause = msgspec.json.decode(partition.last("feedback.status").value or b"")["cause"]

    assert ("feedback.events", 1) == (cause["topic"], cause["offset"])
    assert "partition" not in cause


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


UPDATES_CONTACT = ("hard_bounce", "invalid_address", "soft_bounce", "complained", "unsubscribed", "not_sent")


@pytest.mark.parametrize("kind", UPDATES_CONTACT)
def test_what_is_held_against_an_address_is_told(partition: Partition, kind: str) -> None:
    actual = event(kind, 1, reason="stopped")
    partition.take(event("sent"), actual, actual)

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

    assert {"delivered": 1} == partition.statuses()
