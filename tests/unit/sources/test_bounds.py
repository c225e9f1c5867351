from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersend.schemas.event import Feedback
from aftersend.sources.base import SourceError
from aftersend.sources.bounds import EVENT_ID_BYTES, KEY_BYTES, TEXT_BYTES, enforce_bounds

BOUNDS = {**KEY_BYTES, **TEXT_BYTES, "event_id": EVENT_ID_BYTES}
#: Nothing of the sort is stored as a string of any length.
OTHERS = {"declaration"}


def event(**fields: Any) -> Feedback:
    return Feedback(**{"event_id": "1", "delivery_id": "spring", "recipient": "a@b.example", "type": "sent", **fields})


def test_every_string_of_an_event_has_a_bound() -> None:
    strings = {
        field.name
        for field in msgspec.structs.fields(Feedback)
        if field.type is str
        or (field.name not in OTHERS and field.type not in {bool, int, float} and "str" in str(field.type))
    }
    assert strings == set(BOUNDS)


@pytest.mark.parametrize("name", TEXT_BYTES)
@pytest.mark.parametrize("letter", ["a", "é", "€", "😀"])
def test_a_text_that_is_too_long_is_cut_between_characters(name: str, letter: str) -> None:
    long = event(**{name: letter * 100_000})

    enforce_bounds(long)

    cut = getattr(long, name)
    assert TEXT_BYTES[name] - 4 < len(cut.encode()) <= TEXT_BYTES[name]
    assert {letter, "…"} == set(cut)


@pytest.mark.parametrize("name", BOUNDS)
def test_what_is_within_bounds_stays_as_it_is(name: str) -> None:
    whole = "x" * BOUNDS[name]
    short = event(**{name: whole})

    enforce_bounds(short)

    assert whole == getattr(short, name)


@pytest.mark.parametrize("name", KEY_BYTES)
def test_a_key_that_is_too_long_is_refused_since_two_could_become_one(name: str) -> None:
    with pytest.raises(SourceError, match=f"{name} takes 600000 bytes, more than the 512"):
        enforce_bounds(event(**{name: "x" * 600_000}))


def test_a_long_event_id_becomes_a_short_one_that_is_the_same_for_the_same_event() -> None:
    first, again, other = (event(event_id=text * 530_000) for text in ("a", "a", "b"))
    for one in (first, again, other):
        enforce_bounds(one)

    assert first.event_id == again.event_id
    assert first.event_id != other.event_id
    assert 32 == len(first.event_id)


@given(st.fixed_dictionaries({name: st.text(max_size=3_000) for name in TEXT_BYTES}))
def test_an_event_within_bounds_fits_into_a_small_part_of_a_kafka_record(fields: dict[str, str]) -> None:
    one = event(**fields)
    enforce_bounds(one)
    # JSON writes a control character as six bytes.
    assert 6 * (sum(BOUNDS.values()) + 1_000) > len(msgspec.json.encode(one))
    once = msgspec.structs.replace(one)
    enforce_bounds(one)
    assert once == one
