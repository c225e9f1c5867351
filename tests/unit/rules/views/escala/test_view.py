"""Escala: campaign totals of `docs/domain.md §5.3`."""

import pytest

from aftersend.schemas.event import NOT_SENT_REASONS, FoldEvent
from tests.unit.rules.factories import event
from tests.unit.rules.views.factories import OVER, counts, movements, report, row_of, status

SHOWN: list[tuple[tuple[str | FoldEvent, ...], str]] = [
    (("planned", "ready"), "Planned"),
    (("sent",), "Sent"),
    (("autoresponded",), "Sent"),
    (("sent", "deferred"), "Sent"),
    (("sent", "delivered"), "Delivered"),
    (("sent", event("opened", 5, machine=True)), "Delivered"),
    (("opened",), "Opened"),
    (("clicked",), "Interacted"),
    (("sent", "soft_bounce"), "Bounced"),
    (("sent", "deferred", OVER), "Bounced"),
    (("sent", "hard_bounce"), "Bounced"),
    (("sent", "rejected"), "Bounced"),
    (("sent", "invalid_address"), "Bounced"),
    (("sent", "failed"), "Bounced"),
    (("sent", OVER), "No feedback"),
    (("delivered", "unsubscribed"), "Unsubscribed"),
    (("delivered", "complained"), "Marked as spam"),
]


@pytest.mark.parametrize("steps, shown", SHOWN)
def test_what_is_shown(steps: tuple[str | FoldEvent, ...], shown: str) -> None:
    assert shown == status("escala", *steps)


@pytest.mark.parametrize("reason", [r for r in NOT_SENT_REASONS if r != "duplicate_address"])
def test_who_was_not_sent_to_is_skipped(reason: str) -> None:
    actual = counts("escala", "planned", event("not_sent", 5, reason=reason))

    assert {"audience": 1, "skipped": 1} == actual


def test_totals_of_a_campaign() -> None:
    actual = report(
        "escala",
        row_of("sent", "delivered"),
        row_of("sent", "delivered", "opened", "clicked"),
        row_of("delivered", "opened", "complained"),
        row_of("delivered", "unsubscribed", "complained"),
        row_of("sent", "hard_bounce"),
        row_of("sent", "soft_bounce"),
        row_of("planned", event("not_sent", 5, reason="previously_bounced")),
    )

    assert {
        "audience": 7,
        "sent": 6,
        "delivered": 4,
        "opened": 3,
        "interacted": 1,
        "bounced": 2,
        "hard_bounced": 1,
        "unsubscribed": 1,
        "complained": 2,
        "skipped": 1,
    } == actual.counts


def test_a_later_success_takes_a_bounce_off() -> None:
    assert [1, -1] == [moved.get("bounced", 0) for moved in movements("escala", "soft_bounce", "delivered")]
