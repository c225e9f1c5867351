"""Partitions are spread evenly, topic by topic, and stay where they are as far as they can."""

from hypothesis import given
from hypothesis import strategies as st

from aftersend.engine.group.assignor import spread

MEMBERS = st.sets(st.text("abcdef0123456789", min_size=4, max_size=8), min_size=1, max_size=12)


@given(MEMBERS, st.integers(0, 64))
def test_every_partition_has_one_owner_and_shares_are_even(members: set[str], partitions: int) -> None:
    shares = spread(members, "feedback.events", range(partitions))
    assert list(range(partitions)) == sorted(number for share in shares.values() for number in share)
    assert max(map(len, shares.values())) - min(map(len, shares.values())) <= 1


@given(MEMBERS, st.integers(0, 64))
def test_the_same_members_get_the_same(members: set[str], partitions: int) -> None:
    first = spread(sorted(members), "t", range(partitions))
    assert first == spread(sorted(members, reverse=True), "t", range(partitions))


def test_a_member_that_leaves_moves_little_more_than_its_own() -> None:
    members = [f"worker-{i}" for i in range(4)]
    before = spread(members, "t", range(32))
    after = spread(members[1:], "t", range(32))
    moved = sum(number not in after[member] for member in members[1:] for number in before[member])
    assert moved <= 8
