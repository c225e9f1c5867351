"""Folding into one row: duplicates, test and unattributed events (`docs/domain.md §2.5`, `docs/domain.md §2.8`)."""

from typing import Any

import pytest

from aftersend.rules.recipient.history import MAX_ENTRIES
from tests.unit.rules.factories import DAY, HOUR, event, folded

# Duplicates.


def test_the_same_event_again_changes_nothing_but_its_repeats() -> None:
    once = event("opened")
    first = folded(once)
    after = folded(once, once, row=first.row)

    assert ["duplicate", "duplicate"] == after.decisions
    assert [("applied", 2)] == after.remembered
    assert 1 == after.row.opens
    assert first.row.version == after.row.version


def test_46_times_over_29_hours() -> None:
    """Case 9, with other events in between."""
    complaint = event("complained", 2)
    again = [event("complained", i * 29 * HOUR / 45, event_id=complaint.event_id) for i in range(1, 46)]
    after = folded("delivered", "opened", complaint, *again)

    assert 45 == after.decisions.count("duplicate")
    assert ("applied", 45) == after.remembered[2]


def test_an_id_means_the_same_event_whatever_it_says() -> None:
    after = folded(event("sent", event_id="x"), event("delivered", 1, event_id="x"))

    assert ["applied", "duplicate"] == after.decisions
    assert "sent" == after.status


def test_32_events_and_an_expiry_are_remembered() -> None:
    first = event("sent")
    rest = [event("opened", 3 * DAY + i) for i in range(MAX_ENTRIES - 2)]
    after = folded(first, *rest, first)

    assert (MAX_ENTRIES, "duplicate") == (len(after.remembered), after.decisions[-1])


@pytest.mark.parametrize("others", [0, 1, 31, 32])
def test_at_least_32_events_are_remembered(others: int) -> None:
    """An event counts as a duplicate if at most 32 others came since, or 31 and an expiry."""
    first = event("clicked")
    rest = [event("opened", i) for i in range(1, others + 1)]

    assert "duplicate" == folded(first, *rest, first).decisions[-1]


def test_an_event_that_comes_again_after_33_others_counts_again() -> None:
    """The known limit of the filter, which `docs/reference/topics.md` tells: its memory is bounded."""
    first = event("clicked")
    after = folded(first, *["opened"] * MAX_ENTRIES, first)

    assert "lower_priority" == after.decisions[-1]
    assert 2 == after.row.clicks


def test_a_duplicate_keeps_nothing_alive() -> None:
    """What is remembered are the last different events: a repeat does not move its entry to the end."""
    first = event("clicked")
    others = [e for i in range(MAX_ENTRIES) for e in (event("opened", i + 1), first)]
    decisions = folded(first, *others).decisions

    assert MAX_ENTRIES - 1 == decisions.count("duplicate")


# Tests and what belongs to nobody.


def test_a_test_message_is_counted_apart() -> None:
    after = folded(event("sent", test=True), event("opened", 1, test=True), event("complained", 2, test=True))

    assert ["test", "test", "test"] == after.decisions
    assert "test" in after.facts


def test_what_follows_a_test_message_is_a_test_too() -> None:
    """Opens and clicks do not say that their message was a test."""
    after = folded(event("sent", test=True), event("opened", 1))

    assert ["test", "test"] == after.decisions


@pytest.mark.parametrize("fields", [{"delivery_id": ""}, {"recipient": ""}, {"delivery_id": "", "recipient": ""}])
def test_what_belongs_to_no_row_is_unattributed(fields: dict[str, Any]) -> None:
    """Case 10: a bounce without message id, an out-of-band bounce without recipient."""
    twice = event("hard_bounce", **fields)
    after = folded(twice, twice, event("complained", 1, **fields))

    assert ["unattributed", "duplicate", "unattributed"] == after.decisions
    assert "none" == after.status
