"""What an event means for the address, whatever the delivery."""

from typing import Any

import pytest

from aftersend.rules.contact.fold import CONTACT_EFFECT, MAX_NOTICES, update
from aftersend.rules.recipient.facts import Fact
from aftersend.rules.recipient.kinds import KIND_NAME, KINDS, kind_of
from aftersend.schemas.contact import Contact
from aftersend.schemas.event import NOT_SENT_REASONS
from tests.unit.rules.factories import DAY, START, event


def folded_into(
    contact: Contact | None, type_: str, at: float = 0.0, *, facts: int = 0, **fields: Any
) -> Contact | None:
    """Tell a contact of an event; return it as it is then."""
    one = event(type_, at, **fields)
    return update(contact, one, kind_of(one), one.received_at, facts) or contact


def after(*events: tuple[str, dict[str, Any]]) -> Contact:
    contact: Contact | None = None
    for number, (type_, fields) in enumerate(events):
        contact = folded_into(contact, type_, number, **fields)
    assert contact is not None
    return contact


def test_what_concerns_a_contact() -> None:
    """All others never get so far: the fold asks this table first."""
    always = {KIND_NAME[k.number] for k in KINDS if CONTACT_EFFECT[k.number] == 2}
    known = {KIND_NAME[k.number] for k in KINDS if CONTACT_EFFECT[k.number] == 1}

    assert {
        *("hard_bounce", "invalid_address", "soft_bounce", "complained", "unsubscribed", "unsubscribed_one_click"),
        *("deferred", "soft_bounce_exhausted"),
        *(f"not_sent_{reason}" for reason in NOT_SENT_REASONS),
    } == always
    assert {"delivered", "resubscribed", "released"} == known


@pytest.mark.parametrize("type_", ["delivered", "resubscribed", "released"])
def test_good_news_makes_no_contact(type_: str) -> None:
    """An address that nothing is held against has no record."""
    assert folded_into(None, type_) is None


CAUSES = [
    ("complained", {}, "complained", True),
    ("unsubscribed", {}, "unsubscribed", True),
    ("unsubscribed", {"one_click": True}, "unsubscribed", True),
    ("hard_bounce", {}, "hard_bounce", True),
    ("invalid_address", {}, "invalid_address", False),
]


@pytest.mark.parametrize("type_, fields, cause, valid", CAUSES)
def test_what_forbids_mailing(type_: str, fields: dict[str, Any], cause: str, valid: bool) -> None:
    contact = after((type_, fields))

    assert (True, cause, START, "d") == (
        contact.do_not_email,
        contact.cause,
        contact.cause_at,
        contact.cause_delivery_id,
    )
    assert valid == contact.valid
    assert (1, START) == (contact.version, contact.updated_at)


@pytest.mark.parametrize("type_", ["soft_bounce", "not_sent"])
def test_what_does_not_forbid_mailing(type_: str) -> None:
    contact = after((type_, {"reason": "stopped"}))

    assert (False, "", True) == (contact.do_not_email, contact.cause, contact.valid)


RANKS = [
    ("unsubscribed", "hard_bounce", "hard_bounce"),
    ("unsubscribed", "complained", "complained"),
    ("hard_bounce", "complained", "complained"),
    ("hard_bounce", "unsubscribed", "hard_bounce"),
    ("complained", "unsubscribed", "complained"),
    ("complained", "hard_bounce", "complained"),
    ("hard_bounce", "invalid_address", "hard_bounce"),
]


@pytest.mark.parametrize("first, second, cause", RANKS)
def test_the_weightier_cause_stays(first: str, second: str, cause: str) -> None:
    """Of equals, the first."""
    contact = after((first, {}), (second, {}))

    assert cause == contact.cause
    assert START + (0 if cause == first else 1) == contact.cause_at


def test_who_resubscribes_may_be_mailed_again() -> None:
    contact = after(("unsubscribed", {}), ("resubscribed", {}))

    assert (False, "", 0.0, "") == (
        contact.do_not_email,
        contact.cause,
        contact.cause_at,
        contact.cause_delivery_id,
    )
    assert 2 == contact.version


@pytest.mark.parametrize("cause", ["complained", "hard_bounce"])
def test_resubscribing_heals_nothing_else(cause: str) -> None:
    contact = after((cause, {}), ("resubscribed", {}))

    assert (True, cause, 1) == (contact.do_not_email, contact.cause, contact.version)


def test_failures_in_a_row_with_the_same_reason_are_counted() -> None:
    same = {"reason": "InvalidRecipient"}
    contact = after(*([("hard_bounce", same)] * 4))
    assert (4, "InvalidRecipient") == (contact.failures, contact.failure_reason)

    contact = after(*([("hard_bounce", same)] * 4), ("hard_bounce", {"reason": "QuotaIssues"}))
    assert (1, "QuotaIssues") == (contact.failures, contact.failure_reason)


def test_a_success_ends_the_row_of_failures() -> None:
    contact = after(("soft_bounce", {"reason": "QuotaIssues"}), ("delivered", {}))
    assert (0, "", 2) == (contact.failures, contact.failure_reason, contact.version)

    again = folded_into(contact, "delivered", 9)
    assert again is not None
    assert 2 == again.version, "nothing changed"


def test_a_notice_tells_what_came_of_a_message() -> None:
    contact = after(("hard_bounce", {"reason": "InvalidRecipient", "message_type": "automation", "occurred_at": 5.0}))
    (notice,) = contact.notices

    assert ("d", "bounced", 5.0, "InvalidRecipient", "automation", False) == (
        notice.delivery_id,
        notice.kind,
        notice.at,
        notice.reason,
        notice.message_type,
        notice.delivered,
    )


KINDS_OF_NOTICES = {
    "complained": "complained",
    "unsubscribed": "unsubscribed",
    "hard_bounce": "bounced",
    "invalid_address": "bounced",
    "soft_bounce": "bounced",
    "not_sent": "not_sent",
}


@pytest.mark.parametrize("type_", KINDS_OF_NOTICES)
def test_kinds_of_notices(type_: str) -> None:
    contact = after((type_, {"reason": "previously_bounced"}))

    assert [KINDS_OF_NOTICES[type_]] == [notice.kind for notice in contact.notices]


def test_delivered_and_then_marked_as_spam() -> None:
    """Two notices of one contact: the complaint's says that the message had been delivered."""
    assert after(("complained", {})).notices[0].delivered
    assert after(("hard_bounce", {"facts": Fact.DELIVERED | Fact.CONFIRMED})).notices[0].delivered
    assert not after(("hard_bounce", {})).notices[0].delivered


def test_one_notice_for_each_delivery_and_kind() -> None:
    """The latest last: a second soft bounce of the same message moves its line up."""
    contact = after(
        ("soft_bounce", {"reason": "first"}),
        ("complained", {}),
        ("soft_bounce", {"delivery_id": "e"}),
        ("soft_bounce", {"reason": "second"}),
    )

    assert [("d", "complained", ""), ("e", "bounced", ""), ("d", "bounced", "second")] == [
        (notice.delivery_id, notice.kind, notice.reason) for notice in contact.notices
    ]


def test_so_many_notices_are_kept() -> None:
    contact = after(*(("soft_bounce", {"delivery_id": f"d{i}"}) for i in range(MAX_NOTICES + 5)))

    assert [f"d{i}" for i in range(5, MAX_NOTICES + 5)] == [notice.delivery_id for notice in contact.notices]


def test_a_contact_knows_its_address_and_schema() -> None:
    contact = after(("hard_bounce", {"recipient": "someone@example.net"}))

    assert ("someone@example.net", 1) == (contact.recipient, contact.schema)


def test_the_last_change_is_an_arrival() -> None:
    contact = folded_into(after(("soft_bounce", {})), "hard_bounce", DAY, occurred_at=1.0)

    assert contact is not None
    assert (START + DAY, START + DAY) == (contact.updated_at, contact.cause_at)
