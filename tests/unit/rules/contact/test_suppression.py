"""May this address be mailed, and if not, why."""

from typing import Any

import pytest

from aftersend.rules.contact.fold import update
from aftersend.rules.contact.suppression import NOT_SENT_REASON_OF, REASONS, SuppressionReason, check
from aftersend.rules.recipient.kinds import kind_of
from aftersend.schemas.contact import Contact
from aftersend.schemas.event import NOT_SENT_REASONS
from tests.unit.rules.factories import DAY, START, event


def after(*happened: tuple[str, dict[str, Any]]) -> Contact | None:
    contact: Contact | None = None
    for at, (type_, fields) in enumerate(happened):
        one = event(type_, at, **fields)
        contact = update(contact, one, kind_of(one), one.received_at, 0) or contact
    return contact


def reasons(contact: Contact | None, message_type: str = "", scope: str = "all") -> list[str]:
    return [objection.reason for objection in check(contact, message_type, scope).objections]


def test_an_address_that_nothing_is_held_against_may_be_mailed() -> None:
    assert check(None).may_be_mailed
    assert "" == check(None).reason


@pytest.mark.parametrize("type_", ["soft_bounce", "not_sent"])
def test_what_does_not_keep_an_address_from_being_mailed(type_: str) -> None:
    assert check(after((type_, {}))).may_be_mailed


ALONE = [
    ([("complained", {})], ["complained"]),
    ([("unsubscribed", {})], ["unsubscribed"]),
    ([("hard_bounce", {})], ["bounced", "quarantined"]),
    ([("hard_bounce", {})] * 5, ["invalid", "bounced", "quarantined"]),
    ([("invalid_address", {})], ["invalid", "bounced", "quarantined"]),
    ([("unsubscribed", {}), ("hard_bounce", {}), ("complained", {})], ["complained", "unsubscribed", "quarantined"]),
    ([("soft_bounce", {"received_at": START + day * DAY}) for day in range(5)], ["quarantined"]),
    ([("unsubscribed", {}), ("resubscribed", {})], []),
    ([("hard_bounce", {}), ("released", {})], []),
]


@pytest.mark.parametrize("history, expected", ALONE)
def test_all_that_speaks_against_it_is_told_the_weightiest_first(
    history: list[tuple[str, dict[str, Any]]], expected: list[str]
) -> None:
    assert expected == reasons(after(*history))


def test_an_objection_says_since_when_and_by_which_delivery() -> None:
    verdict = check(after(("hard_bounce", {"delivery_id": "spring"}), ("complained", {"delivery_id": "autumn"})))
    assert (
        SuppressionReason("complained", START + 1, "autumn"),
        SuppressionReason("quarantined", START, "spring"),
    ) == (verdict.objections)
    assert (False, "complained") == (verdict.may_be_mailed, verdict.reason)


CAMPAIGN = ("unsubscribed", {"message_type": "campaign"})
AUTOMATION = ("unsubscribed", {"message_type": "automation"})
FROM_ALL: tuple[str, dict[str, Any]] = ("unsubscribed", {})
TYPES = [
    ([CAMPAIGN], "campaign", "type", ["unsubscribed_from_type"]),
    ([CAMPAIGN], "transactional", "type", []),
    ([CAMPAIGN], "", "type", ["unsubscribed"]),
    ([CAMPAIGN], "transactional", "all", ["unsubscribed"]),
    ([CAMPAIGN, AUTOMATION], "automation", "type", ["unsubscribed_from_type"]),
    ([FROM_ALL], "campaign", "type", ["unsubscribed"]),
    ([CAMPAIGN, FROM_ALL], "automation", "type", ["unsubscribed"]),
    ([FROM_ALL, CAMPAIGN], "automation", "type", ["unsubscribed"]),
    ([CAMPAIGN, ("resubscribed", {"message_type": "campaign"})], "campaign", "all", []),
    ([CAMPAIGN, ("resubscribed", {"message_type": "automation"})], "campaign", "all", ["unsubscribed"]),
    ([CAMPAIGN, AUTOMATION, ("resubscribed", {"message_type": "campaign"})], "campaign", "type", []),
    (
        [CAMPAIGN, AUTOMATION, ("resubscribed", {"message_type": "campaign"})],
        "automation",
        "type",
        ["unsubscribed_from_type"],
    ),
    ([CAMPAIGN, AUTOMATION, ("resubscribed", {})], "automation", "type", []),
    ([FROM_ALL, ("resubscribed", {"message_type": "campaign"})], "campaign", "all", []),
]


@pytest.mark.parametrize("history, message_type, scope, expected", TYPES)
def test_unsubscribed_from_what(
    history: list[tuple[str, dict[str, Any]]], message_type: str, scope: str, expected: list[str]
) -> None:
    assert expected == reasons(after(*history), message_type, scope)


def test_who_resubscribes_after_a_bounce_is_not_unsubscribed_when_it_is_released() -> None:
    assert [] == reasons(after(FROM_ALL, ("hard_bounce", {}), ("resubscribed", {}), ("released", {})))


def test_a_sender_can_report_each_reason() -> None:
    assert set(NOT_SENT_REASON_OF.values()) <= set(NOT_SENT_REASONS)
    assert ("complained", "unsubscribed", "unsubscribed_from_type", "invalid", "bounced", "quarantined") == REASONS
