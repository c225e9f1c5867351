"""Escala: alerts of `docs/domain.md §5.4`, raised once per crossing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersend.rules.kpi.alerts import THRESHOLDS, Alert, AlertChanges, Threshold, compare_with_thresholds
from tests.unit.rules.views.factories import counts

NONE: frozenset[str] = frozenset()


def names(result: AlertChanges) -> list[str]:
    return [alert.name for alert in result.raised]


CROSSINGS = [
    ({"sent": 1000, "hard_bounced": 50}, []),
    ({"sent": 1000, "hard_bounced": 51}, ["hard_bounces"]),
    ({"sent": 1000, "delivered": 1000, "unsubscribed": 50}, []),
    ({"sent": 1000, "delivered": 1000, "unsubscribed": 51}, ["unsubscribes"]),
    ({"sent": 1000, "delivered": 1000, "complained": 1}, []),
    ({"sent": 1000, "delivered": 1000, "complained": 2}, ["complaints"]),
    ({"sent": 99, "hard_bounced": 99}, []),
    ({"sent": 999, "delivered": 999, "complained": 9}, []),
    ({}, []),
]


@pytest.mark.parametrize("counts, raised", CROSSINGS)
def test_the_documented_thresholds(counts: dict[str, int], raised: list[str]) -> None:
    """5 %, 5 % and 0.1 %: over, not at; and not before there are enough to tell."""
    assert raised == names(compare_with_thresholds(NONE, counts))


def test_an_alert_says_what_it_was_computed_from() -> None:
    assert (Alert("hard_bounces", 0.1, 0.05, 20, "hard_bounced", 200, "sent"),) == compare_with_thresholds(
        NONE, {"sent": 200, "hard_bounced": 20}
    ).raised


def test_raised_once_per_crossing() -> None:
    high, low = {"sent": 200, "hard_bounced": 20}, {"sent": 1000, "hard_bounced": 20}
    first = compare_with_thresholds(NONE, high)
    second = compare_with_thresholds(first.active, high)
    back = compare_with_thresholds(second.active, low)
    again = compare_with_thresholds(back.active, {"sent": 1000, "hard_bounced": 90})

    assert [["hard_bounces"], [], [], ["hard_bounces"]] == [names(one) for one in (first, second, back, again)]
    assert ("hard_bounces",) == back.ended
    assert NONE == back.active


def test_a_tenants_own_thresholds() -> None:
    own = [Threshold("spam", "complained", "sent", 0.5, 1)]

    assert ["spam"] == names(compare_with_thresholds(NONE, {"sent": 1, "complained": 1}, own))
    assert [] == names(compare_with_thresholds(NONE, {"sent": 0, "complained": 1}, own))
    assert NONE == compare_with_thresholds(frozenset({"hard_bounces"}), {"sent": 1000, "hard_bounced": 900}, own).active


def test_thresholds_look_at_counts_of_the_view() -> None:
    known = counts("escala", "sent", "hard_bounce", "unsubscribed", "complained").keys()

    assert {name for t in THRESHOLDS for name in (t.numerator, t.denominator)} <= known


@given(st.sampled_from(THRESHOLDS), st.integers(1, 10**6))
def test_exactly_at_the_limit_is_not_over_it(threshold: Threshold, scale: int) -> None:
    parts = round(1 / threshold.limit)
    at = {threshold.numerator: 1000 * scale, threshold.denominator: 1000 * parts * scale}
    over = at | {threshold.numerator: 1000 * scale + 1}

    assert [] == names(compare_with_thresholds(NONE, at))
    assert [threshold.name] == names(compare_with_thresholds(NONE, over))


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(100, 2000)), max_size=30))
def test_raised_and_ended_take_turns(history: list[tuple[int, int]]) -> None:
    active, story = NONE, []
    for bounced, sent in history:
        result = compare_with_thresholds(active, {"hard_bounced": bounced, "sent": sent})
        story += ["raised"] * len(result.raised) + ["ended"] * len(result.ended)
        active = result.active
        assert bool(active) == (bounced / sent > 0.05)

    assert story == ["raised", "ended"] * (len(story) // 2) + ["raised"] * (len(story) % 2)
