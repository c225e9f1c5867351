"""Folding into one row: waits for an outcome and their end (`docs/domain.md §2.7`)."""

import pytest

from tests.unit.rules.factories import DAY, HOUR, MINUTE, START, event, folded

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

    assert ("soft_bounce", True) == (tried.status, "given_up" in tried.facts), (
        "the wait was over at the automatic reply"
    )
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


def test_what_arrived_in_time_without_being_an_outcome_does_not_change_the_end_of_the_wait() -> None:
    after = folded(event("sent"), event("autoresponded", HOUR), tick=START + 3 * DAY)
    again = folded(event("opened", 3 * DAY), row=after.row)

    assert ("unknown", "sent", START) == (after.status, after.previous, after.row.pending_since)
    assert START + 2 * DAY == after.row.updated_at
    assert ("unknown", "sent") == (again.status, again.previous)


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
    after = folded(event("sent"), event("unknown", 2 * HOUR), event("delivered", 3 * HOUR))

    assert ("unknown", "terminal_locked") == (after.status, after.decisions[-1])


def test_a_row_that_waits_keeps_the_source_that_has_it_sent() -> None:
    """Its window counts, whoever else tells something of the row meanwhile; outcomes are anybody's."""
    heard = event("sent", source="sendgrid"), event("autoresponded", 1, source="unione")
    waiting, actual = folded(*heard), folded(*heard, event("opened", 2, source="tracking"))
    deferred = folded(*heard, event("deferred", 2, source="unione"))

    assert (4, 2, 4) == (waiting.row.source, actual.row.source, deferred.row.source)
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
