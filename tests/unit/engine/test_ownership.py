"""Why an installation must not use topics."""

from __future__ import annotations

import pytest

from aftersend.engine.ownership import difference
from aftersend.schemas.position import STATE_FORMAT, TopicsOwner
from aftersend.schemas.topics import Topics

OWN = TopicsOwner("ours", "cluster", 8, claimed_at=1_790_000_000.0)


@pytest.mark.parametrize(
    "owner, words",
    [
        (TopicsOwner("theirs", "cluster", 8, claimed_at=1_790_000_000.0), ["'theirs' since 2026-09-21", "APP_ID"]),
        (TopicsOwner("ours", "elsewhere", 8), ["elsewhere", "AFTERSEND_KAFKA_BOOTSTRAP", "topics claim"]),
        (
            TopicsOwner("ours", "cluster", 4),
            ["has 8 partitions, and had 4", "operate.md#partitions-were-added", "Nothing is lost"],
        ),
        (TopicsOwner("ours", "cluster", 8, STATE_FORMAT + 1), ["install the version that wrote them"]),
    ],
)
def test_what_differs_is_said_with_the_setting_to_change(owner: TopicsOwner, words: list[str]) -> None:
    said = difference(Topics(), owner, OWN)
    assert [] == [word for word in words if word not in said]
    assert "delete" not in said, "no message advises what loses state"


def test_the_owner_itself_and_a_later_version_of_it_pass() -> None:
    assert "" == difference(Topics(), OWN, OWN)
    assert "" == difference(Topics(), TopicsOwner("ours", "cluster", 8, STATE_FORMAT - 1), OWN)
