"""When a row got its status, whatever came after."""

import pytest
from hypothesis import given

from aftersend.rules.recipient.decisions import Decision
from aftersend.rules.recipient.status_time import status_at
from aftersend.rules.recipient.statuses import STATUS_NAME
from aftersend.schemas.event import EVENT_TYPES, FoldEvent
from aftersend.schemas.recipient import Row
from tests.unit.rules.factories import DAY, HOUR, START, event, fold_into, folded
from tests.unit.rules.recipient.test_fold_properties import by_arrival, some_events
from tests.unit.rules.views.factories import OVER, row_of

#: Types of events that concern a row.
TYPES = tuple(name for name in EVENT_TYPES if name not in {"tick", "released", "declared"})


def test_a_row_without_events_has_no_time() -> None:
    assert status_at(Row()) is None


def test_an_event_that_leaves_the_status_leaves_its_time() -> None:
    row = folded(event("delivered", 5), event("sent", 9), event("autoresponded", 60)).row

    assert (START + 5, START + 60) == (status_at(row), row.updated_at)


def test_a_status_by_the_end_of_a_wait_has_the_time_of_that_end() -> None:
    assert START + 2 * DAY == status_at(row_of("sent", OVER))
    assert START + 1 + 2 * DAY == status_at(row_of(event("soft_bounce", 1), OVER))


def test_an_expiry_that_is_taken_back_gives_way_to_the_time_of_what_arrived_in_time() -> None:
    row = folded(event("sent"), tick=START + 3 * DAY).row
    late = folded(event("autoresponded", 3 * DAY), row=row).row
    assert ("unknown", START + 2 * DAY) == (STATUS_NAME[late.status], status_at(late))

    delivered = folded(event("delivered", 2 * HOUR), row=late).row
    assert ("delivered", START + 2 * HOUR) == (STATUS_NAME[delivered.status], status_at(delivered))


def test_a_soft_bounce_that_was_given_up_and_then_succeeded_has_the_time_of_the_success() -> None:
    assert START + 3 * DAY == status_at(row_of("soft_bounce", OVER, event("delivered", 3 * DAY)))


def test_a_test_message_has_the_time_of_the_first_event_with_its_status() -> None:
    row = folded(event("opened", 1, test=True), event("opened", 2, test=True)).row

    assert START + 1 == status_at(row)


@pytest.mark.parametrize("type_, field", [("opened", "opened_at"), ("clicked", "clicked_at")])
def test_a_status_that_is_no_longer_remembered_has_the_first_time_of_what_it_says(type_: str, field: str) -> None:
    row = folded(*(event(type_, number) for number in range(40))).row

    assert START == status_at(row) == getattr(row, field)


def test_a_time_that_nothing_tells_is_none() -> None:
    row = folded("ready", *(event("autoresponded", number) for number in range(1, 40))).row

    assert status_at(row) is None


@given(some_events(TYPES, 12))
def test_it_is_the_arrival_of_the_event_that_changed_the_status_last(events: list[FoldEvent]) -> None:
    row = Row()
    expected: float | None = None
    for one in by_arrival(events):
        if fold_into(row, one) & 15 == Decision.APPLIED:
            expected = one.received_at

    assert expected == (None if expected is None else status_at(row))
