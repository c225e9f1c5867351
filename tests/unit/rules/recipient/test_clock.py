"""The time of a partition, and when a delivery starts (`docs/domain.md §6.1`, `docs/domain.md §2.6`)."""

import pytest

from aftersend.rules.recipient.timing import DAY, HOUR, PartitionClock, starts_at, timing
from aftersend.schemas.delivery import DeliveryTerms

NOW = 1_800_000_000.0
FAR = NOW + 200 * DAY


def times(*ticks: float, now: float = NOW) -> tuple[list[float], int]:
    """Return the time after each tick, and how many leapt."""
    clock = PartitionClock(now, HOUR)
    return [clock.tick(at) for at in ticks], clock.refused


def test_the_first_tick_sets_the_time() -> None:
    assert ([FAR], 0) == times(FAR, now=0.0)


def test_ticks_in_order_advance_the_time_and_earlier_ones_change_nothing() -> None:
    assert ([NOW + 5, NOW + HOUR, NOW + HOUR, NOW + 2 * HOUR], 0) == times(NOW + 5, NOW + HOUR, NOW, NOW + 2 * HOUR)


def test_a_tick_that_leaps_advances_the_time_by_a_tenth_of_a_step() -> None:
    step = HOUR / 10
    assert ([NOW + 5, NOW + 5 + step, NOW + 5 + step, NOW + 5 + 2 * step], 2) == times(NOW + 5, FAR, NOW + 10, FAR)


def test_after_an_outage_the_time_catches_up() -> None:
    later = NOW + 2.5 * HOUR
    found, refused = times(*(later + 5 * number for number in range(20)))

    assert (later + 95, 16) == (found[-1], refused)


def test_a_worker_that_takes_over_counts_as_before() -> None:
    ticks = [FAR, NOW + 5, FAR, FAR, NOW + HOUR]
    now = NOW
    for at in ticks:
        now = PartitionClock(now, HOUR).tick(at)

    assert times(*ticks)[0][-1] == now


@pytest.mark.parametrize(
    "received_at, now, terms, start",
    [
        (NOW, NOW + 60, None, NOW),
        (NOW - 10 * DAY, NOW, None, NOW - 10 * DAY),
        (0.0, NOW, None, NOW - 15 * DAY),
        (NOW - 200 * DAY, NOW, None, NOW - 15 * DAY),
        (NOW - 200 * DAY, NOW, DeliveryTerms(NOW, "d", freeze=8 * DAY), NOW - 4 * DAY),
        (NOW - 200 * DAY, NOW, DeliveryTerms(NOW, "d", freeze=2 * DAY), NOW - 3 * DAY),
        (0.0, 0.0, None, 0.0),
        (NOW, 0.0, None, NOW),
    ],
    ids=["now", "late", "of 1970", "old", "declared", "declared short", "before the first tick", "first of all"],
)
def test_half_of_the_statistics_period_lies_ahead_of_a_delivery(
    received_at: float, now: float, terms: DeliveryTerms | None, start: float
) -> None:
    assert start == starts_at(received_at, now, terms, timing(freeze=30 * DAY))
