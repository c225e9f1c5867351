"""What can be read of a record, and what the rest is told as."""

import pytest

from aftersend.schemas.event import Feedback
from aftersend.sources.base import SourceError, check_keys, readable_part

EVENTS = [Feedback("a", "d", "r", "sent"), Feedback("b", "d", "r", "sent")]


def test_all_can_be_read() -> None:
    assert EVENTS == list(readable_part(EVENTS, []))
    assert [] == list(readable_part([], []))


def test_nothing_can_be_read() -> None:
    with pytest.raises(SourceError, match=r"^no type; no time$"):
        readable_part([], ["no type", "no time"])


def test_what_can_be_read_comes_before_the_complaint() -> None:
    parsed = iter(readable_part(EVENTS, ["no type"]))
    assert EVENTS == [next(parsed), next(parsed)]
    with pytest.raises(SourceError, match=r"^1 of 3 can't be read: no type$"):
        next(parsed)


def test_not_every_complaint_is_told() -> None:
    with pytest.raises(SourceError, match=r"e4; and 3 more$"):
        readable_part([], [f"e{number}" for number in range(8)])


@pytest.mark.parametrize("field", ["recipient", "delivery_id", "tenant", "event_id"])
def test_keys(field: str) -> None:
    event = Feedback("a", "d", "r", "sent", diagnostic="\ufffd")
    check_keys([event])
    setattr(event, field, "a\ufffd")
    with pytest.raises(SourceError, match="no text"):
        check_keys([event])
