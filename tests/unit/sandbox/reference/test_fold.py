"""The reference on the cases that every implementation has to pass, told in plain words."""

from typing import Any

import pytest

from aftersend.sandbox.reference import kpis
from aftersend.sandbox.reference.compare import OverdueRows, kpis_of
from aftersend.sandbox.reference.fold import Reference
from aftersend.sandbox.reference.options import ReferenceOptions
from aftersend.sandbox.reference.rows import ExpectedRow
from aftersend.schemas.event import Feedback

START = 1_757_851_200.0
HOUR = 3600.0
DAY = 24 * HOUR
OPTIONS = ReferenceOptions(
    freeze=30 * DAY,
    retention=120 * DAY,
    window=48 * HOUR,
    windows={"sendgrid": 72 * HOUR},
    raw_topics={"kumomta": "feedback.raw.kumomta", "sendgrid": "feedback.raw.sendgrid"},
    events_topic="feedback.events",
)


class Story:
    """Events of one recipient of one delivery, one after the other."""

    def __init__(self) -> None:
        self.reference = Reference(OPTIONS, 0)
        self.at = START
        self.offset = 0

    def tell(self, *kinds: str, after: float = 1.0, **fields: Any) -> "Story":
        for kind in kinds:
            self.at += after
            made = {"event_id": f"{kind}-{self.offset}", "source": "kumomta", "delivery_id": "d", "recipient": "r"}
            event = Feedback(type=kind, **(made | fields))
            self.reference.fold(self.offset, round(self.at * 1000), event)
            self.offset += 1
        return self

    def tick(self, after: float) -> "Story":
        self.at += after
        self.reference.pass_time(self.at)
        return self

    @property
    def row(self) -> ExpectedRow:
        return self.reference.settled("d", self.reference.deliveries["d"].rows["r"])

    def kpi(self, name: str, delivery_id: str = "d") -> int:
        return kpis_of(self.reference, OverdueRows())[delivery_id][name]


def test_open_click_complaint_is_complained_and_stays_delivered() -> None:
    story = Story().tell("sent", "delivered", "opened", "clicked", "complained")
    assert ("complained", True) == (story.row.status, story.row.final)
    assert (1, 1, 1) == (story.kpi("delivered"), story.kpi("complained"), story.kpi("status_complained"))


def test_a_click_alone_is_one_unique_open() -> None:
    story = Story().tell("clicked")
    assert (1, 0, 0, 1) == tuple(
        story.kpi(n) for n in ("unique_opens", "unique_human_opens", "total_opens", "delivered")
    )


def test_a_click_on_the_unsubscribe_link_is_no_click() -> None:
    story = Story().tell("delivered", "clicked", unsubscribe_link=True)
    assert (0, 0, 1) == tuple(story.kpi(n) for n in ("unique_clicks", "total_clicks", "total_unsubscribe_link_clicks"))


def test_delivered_after_complained_is_locked_out_but_a_fact() -> None:
    story = Story().tell("sent", "complained", "delivered")
    assert ("complained", "sent") == (story.row.status, story.row.previous)
    assert 1 == story.kpi("terminal_locked")
    assert "confirmed" in story.row.facts


def test_a_soft_bounce_that_succeeds_is_delivered() -> None:
    story = Story().tell("sent", "soft_bounce", "delivered")
    assert ("delivered", 1, 1) == (story.row.status, story.kpi("delivered"), story.kpi("soft_bounced"))


def test_sent_after_soft_bounce_changes_nothing() -> None:
    story = Story().tell("soft_bounce", "sent")
    assert ("soft_bounce", 1) == (story.row.status, story.kpi("lower_priority"))


def test_a_hard_bounce_after_delivery_is_terminal_and_keeps_the_tallies() -> None:
    story = Story().tell("delivered", "opened", "clicked").tell("hard_bounce", after=6 * DAY)
    assert ("hard_bounce", {"opens": 1, "clicks": 1}) == (story.row.status, story.row.tallies)
    assert (1, 1, 1) == tuple(story.kpi(n) for n in ("bounced_after_delivery", "delivered", "unique_opens"))


@pytest.mark.parametrize("first, second", [("hard_bounce", "rejected"), ("rejected", "hard_bounce")])
def test_of_two_terminal_statuses_the_first_wins_and_the_second_is_a_fact(first: str, second: str) -> None:
    story = Story().tell("sent", first, second)
    assert first == story.row.status
    assert (1, 1, 1) == tuple(story.kpi(n) for n in ("hard_bounced", "rejected", "terminal_locked"))


def test_the_same_event_46_times_counts_once() -> None:
    story = Story().tell("delivered").tell(*["opened"] * 46, after=29 * HOUR / 46, event_id="the same")
    assert (1, 45, 2) == (story.kpi("total_opens"), story.kpi("duplicate"), story.row.version)


def test_the_last_33_events_are_known_again_and_no_more() -> None:
    story = Story().tell("sent", event_id="first").tell(*["opened"] * 32)
    assert 1 == story.tell("sent", event_id="first").kpi("duplicate")
    assert 1 == story.tell("opened").tell("sent", event_id="first").kpi("duplicate")


def test_an_event_without_id_is_not_taken_for_the_end_of_a_wait() -> None:
    assert 0 == Story().tell("sent").tell("opened", after=3 * DAY, event_id="").kpi("duplicate")


def test_an_event_without_recipient_or_delivery_is_unattributed() -> None:
    story = Story().tell("hard_bounce", recipient="").tell("opened", delivery_id="")
    assert (1, 1) == (story.kpi("unattributed"), story.kpi("unattributed", ""))
    assert "none" == story.reference.deliveries["d"].rows[""].status
    assert (0, 0) == (story.kpi("audience"), story.kpi("audience", ""))


@pytest.mark.parametrize(
    "kinds, status",
    [(("sent",), "unknown"), (("sent", "deferred"), "soft_bounce"), (("deferred", "sent"), "soft_bounce")],
)
def test_no_outcome_within_the_window_ends_the_wait(kinds: tuple[str, ...], status: str) -> None:
    story = Story().tell(*kinds).tick(46 * HOUR)
    assert not story.row.final
    expiry = START + 1 + 48 * HOUR
    story.tick(3 * HOUR)
    assert (status, True, expiry, 1) == (story.row.status, story.row.final, story.row.updated_at, story.kpi("expired"))


def test_a_source_may_have_a_window_of_its_own() -> None:
    story = Story().tell("sent", source="sendgrid").tick(71 * HOUR)
    assert "sent" == story.row.status
    assert "unknown" == story.tick(2 * HOUR).row.status


def test_an_event_ends_a_wait_that_is_over_as_a_tick_would() -> None:
    story = Story().tell("sent").tell("delivered", after=49 * HOUR)
    assert ("unknown", "sent", 1) == (story.row.status, story.row.previous, story.kpi("terminal_locked"))


def test_after_the_freeze_nothing_changes_but_the_contact() -> None:
    story = Story().tell("delivered").tell("opened", "complained", after=31 * DAY)
    assert ("delivered", 0, 2) == (story.row.status, story.kpi("unique_opens"), story.kpi("late"))
    assert "complained" == story.reference.contacts.by_address["r"]["cause"]


def test_a_machine_open_and_a_human_one_are_kept_apart() -> None:
    story = Story().tell("opened", machine=True)
    assert ("opened_machine", 1) == (story.row.status, story.kpi("unique_machine_opens_only"))
    story.tell("opened")
    wanted = {"unique_opens": 1, "unique_machine_opens": 1, "unique_machine_opens_only": 0, "total_machine_opens": 1}
    assert wanted == {name: story.kpi(name) for name in wanted}


def test_test_messages_are_in_no_kpi_but_their_own() -> None:
    story = Story().tell("sent", test=True).tell("delivered", "opened")
    counted = {n: story.kpi(n) for n in kpis.NAMES if story.kpi(n)}
    assert {"test": 3} == counted


def test_rows_past_their_retention_are_forgotten_and_their_kpis_stay() -> None:
    story = Story().tell("delivered").tick(121 * DAY)
    assert {} == story.reference.deliveries["d"].rows
    assert 1 == story.kpi("delivered")


def test_an_event_of_an_unknown_name_changes_no_status() -> None:
    assert "sent" == Story().tell("sent", "of a kind yet to be invented").row.status
    assert "delivered" == Story().tell("delivered", "of a kind yet to be invented").row.status


def test_the_latest_failure_by_the_providers_clock_stays() -> None:
    story = (
        Story().tell("deferred", occurred_at=START + 100, code=421).tell("deferred", occurred_at=START + 50, code=451)
    )
    assert story.row.failure is not None
    assert (START + 100, 421) == story.row.failure[:2]


def test_the_public_row_shows_what_is_known_and_leaves_out_the_rest() -> None:
    story = Story().tell("sent", occurred_at=START, raw_partition=2, raw_offset=7, address="R@X")
    assert {
        "schema": 1,
        "delivery_id": "d",
        "recipient": "r",
        "status": "sent",
        "facts": {"sent"},
        "version": 1,
        "source": "kumomta",
        "updated_at": START + 1,
        "pending_since": START + 1,
        "sent_at": START,
        "address": "R@X",
        "cause": {
            "event_id": "sent-0",
            "kind": "sent",
            "topic": "feedback.raw.kumomta",
            "partition": 2,
            "offset": 7,
        },
    } == story.row.public("d", "r")
