"""Rows, contacts and KPIs as bytes, and back."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersend.rules.recipient.history import MAX_ENTRIES, unpack_history
from aftersend.rules.recipient.kinds import KIND_NUMBER
from aftersend.rules.recipient.statuses import STATUS_NAME, STATUSES
from aftersend.schemas.contact import Contact
from aftersend.schemas.kpi import KpiPartial
from aftersend.schemas.recipient import Failure, RecipientState, Row
from aftersend.tables.codec.keys import HEADER, row_key
from aftersend.tables.codec.public import decode_clock, encode_clock, encode_json, split_row_key
from aftersend.tables.codec.stored import (
    STATUS_AT,
    decode_partial,
    decode_row,
    encode_row,
    pack_contact,
    row_from_headers,
    unpack_contact,
)
from tests.unit.rules.factories import DAY, START, event, folded
from tests.unit.tables.factories import CODEC, Partition, contacts, counts, header, rows, texts, tick, times

names = st.lists(texts, max_size=3).map("\t".join)


def public(row: Row) -> dict[str, Any]:
    return msgspec.json.decode(CODEC.state("d", "r@example.org", row), type=dict[str, Any])


@given(rows)
def test_a_row_comes_back_from_a_store_and_from_its_header(row: Row) -> None:
    packed = encode_row(row)

    assert row == decode_row(packed)
    assert packed == row_from_headers([("theirs", b"x"), (HEADER, packed)])


@given(names, names, rows)
def test_the_key_tells_whose_row_it_is(delivery_id: str, recipient: str, row: Row) -> None:
    """Whatever the two are called: what the key leaves open the value tells."""
    value = CODEC.state(delivery_id, recipient, row)

    assert (delivery_id, recipient) == split_row_key(row_key(delivery_id, recipient), value)


@given(contacts)
def test_a_contact_comes_back_from_a_store(contact: Contact) -> None:
    again = unpack_contact(pack_contact(contact))

    assert contact == again
    assert encode_json(contact) == encode_json(again), "and is shown as it was"


@given(contacts)
def test_a_contact_takes_less_room_in_a_store_than_on_its_topic(contact: Contact) -> None:
    assert len(pack_contact(contact)) < len(encode_json(contact))


@pytest.mark.parametrize("status", [s.number for s in STATUSES])
def test_the_status_can_be_read_without_decoding_the_row(status: int) -> None:
    """Sweeps look at millions of rows."""
    assert status == encode_row(Row(status))[STATUS_AT]


partials = st.builds(
    KpiPartial,
    st.dictionaries(counts, counts, max_size=20),
    st.dictionaries(counts, counts, max_size=20),
    times,
    times,
    counts,
    st.booleans(),
)


@given(partials)
def test_kpis_come_back_from_their_header(partial: KpiPartial) -> None:
    assert partial == decode_partial(encode_row(partial))


@given(times)
def test_the_clock_comes_back(at: float) -> None:
    assert at == decode_clock(encode_clock(3, at))


def test_a_row_as_consumers_read_it() -> None:
    """The example of `docs/reference/topics.md`."""
    row = folded(
        event("sent", 0, event_id="s", message_type="campaign"),
        event("deferred", 60, event_id="d", code=451, enhanced_code="4.7.1", reason="greylisted", diagnostic="later"),
        event("delivered", 120.5, event_id="e", source="tracking", raw_partition=2, raw_offset=4711, address="R@x"),
    ).row

    assert {
        "schema": 1,
        "delivery_id": "d",
        "recipient": "r@example.org",
        "status": "delivered",
        "facts": ["sent", "deferred", "delivered", "confirmed"],
        "previous": "deferred",
        "version": 3,
        "source": "tracking",
        "message_type": "campaign",
        "updated_at": START + 120.5,
        "sent_at": START,
        "delivered_at": START + 120.5,
        "failure": {
            "at": START + 60,
            "reason": "greylisted",
            "code": 451,
            "enhanced_code": "4.7.1",
            "diagnostic": "later",
        },
        "address": "R@x",
        "cause": {
            "event_id": "e",
            "kind": "delivered",
            "topic": "feedback.raw.kumomta",
            "partition": 2,
            "offset": 4711,
        },
    } == public(row)


def test_a_final_status_says_so() -> None:
    assert public(folded("complained").row)["final"] is True
    assert "final" not in public(folded("delivered").row)


def test_the_two_kinds_of_soft_bounce_are_told_apart() -> None:
    """After one, the next attempt may succeed; the other is given up. Both carry the same name."""
    waiting = folded("soft_bounce").row
    given_up = folded(event("deferred"), event("autoresponded", 3 * DAY)).row

    assert ("soft_bounce", None) == (public(waiting)["status"], public(waiting).get("final"))
    assert ("soft_bounce", True) == (public(given_up)["status"], public(given_up).get("final"))


def test_the_cause_is_the_event_that_made_this_version() -> None:
    """Not one that came after the freeze, which changed nothing."""
    partition = Partition()
    partition.take(event("delivered", event_id="d"))
    partition.take(event("opened", 31 * DAY))
    value: Any = partition.last("feedback.status").value

    assert {"event_id": "d", "kind": "delivered", "topic": "feedback.events"} == msgspec.json.decode(value)["cause"]


def test_the_cause_outlives_any_number_of_late_events() -> None:
    """The same version always says the same."""
    partition = Partition()
    partition.take(event("delivered"))
    before = partition.last("feedback.status").value
    partition.take(*(event("opened", 31 * DAY + i) for i in range(MAX_ENTRIES)))

    assert before == partition.last("feedback.status").value


def test_an_expiry_has_no_event() -> None:
    partition = Partition()
    partition.take(event("sent"))
    partition.take(tick(3 * DAY))

    assert {"kind": "expired"} == msgspec.json.decode(partition.last("feedback.status").value or b"")["cause"]


def test_an_expiry_stays_the_cause_when_late_events_come() -> None:
    partition = Partition()
    partition.take(event("sent"))
    partition.take(tick(3 * DAY))
    partition.take(event("opened", 31 * DAY))

    assert {"kind": "expired"} == msgspec.json.decode(partition.last("feedback.status").value or b"")["cause"]


def test_the_header_holds_the_history_and_the_value_does_not() -> None:
    partition = Partition()
    partition.take(event("sent"), event("delivered", 1))
    record = partition.last("feedback.status")

    history = decode_row(header(record)).history
    assert [KIND_NUMBER["sent"], KIND_NUMBER["delivered"]] == [entry.kind for entry in unpack_history(history)]
    assert "history" not in msgspec.json.decode(record.value or b"")


def test_a_consumer_that_knows_less_can_read_what_comes_later() -> None:
    """Within a schema version fields are only added."""
    value = CODEC.state("d", "r", folded("sent").row)
    grown = msgspec.json.encode(msgspec.json.decode(value) | {"a field of the future": [1, 2]})

    assert "sent" == msgspec.json.decode(grown, type=RecipientState).status


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("theirs", encode_row(Row()))],
        [(HEADER, b"")],
        [(HEADER, None)],
        [(HEADER, bytes(32))],
        [(HEADER, b"\xdc\x00\xff" + encode_row(Row())[3:])],
        [(HEADER, encode_row(Row(status=len(STATUS_NAME))))],
    ],
    ids=["no headers", "another", "empty", "null", "a history", "more fields", "an unknown status"],
)
def test_a_row_that_this_version_does_not_know_is_an_error(headers: list[tuple[str, bytes | None]]) -> None:
    """Rather than one that silently lost something."""
    with pytest.raises(ValueError, match="holds no row that this version can read"):
        row_from_headers(headers)


def test_fields_of_rows_are_only_ever_added_at_the_end() -> None:
    """Packed rows on the status topic lack the names of their fields and outlive the version that wrote them."""
    assert (
        "status facts previous version source message_type updated_at pending_since sent_at delivered_at opened_at "
        "last_opened_at clicked_at last_clicked_at unsubscribed_at complained_at opens machine_opens clicks "
        "machine_clicks failure address cause history"
    ) == " ".join(Row.__struct_fields__)
    assert "at reason code enhanced_code diagnostic" == " ".join(Failure.__struct_fields__)
