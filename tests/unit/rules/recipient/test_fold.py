"""One row: every rule of `docs/domain.md §2` that concerns it, and the cases of `docs/domain.md §9`."""

from typing import Any

import pytest

from aftersend.rules.recipient.fold import MAX_DIAGNOSTIC
from aftersend.rules.recipient.history import MAX_ENTRIES
from aftersend.schemas.event import NOT_SENT_REASONS
from aftersend.schemas.recipient import Failure
from tests.unit.rules.factories import DAY, HOUR, MINUTE, START, event, folded

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


@pytest.mark.parametrize(
    "before, decision", [("sent", "applied"), ("soft_bounce", "applied"), ("delivered", "lower_priority")]
)
def test_an_event_that_nobody_understands_undoes_nothing(before: str, decision: str) -> None:
    """It ends a wait for an outcome; a delivery stays a delivery."""
    after = folded(before, "something new")

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
    others = [e for i in range(MAX_ENTRIES) for e in (event("opened", i), first)]
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


# Expiry.

WINDOWS = [("kumomta", 48), ("tracking", 48), ("", 48), ("of no name we know", 48), ("unione", 24), ("sendgrid", 72)]


@pytest.mark.parametrize("source, hours", WINDOWS)
def test_sent_without_an_outcome_is_unknown_after_the_sources_window(source: str, hours: int) -> None:
    """Case 17, by the next event of the row."""
    sent = event("sent", source=source)
    in_time = folded(sent, event("delivered", hours * HOUR - 1))
    too_late = folded(sent, event("delivered", hours * HOUR))

    assert ("delivered", ["applied", "applied"]) == (in_time.status, in_time.decisions)
    assert ("unknown", True) == (too_late.status, too_late.final)
    assert "terminal_locked" == too_late.decisions[-1]
    assert {"sent", "expired", "delivered", "confirmed"} == too_late.facts


@pytest.mark.parametrize("kinds", [("sent", "deferred"), ("deferred", "sent"), ("deferred",)])
def test_a_temporary_failure_without_an_outcome_is_a_soft_bounce_for_good(kinds: tuple[str, ...]) -> None:
    """Case 6."""
    after = folded(*kinds, event("delivered", 3 * DAY))

    assert ("soft_bounce", True, "deferred") == (after.status, after.final, after.previous)
    assert "expired" in after.facts


@pytest.mark.parametrize(
    "kind", ["planned", "ready", "soft_bounce", "delivered", "opened", "clicked", "complained", "hard_bounce"]
)
def test_what_waits_for_nothing_does_not_expire(kind: str) -> None:
    after = folded(event("sent"), event(kind, 1), event("autoresponded", 100 * DAY), tick=START + DAY)
    alone = folded(event(kind), event("autoresponded", 100 * DAY), tick=START + 99 * DAY)

    assert kind == alone.status
    assert "expired" not in alone.facts
    assert (kind in {"planned", "ready"}) == ("expired" in after.facts), "those leave the row at sent, which waits"


def test_a_soft_bounce_may_still_succeed() -> None:
    """Given up by one attempt, retried by the next: case 5, however long that takes."""
    after = folded(event("sent"), event("soft_bounce", HOUR), event("delivered", 3 * DAY))

    assert ("delivered", "soft_bounce") == (after.status, after.previous)
    assert after.row.pending_since is None


@pytest.mark.parametrize("kinds", [("soft_bounce",), ("sent", "soft_bounce"), ("soft_bounce", "deferred")])
def test_a_soft_bounce_that_nobody_tries_again_is_a_fact_when_the_window_is_over(kinds: tuple[str, ...]) -> None:
    """The status stays, and is not final. Case 6 needs it: without EFS, that is when it counts as failed."""
    before = folded(*kinds, event("autoresponded", 48 * HOUR - 1))
    after = folded(*kinds, event("autoresponded", 48 * HOUR))

    assert "given_up" not in before.facts
    assert {"given_up", "soft_bounced"} <= after.facts
    assert "expired" not in after.facts
    assert ("soft_bounce", False) == (after.status, after.final)
    assert folded(*kinds).previous == after.previous
    assert before.row.version + 1 == after.row.version


def test_the_end_of_a_soft_bounces_window_comes_once() -> None:
    after = folded("soft_bounce", event("autoresponded", 3 * DAY), event("autoresponded", 9 * DAY), "deferred")

    assert 5 == after.row.version, "four events and one end"


def test_what_arrived_in_time_takes_the_end_of_a_soft_bounces_window_back() -> None:
    given_up = folded(event("soft_bounce"), event("autoresponded", 3 * DAY))
    tried = folded(event("deferred", HOUR), row=given_up.row)
    delivered = folded(event("delivered", HOUR), row=given_up.row)
    again = folded(event("autoresponded", 4 * DAY), row=tried.row)

    assert ("soft_bounce", False) == (tried.status, "given_up" in tried.facts)
    assert ("delivered", False) == (delivered.status, "given_up" in delivered.facts)
    assert "given_up" in again.facts


def test_a_later_failure_does_not_change_the_window_that_a_soft_bounce_has_waited_for() -> None:
    """UniOne's 24 hours stay those, though another source with 48 speaks of the row afterwards."""
    given_up = folded(event("soft_bounce", source="unione"), event("autoresponded", 25 * HOUR))
    after = folded(event("deferred", 26 * HOUR), row=given_up.row)

    assert (3, 3) == (given_up.row.source, after.row.source)
    assert "given_up" in after.facts


def test_the_window_counts_from_the_first_sign_of_sending() -> None:
    """Every further try does not prolong it."""
    tries = [event("deferred", i * 12 * HOUR) for i in range(1, 4)]
    after = folded(event("sent"), *tries, event("delivered", 48 * HOUR))

    assert ("soft_bounce", True) == (after.status, after.final)


def test_an_expiry_is_dated_when_it_was_due() -> None:
    """However late it is noticed: replays with other ticks show the same."""
    after = folded(event("sent"), event("sent", 9 * DAY, event_id="x"), tick=START + 8 * DAY)
    before = folded(event("sent"), event("sent", 2 * DAY, event_id="x"))

    assert before.row.status == after.row.status
    assert before.remembered == after.remembered
    assert ("unknown", "sent", 3) == (after.status, after.previous, after.row.version)


def test_an_expired_row_still_tells_since_when_it_had_waited() -> None:
    after = folded(event("deferred"), event("autoresponded", 3 * DAY))

    assert (START, True) == (after.row.pending_since, after.final)


def test_what_arrived_in_time_takes_the_expiry_back() -> None:
    """A tick has overtaken it, as after an outage of whatever parses raw records."""
    after = folded(event("sent"), event("delivered", HOUR), tick=START + 3 * DAY)

    assert ("delivered", "sent", False) == (after.status, after.previous, after.final)
    assert {"sent", "delivered", "confirmed"} == after.facts
    assert (3, None) == (after.row.version, after.row.pending_since), "sent, expired, delivered"


def test_what_arrived_in_time_without_being_an_outcome_lets_the_row_wait_on() -> None:
    """Until the next event or tick ends the wait again, at the same moment as before."""
    after = folded(event("sent"), event("autoresponded", HOUR), tick=START + 3 * DAY)
    again = folded(event("opened", 3 * DAY), row=after.row)

    assert ("sent", "none", START) == (after.status, after.previous, after.row.pending_since)
    assert "expired" not in after.facts
    assert ("unknown", "sent", 5) == (again.status, again.previous, again.row.version)


def test_what_arrived_when_the_row_was_due_is_too_late() -> None:
    after = folded(event("sent"), event("delivered", 2 * DAY), tick=START + 3 * DAY)

    assert ("unknown", ["applied", "terminal_locked"]) == (after.status, after.decisions)


def test_a_duplicate_takes_no_expiry_back() -> None:
    """It is no news, and a version that was shown goes on saying the same."""
    sent = event("sent")
    expired = folded(sent, event("autoresponded", 3 * DAY))
    after = folded(event("sent", 1, event_id=sent.event_id), row=expired.row)

    assert ["duplicate"] == after.decisions
    assert ("unknown", expired.row.version) == (after.status, after.row.version)


def test_a_status_of_unknown_that_somebody_reported_is_not_taken_back() -> None:
    after = folded(event("sent"), event("unknown", 2 * HOUR), event("delivered", HOUR))

    assert ("unknown", "terminal_locked") == (after.status, after.decisions[-1])


def test_a_row_that_waits_keeps_the_source_that_has_it_sent() -> None:
    """Its window counts, whoever else tells something of the row meanwhile; outcomes are anybody's."""
    heard = event("sent", source="sendgrid"), event("autoresponded", 1, source="unione")
    waiting, told = folded(*heard), folded(*heard, event("opened", 2, source="tracking"))
    deferred = folded(*heard, event("deferred", 2, source="unione"))

    assert (4, 2, 3) == (waiting.row.source, told.row.source, deferred.row.source)
    assert "opened" == folded(event("opened", 71 * HOUR), row=waiting.row).status
    assert "unknown" == folded(event("opened", 72 * HOUR), row=waiting.row).status


def test_what_comes_after_an_expiry_does_not_change_the_window_that_was_waited_for() -> None:
    """UniOne's 24 hours stay those, though a source with 48 is heard afterwards: the third event is too late too."""
    heard = event("sent", source="unione"), event("autoresponded", 25 * HOUR, source="tracking")
    after = folded(*heard, event("delivered", 26 * HOUR))

    assert ("unknown", "terminal_locked") == (after.status, after.decisions[-1])


def test_a_tick_that_came_before_the_row_was_due_ends_nothing() -> None:
    assert "delivered" == folded(event("sent"), event("delivered", HOUR), tick=START + 47 * HOUR).status


def test_a_duplicate_too_ends_the_wait() -> None:
    """Any event of the row that is folded later tells that time has passed."""
    sent = event("sent")
    after = folded(sent, event("sent", 3 * DAY, event_id=sent.event_id))

    assert ["applied", "duplicate"] == after.decisions
    assert "unknown" == after.status


def test_arrival_counts_not_what_the_provider_says() -> None:
    """`occurred_at` is somebody else's clock."""
    old = folded(event("sent", occurred_at=START - 30 * DAY), event("delivered", HOUR, occurred_at=START + 30 * DAY))

    assert "delivered" == old.status


def test_a_minute_is_a_minute() -> None:
    """Arrivals are remembered to the millisecond."""
    after = folded(event("sent", 0.001), event("delivered", MINUTE + 0.0015))

    assert START + MINUTE + 0.0015 == after.row.updated_at
