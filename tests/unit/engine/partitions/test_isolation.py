from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersend.engine.partitions.isolation import FaultIsolation, Portion


def go_through(offsets: list[int], bad: set[int]) -> tuple[list[int], list[int], int]:
    """Return which records were processed and which set aside, in order, and how many transactions that took."""
    isolation, processed, aside, transactions = FaultIsolation(), list[int](), list[int](), 0
    left = offsets
    while left:
        transactions += 1
        count, set_aside = isolation.portion(left)
        portion = left[:count]
        if not set_aside and bad & set(portion):
            isolation.failed(portion[0], portion[-1])
            continue
        (aside if set_aside else processed).extend(portion)
        isolation.committed(portion[-1])
        left = left[count:]
    assert not isolation.active
    return processed, aside, transactions


def test_a_batch_without_a_bad_record_is_one_transaction() -> None:
    assert ([1, 2, 3], [], 1) == go_through([1, 2, 3], set())


def test_a_record_is_tried_alone_before_it_is_set_aside() -> None:
    isolation = FaultIsolation()
    isolation.failed(7, 8)
    assert Portion(1, set_aside=False) == isolation.portion([7, 8, 9])
    isolation.failed(7, 7)
    assert Portion(1, set_aside=True) == isolation.portion([7, 8, 9])


def test_records_behind_the_suspects_wait_until_the_bad_one_is_found() -> None:
    isolation = FaultIsolation()
    isolation.failed(0, 3)
    assert Portion(2, set_aside=False) == isolation.portion(list(range(100)))


@given(st.data())
def test_every_record_is_processed_or_set_aside_once_and_in_order(data: st.DataObject) -> None:
    # Offsets have gaps, where transactions ended or records were compacted away.
    offsets = sorted(data.draw(st.sets(st.integers(0, 2_000), min_size=1, max_size=300)))
    bad = data.draw(st.sets(st.sampled_from(offsets), max_size=4))

    processed, aside, transactions = go_through(offsets, bad)

    assert [offset for offset in offsets if offset not in bad] == processed
    assert sorted(bad) == aside
    assert transactions <= 1 + len(bad) * (2 * log2(len(offsets)) + 4)


@pytest.mark.parametrize("at", [0, 511, 999])
def test_one_bad_record_of_a_thousand_is_found_in_some_twenty_transactions(at: int) -> None:
    _, aside, transactions = go_through(list(range(1_000)), {at})

    assert [at] == aside
    assert transactions <= 24
