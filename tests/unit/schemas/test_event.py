"""The canonical event."""

import msgspec
import pytest

from aftersend.schemas.event import EVENT_TYPES, NOT_SENT_REASONS, Feedback, FoldEvent


def test_folding_reads_a_part_of_what_travels() -> None:
    """The same field names and defaults, so one event is both."""
    event = Feedback(
        "id",
        "d",
        "r@example.org",
        "clicked",
        5.0,
        code=250,
        url="https://example.org/?a=b",
        raw_partition=1,
        raw_offset=7,
    )
    folded = msgspec.json.decode(msgspec.json.encode(event), type=FoldEvent)

    assert set(FoldEvent.__struct_fields__) < set(Feedback.__struct_fields__)
    assert {name: getattr(event, name) for name in FoldEvent.__struct_fields__} == {
        name: getattr(folded, name) for name in FoldEvent.__struct_fields__
    }


def test_what_is_not_known_is_left_out() -> None:
    encoded = msgspec.json.encode(Feedback("id", "d", "r@example.org", "sent"))

    assert {"event_id": "id", "delivery_id": "d", "recipient": "r@example.org", "type": "sent"} == msgspec.json.decode(
        encoded
    )


def test_fields_of_other_programs_are_passed_over() -> None:
    """The events of the benchmark have some that we do not."""
    value = b'{"event_id":"i","delivery_id":"d","recipient":"r","type":"sent","campaign_colour":"red"}'

    assert "sent" == msgspec.json.decode(value, type=FoldEvent).type


@pytest.mark.parametrize("missing", ["event_id", "delivery_id", "recipient", "type"])
def test_some_fields_must_be_there(missing: str) -> None:
    fields = {"event_id": "i", "delivery_id": "d", "recipient": "r", "type": "sent"}
    del fields[missing]

    with pytest.raises(msgspec.ValidationError, match=missing):
        msgspec.json.decode(msgspec.json.encode(fields), type=FoldEvent)


def test_the_lists_are_those_of_the_domain_page() -> None:
    assert (21, 13) == (len(set(EVENT_TYPES)), len(set(NOT_SENT_REASONS)))
    assert "tick" == EVENT_TYPES[-1]


@pytest.mark.parametrize("occurred_at", [-1.0, -62_135_647_200.0, 253_402_300_800.0, 1e300])
def test_a_time_that_no_date_can_hold_is_not_folded(occurred_at: float) -> None:
    value = msgspec.json.encode(Feedback("i", "d", "r@example.org", "sent", occurred_at))

    with pytest.raises(msgspec.ValidationError, match="occurred_at"):
        msgspec.json.decode(value, type=FoldEvent)
