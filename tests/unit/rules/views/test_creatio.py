"""Creatio: responses, finality, effects, KPIs and the error chart of `docs/domain.md §5.2`."""

import pytest

from aftersend.rules.recipient.statuses import STATUSES
from aftersend.rules.views import VIEWS
from aftersend.rules.views.creatio import RESPONSES, VIEW, error_chart, response_of
from aftersend.schemas.event import NOT_SENT_REASONS, FoldEvent
from tests.unit.rules.factories import START, event
from tests.unit.rules.views.factories import OVER, cells, counts, report, row_of, status

#: What happened, the response, whether it is final, and what it does to the contact: do not use email, not valid.
RESPONSE_OF: list[tuple[tuple[str | FoldEvent, ...], str, bool, bool, bool]] = [
    (("planned",), "Planned", False, False, False),
    (("planned", "ready"), "Ready to send", False, False, False),
    (("sent",), "Sent to provider", False, False, False),
    (("planned", "autoresponded"), "Sent to provider", False, False, False),
    (("sent", "delivered"), "Delivered", False, False, False),
    (("sent", event("opened", 5, machine=True)), "Open (machine)", False, False, False),
    (("sent", "opened"), "Opened", False, False, False),
    (("sent", "clicked"), "Clicked", False, False, False),
    (("sent", event("clicked", 5, unsubscribe_link=True)), "Opened", False, False, False),
    (("sent", "unsubscribed"), "Unsubscribed", True, True, False),
    (("opened", "clicked", "complained"), "Spam complaint", True, True, False),
    (("sent", "deferred"), "Soft bounce", False, False, False),
    (("sent", "soft_bounce"), "Soft bounce", False, False, False),
    (("sent", "deferred", OVER), "Soft bounce", True, False, False),
    (("sent", "hard_bounce"), "Hard bounce", True, True, True),
    (("sent", "delivered", "hard_bounce"), "Hard bounce", True, True, True),
    (("sent", "rejected"), "Rejected", True, False, False),
    (("sent", "invalid_address"), "Invalid email address", True, False, False),
    (("sent", "failed"), "Delivery error", True, False, False),
    (("sent", OVER), "Unknown response", True, False, False),
    (("sent", "unknown"), "Unknown response", True, False, False),
    (("planned", event("not_sent", 5, reason="stopped")), "Stopped (manually)", True, False, False),
    (("planned", event("not_sent", 5, reason="expired")), "Stopped (time to send expired)", True, False, False),
]


@pytest.mark.parametrize("steps, name, final, do_not_email, not_valid", RESPONSE_OF)
def test_responses(
    steps: tuple[str | FoldEvent, ...], name: str, final: bool, do_not_email: bool, not_valid: bool
) -> None:
    row = row_of(*steps)
    shown, response = VIEW.status_of(row.facts, row.status), response_of(row.facts, row.status)

    assert (name, final) == shown
    assert (do_not_email, not_valid) == (response.sets_do_not_email, response.clears_valid)


@pytest.mark.parametrize("reason", sorted(set(NOT_SENT_REASONS) - {"duplicate_address", "stopped", "expired"}))
def test_each_reason_for_not_sending_is_a_response_of_its_own(reason: str) -> None:
    assert status("creatio", "planned", event("not_sent", 5, reason=reason)).startswith("Canceled (")


def test_no_two_responses_have_the_same_name() -> None:
    assert len(RESPONSES) == len({response.name for response in RESPONSES})
    assert {s.name for s in STATUSES} == {name for response in RESPONSES for name in response.statuses}


OPENED = [
    ("opened", {}, 1),
    ("clicked", {}, 1),
    ("clicked", {"unsubscribe_link": True}, 1),
    ("unsubscribed", {}, 1),
    ("unsubscribed", {"one_click": True}, 0),
    ("complained", {}, 1),
    ("opened", {"machine": True}, 0),
    ("clicked", {"machine": True}, 0),
    ("delivered", {}, 0),
    ("autoresponded", {}, 0),
]


@pytest.mark.parametrize("type_, fields, opens", OPENED)
def test_who_counts_as_having_opened(type_: str, fields: dict[str, bool], opens: int) -> None:
    """Unique recipients, where a click, an unsubscribe or a complaint counts as an open."""
    assert opens == counts("creatio", event(type_, **fields)).get("opens", 0)


def test_unique_recipients_and_every_open() -> None:
    row = row_of("opened", "opened", "opened", "clicked", "clicked")
    line = VIEW.logs[0].line("r@example.org", row)

    assert {
        "address": "r@example.org",
        "response": "Clicked",
        "opens": 3,
        "clicks": 2,
        "status_at": START + 3,
        "updated_at": START + 4,
    } == line
    assert (1, 1) == (report("creatio", row).counts["opens"], report("creatio", row).counts["clicks"])


def test_every_percentage_is_over_delivered() -> None:
    rows = [
        *(row_of("sent", "delivered") for _ in range(3)),
        row_of("opened", "clicked", "complained"),
        row_of("sent", "hard_bounce"),
    ]
    actual = report("creatio", *rows)

    assert {(4, "delivered")} == {(rate.denominator, rate.denominator_name) for rate in actual.rates.values()}
    assert (0.25, 0.25, 0.25) == tuple(
        actual.rates[name].value for name in ("opens_rate", "spam_complaints_rate", "hard_bounces_rate")
    )


def test_a_complaint_never_lowers_what_was_delivered() -> None:
    """The product admits that it does."""
    assert 1 == counts("creatio", "sent", "delivered", "complained")["delivered"]


def test_the_error_chart() -> None:
    """Recipients by response that means not delivered; who was delivered is not in it."""
    rows = [
        row_of("sent", "delivered"),
        row_of("sent"),
        row_of("sent", "hard_bounce"),
        row_of("sent", "hard_bounce"),
        row_of("sent", "soft_bounce"),
        row_of("planned", event("not_sent", 5, reason="unsubscribed")),
    ]

    assert {
        "Soft bounce": 1,
        "Hard bounce": 2,
        "Canceled (unsubscribed from all emails)": 1,
    } == error_chart(cells(rows))
    assert 4 == report("creatio", *rows).counts["not_delivered"]


def test_mass_and_triggered_mailings_alike() -> None:
    shown = {status("creatio", event("opened", message_type=t)) for t in ("", "campaign", "automation")}

    assert {"Opened"} == shown


def test_it_is_registered() -> None:
    assert VIEW is VIEWS["creatio"]
