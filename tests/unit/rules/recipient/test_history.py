"""The packed memory of a row: what goes in comes out, and nothing is mistaken for something else."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersend.rules.recipient.history import (
    ENTRY_BYTES,
    ID_BYTES,
    MAX_BYTES,
    MAX_ENTRIES,
    HistoryEntry,
    digest_of,
    digests_of,
    find_entry,
    pack_entry,
    unpack_history,
    with_repeat,
)
from aftersend.schemas.packing import MAX_PARTITION, MAX_REPEATS, MAX_SOURCE, pack_raw_position

HEX = "0123456789abcdef0123456789abcdef"

packed_entries = st.builds(
    HistoryEntry,
    digest=st.binary(min_size=ID_BYTES, max_size=ID_BYTES),
    received_at=st.integers(0, 1 << 47).map(lambda ms: ms / 1000),
    kind=st.integers(0, 63),
    decision=st.integers(0, 15),
    repeats=st.integers(0, MAX_REPEATS),
    source=st.integers(0, MAX_SOURCE),
    partition=st.integers(0, MAX_PARTITION),
    offset=st.integers(0, (1 << 44) - 1),
)


def packed(entry: HistoryEntry) -> bytes:
    word = round(entry.received_at * 1000) << 16 | entry.kind << 10 | entry.decision << 6 | entry.repeats
    return pack_entry(entry.digest, word, pack_raw_position(entry.source, entry.partition, entry.offset))


def test_a_row_remembers_32_events_and_an_expiry() -> None:
    assert MAX_ENTRIES >= 32
    assert MAX_BYTES == MAX_ENTRIES * ENTRY_BYTES


@given(st.lists(packed_entries, max_size=MAX_ENTRIES))
def test_what_goes_in_comes_out(remembered: list[HistoryEntry]) -> None:
    assert remembered == unpack_history(b"".join(map(packed, remembered)))


def test_a_history_that_was_cut_is_no_history() -> None:
    with pytest.raises(struct.error):
        unpack_history(bytes(ENTRY_BYTES + 1))


@given(st.lists(packed_entries, unique_by=lambda entry: entry.digest, max_size=MAX_ENTRIES))
def test_every_event_is_found_where_it_stands(remembered: list[HistoryEntry]) -> None:
    history = b"".join(map(packed, remembered))

    assert [i * ENTRY_BYTES for i in range(len(remembered))] == [find_entry(history, e.digest) for e in remembered]


@given(st.lists(packed_entries, min_size=1, max_size=8), st.data())
def test_bytes_that_only_look_like_an_id_are_none(remembered: list[HistoryEntry], data: st.DataObject) -> None:
    """An id is searched as bytes, which may well stand across the words of other entries."""
    history = b"".join(map(packed, remembered))
    at = data.draw(st.integers(0, len(history) - ID_BYTES))
    digest = history[at : at + ID_BYTES]
    places = [i * ENTRY_BYTES for i, entry in enumerate(remembered) if entry.digest == digest]

    assert (places[0] if places else -1) == find_entry(history, digest)


def test_nothing_is_found_in_an_empty_history() -> None:
    assert -1 == find_entry(b"", bytes(ID_BYTES))


@given(st.lists(packed_entries, min_size=1, max_size=8), st.data())
def test_a_repeat_changes_the_one_number(remembered: list[HistoryEntry], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(remembered) - 1))
    history = with_repeat(b"".join(map(packed, remembered)), at * ENTRY_BYTES)
    remembered[at] = remembered[at]._replace(repeats=min(remembered[at].repeats + 1, MAX_REPEATS))

    assert remembered == unpack_history(history)


def test_ids_of_32_hex_digits_are_taken_as_they_are() -> None:
    assert bytes.fromhex(HEX) == digest_of(HEX)
    assert digest_of(HEX) == digest_of(HEX.upper()), "as providers spell them"


OTHER_IDS = [
    "",
    "x",
    "ä" * 40,
    "\ud800",
    HEX[:-1],
    HEX + "0",
    HEX[:-1] + "g",
    f" {HEX[:-1]}",
    f"{HEX[:15]}  {HEX[:15]}",
]


@given(st.lists(st.sampled_from([HEX, HEX.upper(), HEX[:-2], HEX + "00", *OTHER_IDS]), max_size=6))
def test_many_ids_at_once_give_what_each_gives(event_ids: list[str]) -> None:
    assert [digest_of(event_id) for event_id in event_ids] == digests_of(event_ids)


@pytest.mark.parametrize("event_id", OTHER_IDS)
def test_all_other_ids_are_hashed(event_id: str) -> None:
    assert ID_BYTES == len(digest_of(event_id))
    assert digest_of(event_id) != digest_of(event_id + "x")


def test_digests_never_change() -> None:
    """They are stored: another digest for the same id would let its duplicates through."""
    assert "cae66941d9efbd404e4d88758ea67670" == digest_of("").hex()
    assert "1a7d0ef1617f1e4c8a1ed4829ceb016a" == digest_of("<0102@example.org>").hex()


@given(st.sets(st.text(max_size=40), max_size=50))
def test_different_ids_have_different_digests(ids: set[str]) -> None:
    assert len(ids) == len({digest_of(event_id) for event_id in ids})
