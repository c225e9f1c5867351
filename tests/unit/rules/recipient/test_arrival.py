"""A row is a function of the set of its events: the order in which they are read changes nothing."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict

from aftersend.rules.recipient.fold import fold
from aftersend.rules.recipient.history import digest_of, unpack_history
from aftersend.rules.recipient.kinds import kind_of
from aftersend.rules.recipient.timing import timing, windows_of
from aftersend.schemas.delivery import DeliveryTerms
from aftersend.schemas.event import FoldEvent
from aftersend.schemas.packing import pack_raw_position
from aftersend.schemas.recipient import Row
from tests.unit.rules.factories import DAY, HOUR, MINUTE, NUMBERS, START, WINDOWS, event, folded

TYPES = (
    "planned",
    "ready",
    "sent",
    "deferred",
    "soft_bounce",
    "delivered",
    "opened",
    "clicked",
    "unsubscribed",
    "complained",
    "hard_bounce",
    "rejected",
    "failed",
    "autoresponded",
)
#: Few moments, so that many events arrive at the same one.
MOMENTS = st.sampled_from([0.0, 1.0, 60.0, HOUR, 2 * HOUR, DAY, 3 * DAY, 5 * DAY])
EVENTS = st.lists(st.tuples(st.sampled_from(TYPES), MOMENTS, st.sampled_from(["kumomta", "sendgrid"])), max_size=9)


#: Nothing declared; a validity, and one that counts from a start, after which planned recipients are stopped.
DECLARED = pytest.mark.parametrize(
    "windows",
    [
        WINDOWS,
        windows_of(DeliveryTerms(START, "e", validity=30 * MINUTE), timing()),
        windows_of(DeliveryTerms(START, "e", validity=DAY, start=START + HOUR), timing()),
    ],
    ids=["undeclared", "half an hour", "a day from a start"],
)


def read(
    events: list[FoldEvent], ticks: dict[int, float] | None = None, windows: tuple[float, ...] = WINDOWS
) -> dict[str, Any]:
    """Return a row after events in the order in which they are read, but for the number of its changes."""
    row, tick = Row(), 0.0
    for number, one in enumerate([*events, event("autoresponded", 60 * DAY, event_id="last")]):
        tick = START + 60 * DAY if number == len(events) else max(tick, (ticks or {}).get(number, 0.0))
        source = NUMBERS[one.source]
        position = pack_raw_position(source, 0, max(0, one.raw_offset))
        fold(row, one, kind_of(one), one.received_at, tick, digest_of(one.event_id), position, source, windows)
    fields = asdict(row)
    # A repeat is counted where it is read.
    fields["history"] = [one._replace(repeats=0) for one in unpack_history(row.history)]
    del fields["version"]
    return fields


def events_of(drawn: list[tuple[str, float, str]]) -> list[FoldEvent]:
    return [
        event(kind, at, source=source, raw_offset=at_, event_id=f"e{at_}")
        for at_, (kind, at, source) in enumerate(drawn)
    ]


@DECLARED
@given(EVENTS, st.randoms(use_true_random=False))
def test_any_order_of_reading_gives_the_same_row(
    windows: tuple[float, ...], drawn: list[tuple[str, float, str]], rng: random.Random
) -> None:
    events = events_of(drawn)
    expected = read(sorted(events, key=lambda one: one.received_at), None, windows)
    again = [*events, *rng.choices(events, k=3)] if events else []
    rng.shuffle(again)

    assert expected == read(again, None, windows)


@DECLARED
@given(EVENTS, st.randoms(use_true_random=False), st.dictionaries(st.integers(0, 8), MOMENTS))
def test_ticks_between_the_events_change_nothing(
    windows: tuple[float, ...], drawn: list[tuple[str, float, str]], rng: random.Random, ticks: dict[int, float]
) -> None:
    """An end of a wait that came too early is taken back, and what came after it decided again."""
    events = events_of(drawn)
    expected = read(sorted(events, key=lambda one: one.received_at), None, windows)
    rng.shuffle(events)

    assert expected == read(events, {number: START + at for number, at in ticks.items()}, windows)


@pytest.mark.parametrize("first, second", [("unsubscribed", "complained"), ("hard_bounce", "complained")])
def test_of_two_terminal_statuses_the_one_that_arrived_first_stays(first: str, second: str) -> None:
    early, late = event(first, 1.0), event(second, 2.0)

    assert first == folded(early, late).status == folded(late, early).status


def test_of_two_that_arrived_together_the_lower_rank_stays_then_the_smaller_id() -> None:
    unsubscribed, complained = event("unsubscribed"), event("complained")
    assert "unsubscribed" == folded(unsubscribed, complained).status == folded(complained, unsubscribed).status

    rejected, failed = event("rejected", event_id="0" * 32), event("failed", event_id="1" * 32)
    assert "rejected" == folded(rejected, failed).status == folded(failed, rejected).status


def test_among_more_events_than_a_row_remembers_a_terminal_status_still_yields() -> None:
    opens = [event("opened", 2.0 + number) for number in range(40)]
    after = folded(event("complained", 100.0), *opens, event("unsubscribed", 50.0))

    assert ("unsubscribed", "applied") == (after.status, after.decisions[-1])


def test_a_delivery_counts_as_before_a_bounce_by_arrival() -> None:
    delivered, bounced = event("delivered", 1.0), event("hard_bounce", 2.0)
    for order in ((delivered, bounced), (bounced, delivered)):
        assert "bounced_after_delivery" in folded(*order).facts
    delivered = event("delivered", 3.0)
    for order in ((delivered, bounced), (bounced, delivered)):
        assert "bounced_after_delivery" not in folded(*order).facts


def test_a_test_message_without_a_delivery_has_no_status_in_any_order() -> None:
    early, late = (event("soft_bounce", at, delivery_id="", test=True) for at in (1.0, 2.0))

    assert "none" == folded(early, late).status == folded(late, early).status
