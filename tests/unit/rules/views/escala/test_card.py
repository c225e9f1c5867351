"""Escala: the contact's card of `docs/domain.md §5.3`."""

from typing import Any

import pytest

from aftersend.rules.contact.fold import update
from aftersend.rules.recipient.fold import remember_late
from aftersend.rules.recipient.history import digest_of
from aftersend.rules.recipient.kinds import kind_of
from aftersend.rules.views.escala.card import CardLine, as_json, card
from aftersend.schemas.contact import Contact, Notice
from aftersend.schemas.event import FoldEvent
from aftersend.schemas.recipient import Row
from tests.unit.rules.factories import DAY, START, event
from tests.unit.rules.views.factories import OVER, row_of


def contact_of(*events: FoldEvent) -> Contact | None:
    """Return the contact after events, told of each as if its row had no facts."""
    contact: Contact | None = None
    for one in events:
        contact = update(contact, one, kind_of(one), one.received_at, 0) or contact
    return contact


def test_delivered_and_then_marked_as_spam_are_two_lines() -> None:
    """Delivered first."""
    row = row_of("sent", event("delivered", 10), event("complained", DAY, message_type="campaign"))

    assert [
        CardLine("d", START + 10, "campaign", "delivered"),
        CardLine("d", START + DAY, "campaign", "marked as spam"),
    ] == card(None, {"d": row})


def test_bounces_tell_why() -> None:
    bounced = event("hard_bounce", 5, reason="InvalidRecipient", message_type="automation")

    assert [CardLine("d", START + 5, "automation", "bounced", "InvalidRecipient")] == card(None, {"d": row_of(bounced)})


@pytest.mark.parametrize(
    "steps",
    [
        ("sent",),
        ("sent", "delivered"),
        ("opened",),
        ("clicked",),
        ("unsubscribed",),
        ("sent", "deferred"),
        ("sent", OVER),
    ],
)
def test_what_is_not_on_the_card(steps: tuple[str, ...]) -> None:
    """Opens and clicks, and what went well or is still under way."""
    assert [] == card(None, {"d": row_of(*steps)})


FOUR = [
    ("invalid_address", "invalid address"),
    ("incorrect_address", "invalid address"),
    ("no_address", "invalid address"),
    ("previously_complained", "earlier complaint"),
    ("unsubscribed", "earlier unsubscribe"),
    ("unsubscribed_from_type", "earlier unsubscribe"),
    ("previously_bounced", "earlier bounces"),
    ("communication_limit", "communication_limit"),
]


@pytest.mark.parametrize("reason, shown", FOUR)
def test_four_reasons_for_not_sending(reason: str, shown: str) -> None:
    """Others are shown under their own name; alike from a row and from a notice."""
    one = event("not_sent", 5, reason=reason)
    expected = [CardLine("d", START + 5, "campaign", "not sent", shown)]

    assert expected == card(None, {"d": row_of(one)})
    assert expected == card(contact_of(one), {})


def test_newest_message_first_and_the_lines_of_one_message_together() -> None:
    rows = {
        "old": row_of(event("hard_bounce", DAY)),
        "spam": row_of(event("delivered", 1), event("complained", 3 * DAY)),
        "middle": row_of(event("hard_bounce", 2 * DAY)),
    }

    assert ["spam", "spam", "middle", "old"] == [line.delivery_id for line in card(None, rows)]


def test_notices_stand_in_for_rows_that_are_gone() -> None:
    contact = contact_of(
        event("hard_bounce", delivery_id="gone", reason="BadDomain"),
        event("complained", 7, delivery_id="spam", message_type="automation"),
        event("hard_bounce", 9, delivery_id="there"),
    )
    there = row_of(event("hard_bounce", 9, reason="InvalidRecipient"))

    assert [
        CardLine("there", START + 9, "campaign", "bounced", "InvalidRecipient"),
        CardLine("spam", START + 7, "automation", "delivered"),
        CardLine("spam", START + 7, "automation", "marked as spam"),
        CardLine("gone", START, "campaign", "bounced", "BadDomain"),
    ] == card(contact, {"there": there})


def test_an_unsubscribe_is_no_line() -> None:
    assert [] == card(Contact(1, "r@x.org", notices=[Notice("d", "unsubscribed", START)]), {})


@pytest.mark.parametrize(
    "type_, label", [("", "campaign"), ("transactional", "automation"), ("automation", "automation")]
)
def test_what_was_triggered_is_automation(type_: str, label: str) -> None:
    assert label == card(None, {"d": row_of(event("hard_bounce", message_type=type_))})[0].label


def test_test_messages_are_not_on_the_card() -> None:
    assert [] == card(None, {"d": row_of(event("hard_bounce", test=True))})


def test_a_bounced_row_that_complains_all_the_same_has_both() -> None:
    row: Row = row_of("sent", event("hard_bounce", 5), event("complained", 9))

    assert ["delivered", "marked as spam", "bounced"] == [line.notice for line in card(None, {"d": row})]


def test_as_scripts_read_it() -> None:
    line = {
        "delivery_id": "d",
        "at": "2025-09-14T12:00:00.000Z",
        "label": "campaign",
        "notice": "bounced",
        "reason": "x",
    }

    assert [line] == as_json([CardLine("d", START, "campaign", "bounced", "x")])


def late(type_: str, **fields: Any) -> tuple[Row, Contact | None]:
    """Return a delivered row and the contact after an event that arrived after the freeze."""
    one = event(type_, 40 * DAY, **fields)
    row = row_of("sent", event("delivered", 10))
    remember_late(row, kind_of(one), one.received_at, digest_of(one.event_id), 0)
    return row, update(None, one, kind_of(one), one.received_at, row.facts)


def test_a_complaint_after_the_freeze_is_on_the_card() -> None:
    row, contact = late("complained")

    assert [("delivered", START + 10), ("marked as spam", START + 40 * DAY)] == [
        (line.notice, line.at) for line in card(contact, {"d": row})
    ]


def test_a_bounce_after_the_freeze_is_on_the_card() -> None:
    row, contact = late("hard_bounce", reason="InvalidRecipient")

    assert [CardLine("d", START + 40 * DAY, "campaign", "bounced", "InvalidRecipient")] == card(contact, {"d": row})


def test_a_late_bounce_after_a_soft_bounce_that_succeeded_is_on_the_card() -> None:
    bounce, success = event("soft_bounce", 5), event("delivered", 10)
    row = row_of(bounce, success)
    contact = contact_of(bounce)
    assert [] == card(contact, {"d": row})

    one = event("hard_bounce", 40 * DAY)
    remember_late(row, kind_of(one), one.received_at, digest_of(one.event_id), 0)
    assert ["bounced"] == [
        line.notice for line in card(update(contact, one, kind_of(one), one.received_at, 0), {"d": row})
    ]


def test_a_complaint_in_time_is_on_the_card_once() -> None:
    complaint = event("complained", 20)
    row = row_of("sent", event("delivered", 10), complaint)

    assert ["delivered", "marked as spam"] == [line.notice for line in card(contact_of(complaint), {"d": row})]
