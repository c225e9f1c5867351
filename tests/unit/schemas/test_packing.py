"""Bit layouts: what is packed is unpacked, and stored numbers never change."""

from hypothesis import given
from hypothesis import strategies as st

from aftersend.schemas.packing import (
    MAX_OFFSET,
    MAX_PARTITION,
    MAX_SOURCE,
    Bucket,
    EventCounter,
    HistoryWord,
    RawPosition,
    pack_bucket,
    pack_event_counter,
    pack_history_word,
    pack_raw_position,
    unpack_bucket,
    unpack_event_counter,
    unpack_history_word,
    unpack_raw_position,
)

sources = st.integers(0, MAX_SOURCE)
kinds = st.integers(0, 63)
decisions = st.integers(0, 15)


@given(sources, st.integers(0, MAX_PARTITION), st.integers(0, MAX_OFFSET))
def test_a_raw_position_is_unpacked_as_it_was_packed(source: int, partition: int, offset: int) -> None:
    packed = pack_raw_position(source, partition, offset)

    assert RawPosition(source, partition, offset) == unpack_raw_position(packed)
    assert packed < 1 << 64


@given(st.integers(0, (1 << 47) - 1), kinds, decisions)
def test_a_history_word_is_unpacked_as_it_was_packed(received_ms: int, kind: int, decision: int) -> None:
    packed = pack_history_word(received_ms / 1000, kind, decision)

    assert HistoryWord(received_ms, kind, decision, 0) == unpack_history_word(packed)
    assert packed < 1 << 64


@given(sources, kinds, decisions)
def test_an_event_counter_is_unpacked_as_it_was_packed(source: int, kind: int, decision: int) -> None:
    assert EventCounter(source, kind, decision) == unpack_event_counter(pack_event_counter(source, kind, decision))


@given(st.integers(0, 63), st.integers(0, (1 << 40) - 1))
def test_a_bucket_is_unpacked_as_it_was_packed(status: int, facts: int) -> None:
    assert Bucket(status, facts) == unpack_bucket(pack_bucket(status, facts))


def test_stored_layouts_never_change() -> None:
    assert 77 << 20 | 3 << 14 | 5 == pack_raw_position(3, 5, 77)
    assert 1_757_851_200_123 << 16 | 9 << 10 | 2 << 6 == pack_history_word(1_757_851_200.123, 9, 2)
    assert 3 << 12 | 9 << 4 | 2 == pack_event_counter(3, 9, 2)
    assert 96 << 8 | 6 == pack_bucket(6, 96)
