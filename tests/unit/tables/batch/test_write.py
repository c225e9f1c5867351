"""What a batch writes: records, and what the store shows after the commit."""

import msgspec
import pytest

from aftersend.schemas.contact import Contact
from aftersend.schemas.kpi import DeliveryKpis
from aftersend.tables.codec.stored import decode_partial, encode_row
from tests.unit.rules.factories import START, event
from tests.unit.tables.factories import Partition, header


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
    assert {"soft_bounce": 1} == partition.statuses()
    partition.take(event("delivered", 1))

    assert {"delivered": 1} == partition.statuses()
