"""Folding into one row: statuses by rank, facts, times and reasons (`docs/domain.md §2`, `docs/domain.md §9`)."""

from typing import Any

import pytest

from aftersend.rules.recipient.fold import MAX_DIAGNOSTIC
from aftersend.schemas.event import NOT_SENT_REASONS, FoldEvent
from aftersend.schemas.recipient import Failure
from tests.unit.rules.factories import DAY, START, event, folded

TERMINAL = ("hard_bounce", "rejected", "invalid_address", "failed", "unknown", "unsubscribed", "complained", "not_sent")
#: In the order of their ranks.
NON_TERMINAL = ("planned", "ready", "sent", "deferred", "soft_bounce", "delivered", "opened", "clicked")
DELIVERIES = ("delivered", "opened", "clicked", "unsubscribed", "complained")


# Priority replacement.


@pytest.mark.parametrize("kind", [*NON_TERMINAL, *TERMINAL])
def test_the_first_event_is_applied(kind: str) -> None:
    after = folded(event(kind, reason="stopped"))

    assert ["applied"] == after.decisions
    assert ("not_sent_stopped" if kind == "not_sent" else kind) == after.status
    assert (kind in TERMINAL) == after.final
    assert 1 == after.row.version


@pytest.mark.parametrize("high", NON_TERMINAL)
@pytest.mark.parametrize("low", NON_TERMINAL)
def test_a_status_replaces_one_of_strictly_lower_rank(low: str, high: str) -> None:
    """Equal or lower rank changes nothing."""
    after = folded(low, high)
    higher = NON_TERMINAL.index(high) > NON_TERMINAL.index(low)

    assert ["applied", "applied" if higher else "lower_priority"] == after.decisions
    assert (high if higher else low) == after.status
    assert (low if higher else "none") == after.previous


@pytest.mark.parametrize("kind", ["hard_bounce", "rejected", "invalid_address", "failed", "unsubscribed", "complained"])
@pytest.mark.parametrize("before", NON_TERMINAL)
def test_a_terminal_status_replaces_every_other(before: str, kind: str) -> None:
    after = folded(before, kind)

    assert ["applied", "applied"] == after.decisions
    assert (kind, True, before) == (after.status, after.final, after.previous)


@pytest.mark.parametrize("reason", [reason for reason in NOT_SENT_REASONS if reason != "duplicate_address"])
def test_every_reason_for_not_sending_is_a_status_of_its_own(reason: str) -> None:
    after = folded(event("planned"), event("not_sent", 1, reason=reason), event("delivered", 2))

    assert (f"not_sent_{reason}", True) == (after.status, after.final)
    assert {"planned", "not_sent", "delivered", "confirmed"} == after.facts
    assert "terminal_locked" == after.decisions[-1]


def test_an_extra_copy_of_an_address_leaves_the_row_to_the_first_one() -> None:
    """Case 16: a fact, but neither a status nor a failure; the row goes on."""
    extra = event("not_sent", 2, reason="duplicate_address")
    after = folded(event("sent"), event("deferred", 1, reason="greylisted"), extra, event("delivered", 3))

    assert ["applied", "applied", "lower_priority", "applied"] == after.decisions
    assert ("delivered", "deferred") == (after.status, after.previous)
    assert {"sent", "deferred", "duplicate_address", "delivered", "confirmed"} == after.facts
    assert after.row.failure is not None
    assert "greylisted" == after.row.failure.reason


def test_a_reason_of_an_unknown_name_is_kept() -> None:
    after = folded(event("not_sent", reason="moon_phase"))

    assert "not_sent_stopped" == after.status
    assert after.row.failure is not None
    assert "moon_phase" == after.row.failure.reason


@pytest.mark.parametrize("before", ["planned", "sent", "soft_bounce", "delivered", "hard_bounce"])
@pytest.mark.parametrize("unknown", [event("something new"), event("unknown", detail="something_new", reason="x")])
def test_an_event_of_an_unknown_name_changes_nothing(before: str, unknown: FoldEvent) -> None:
    one = event(before, -1.0)
    expected, after = folded(one), folded(one, unknown)

    assert (expected.status, expected.facts, expected.row.failure) == (after.status, after.facts, after.row.failure)
    assert expected.row.previous == after.row.previous
    assert ["applied", "terminal_locked" if before == "hard_bounce" else "lower_priority"] == after.decisions
    assert "none" == folded(unknown).status


@pytest.mark.parametrize(
    "before, decision", [("sent", "applied"), ("soft_bounce", "applied"), ("delivered", "lower_priority")]
)
def test_an_outcome_that_cannot_be_known_undoes_nothing(before: str, decision: str) -> None:
    """It ends a wait for an outcome; a delivery stays a delivery."""
    after = folded(before, "unknown")

    assert ["applied", decision] == after.decisions
    assert ("unknown" if decision == "applied" else before) == after.status
    assert "unknown" in after.facts


# Terminal lock.


@pytest.mark.parametrize("kind", [*NON_TERMINAL, *TERMINAL, "autoresponded", "resubscribed"])
@pytest.mark.parametrize("lock", TERMINAL)
def test_a_terminal_status_is_never_replaced(lock: str, kind: str) -> None:
    """Not even by another terminal one: the first to arrive wins; the second is recorded as a fact."""
    first = folded(event(lock, reason="stopped"))
    after = folded(event(kind, 1, reason="expired"), row=first.row)

    assert ["terminal_locked"] == after.decisions
    assert (first.status, first.previous) == (after.status, after.previous)
    assert after.facts >= first.facts | folded(event(kind, reason="expired")).facts
    assert 2 == after.row.version


def test_opens_and_clicks_go_on_counting_after_a_lock() -> None:
    """Case 1 of `docs/domain.md §9`: the complaint locks, delivered stays counted, tallies go on."""
    after = folded("opened", "clicked", "complained", "opened", "clicked", "clicked")

    assert "complained" == after.status
    assert (2, 3) == (after.row.opens, after.row.clicks)
    assert {"delivered", "opened", "clicked", "complained"} == after.facts


def test_a_complaint_after_an_unsubscribe_is_recorded() -> None:
    after = folded("delivered", "unsubscribed", "complained")

    assert "unsubscribed" == after.status
    assert {"unsubscribed", "complained"} < after.facts
    assert START + 2 == after.row.complained_at


def test_delivered_after_a_complaint_is_ignored() -> None:
    """Case 4: terminal_locked."""
    after = folded("complained", "delivered")

    assert ["applied", "terminal_locked"] == after.decisions
    assert "complained" == after.status


@pytest.mark.parametrize("first, second", [("hard_bounce", "complained"), ("complained", "hard_bounce")])
def test_of_two_terminal_statuses_the_first_wins(first: str, second: str) -> None:
    """Case 8, both orders."""
    after = folded(first, second)

    assert first == after.status
    assert {"hard_bounced", "complained"} < after.facts


# Facts.

FACTS = [
    ("planned", {}, {"planned"}),
    ("ready", {}, {"ready"}),
    ("sent", {}, {"sent"}),
    ("deferred", {}, {"deferred"}),
    ("soft_bounce", {}, {"soft_bounced"}),
    ("delivered", {}, {"delivered", "confirmed"}),
    ("opened", {}, {"delivered", "opened"}),
    ("opened", {"machine": True}, {"delivered", "opened_machine"}),
    ("clicked", {}, {"delivered", "clicked"}),
    ("clicked", {"machine": True}, {"delivered", "clicked_machine"}),
    ("clicked", {"unsubscribe_link": True}, {"delivered", "unsubscribe_link"}),
    ("clicked", {"unsubscribe_link": True, "machine": True}, {"delivered", "clicked_machine"}),
    ("unsubscribed", {}, {"delivered", "unsubscribed"}),
    ("unsubscribed", {"one_click": True}, {"delivered", "unsubscribed", "one_click"}),
    ("complained", {}, {"delivered", "complained"}),
    ("hard_bounce", {}, {"hard_bounced"}),
    ("rejected", {}, {"rejected"}),
    ("invalid_address", {}, {"invalid_address"}),
    ("failed", {}, {"failed"}),
    ("unknown", {}, {"unknown"}),
    ("autoresponded", {}, {"autoresponded"}),
    ("resubscribed", {}, {"resubscribed"}),
    ("not_sent", {"reason": "stopped"}, {"not_sent"}),
    ("not_sent", {"reason": "duplicate_address"}, {"duplicate_address"}),
]


@pytest.mark.parametrize("kind, fields, facts", FACTS)
def test_every_kind_leaves_its_facts(kind: str, fields: dict[str, Any], facts: set[str]) -> None:
    assert facts == folded(event(kind, **fields)).facts


@pytest.mark.parametrize("kind", ["autoresponded", "resubscribed"])
def test_some_kinds_leave_facts_only(kind: str) -> None:
    """An automatic reply is no outcome (case 13)."""
    after = folded("sent", kind)

    assert ["applied", "lower_priority"] == after.decisions
    assert "sent" == after.status


def test_an_event_of_lower_rank_still_updates_facts() -> None:
    after = folded("clicked", "sent", "deferred", "delivered")

    assert "clicked" == after.status
    assert {"delivered", "confirmed", "clicked", "sent", "deferred"} == after.facts
    assert START + 1 == after.row.sent_at
    assert START + 3 == after.row.delivered_at


def test_a_hard_bounce_after_the_delivery_is_terminal() -> None:
    """Case 7: on day 6, and the row says that it had been delivered."""
    after = folded(event("delivered"), event("hard_bounce", 6 * DAY))

    assert ("hard_bounce", "delivered") == (after.status, after.previous)
    assert {"delivered", "confirmed", "hard_bounced", "bounced_after_delivery"} == after.facts


def test_a_hard_bounce_after_an_open_keeps_the_tallies() -> None:
    after = folded("opened", "clicked", "hard_bounce")

    assert "hard_bounce" == after.status
    assert (1, 1) == (after.row.opens, after.row.clicks)
    assert {"opened", "clicked", "bounced_after_delivery"} < after.facts


def test_a_hard_bounce_alone_was_not_after_a_delivery() -> None:
    assert "bounced_after_delivery" not in folded("sent", "hard_bounce").facts


@pytest.mark.parametrize("kind", DELIVERIES)
def test_whoever_answers_has_been_reached(kind: str) -> None:
    """Delivered is implied by opens, clicks, unsubscribes and complaints; confirmed by its own event only."""
    after = folded(kind)

    assert "delivered" in after.facts
    assert (kind == "delivered") == ("confirmed" in after.facts)


def test_a_click_alone_is_one_click_and_no_open_event() -> None:
    """Case 2: the indicator counts the click as a unique open; the tally of opens stays."""
    after = folded("clicked")

    assert (0, 1) == (after.row.opens, after.row.clicks)
    assert START == after.row.clicked_at
    assert after.row.opened_at is None


def test_a_click_on_the_unsubscribe_link_is_no_click() -> None:
    """Case 3."""
    after = folded(event("clicked", unsubscribe_link=True))

    assert "opened" == after.status
    assert 0 == after.row.clicks
    assert "clicked" not in after.facts


def test_a_machine_open_then_a_human_one() -> None:
    """Case 19: kept apart, neither thrown away."""
    after = folded(event("opened", machine=True), event("opened", 1), event("opened", 2, machine=True))

    assert ["applied", "applied", "lower_priority"] == after.decisions
    assert ("opened", "opened_machine") == (after.status, after.previous)
    assert (1, 2) == (after.row.opens, after.row.machine_opens)
    assert (START + 1, START + 1) == (after.row.opened_at, after.row.last_opened_at)


def test_a_click_by_a_machine_is_no_human_click() -> None:
    after = folded(event("clicked", machine=True))

    assert "opened_machine" == after.status
    assert (0, 1) == (after.row.clicks, after.row.machine_clicks)
    assert after.row.clicked_at is None


def test_a_soft_bounce_then_success() -> None:
    """Case 5: the row is delivered, and remembers that it soft bounced."""
    after = folded("sent", "soft_bounce", "sent", "delivered")

    assert ("delivered", "soft_bounce") == (after.status, after.previous)
    assert {"sent", "soft_bounced", "delivered", "confirmed"} == after.facts


# Times and reasons.


def test_first_and_last_times_are_the_providers() -> None:
    """Whatever the order of arrival."""
    after = folded(
        event("opened", 10, occurred_at=START + 5),
        event("opened", 11, occurred_at=START - 5),
        event("opened", 12, occurred_at=START + 1),
        event("clicked", 13, occurred_at=START + 7),
        event("clicked", 14, occurred_at=START + 6),
    )

    assert (START - 5, START + 5) == (after.row.opened_at, after.row.last_opened_at)
    assert (START + 6, START + 7) == (after.row.clicked_at, after.row.last_clicked_at)
    assert START + 14 == after.row.updated_at


def test_an_event_without_a_time_of_its_own_happened_when_it_arrived() -> None:
    assert START + 7 == folded(event("delivered", 7)).row.delivered_at


TIMES = {
    "sent": "sent_at",
    "delivered": "delivered_at",
    "opened": "opened_at",
    "clicked": "clicked_at",
    "unsubscribed": "unsubscribed_at",
    "complained": "complained_at",
}


@pytest.mark.parametrize("kind", TIMES)
def test_the_first_time_counts(kind: str) -> None:
    after = folded(
        event(kind, 1, occurred_at=START + 1),
        event(kind, 2, occurred_at=START - 9),
        event(kind, 3, occurred_at=START + 9),
    )

    assert START - 9 == getattr(after.row, TIMES[kind])


FAILURES = ("deferred", "soft_bounce", "hard_bounce", "rejected", "invalid_address", "failed", "unknown", "not_sent")


@pytest.mark.parametrize("kind", FAILURES)
def test_a_failure_says_why(kind: str) -> None:
    after = folded(
        event(kind, occurred_at=START, reason="InvalidRecipient", code=550, enhanced_code="5.1.1", diagnostic="no such")
    )

    assert Failure(START, "InvalidRecipient", 550, "5.1.1", "no such") == after.row.failure


def test_the_latest_failure_stays() -> None:
    """By the provider's clock, whatever the order of arrival."""
    after = folded(
        event("deferred", 1, occurred_at=START + 1, reason="first"),
        event("deferred", 2, occurred_at=START + 9, reason="last"),
        event("deferred", 3, occurred_at=START + 5, reason="between"),
    )

    assert after.row.failure is not None
    assert "last" == after.row.failure.reason


def test_success_leaves_the_failure_readable() -> None:
    after = folded(event("deferred", reason="greylisted"), event("delivered", 1))

    assert after.row.failure is not None
    assert "greylisted" == after.row.failure.reason


def test_long_diagnostics_are_cut() -> None:
    """The raw record has all of it."""
    failure = folded(event("failed", diagnostic="ä" * 10_000)).row.failure

    assert failure is not None
    assert "ä" * MAX_DIAGNOSTIC == failure.diagnostic


def test_the_address_as_it_was_spelled_is_kept() -> None:
    """Case 15: two spellings, one row; the first that differs stays."""
    after = folded(
        event("sent"), event("delivered", 1, address="R@Example.org"), event("opened", 2, address="r@EXAMPLE.org")
    )

    assert "R@Example.org" == after.row.address


def test_what_is_heard_of_the_message_type_stays() -> None:
    after = folded(
        event("sent"), event("delivered", 1, message_type="automation"), event("opened", 2, message_type="campaign")
    )

    assert 2 == after.row.message_type
    assert 0 == folded(event("sent", message_type="pigeon")).row.message_type


def test_the_row_says_which_event_made_it() -> None:
    after = folded(event("sent", event_id="one"), event("delivered", 5, event_id="two", source="tracking"))

    assert ("two", 2, START + 5, 2) == (after.row.cause, after.row.source, after.row.updated_at, after.row.version)
