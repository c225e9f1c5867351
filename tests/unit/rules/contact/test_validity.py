"""Whether an address is valid, by Creatio's rules (`docs/domain.md §3.2`, and case 20 of `docs/domain.md §9`)."""

import pytest

from aftersend.rules.contact.fold import update
from aftersend.rules.contact.validity import REASONS, VALIDITY_POLICIES
from aftersend.rules.recipient.kinds import kind_of
from aftersend.schemas.contact import Contact
from tests.unit.rules.factories import event


def after(*reasons: str, policy: str = "five-in-a-row", type_: str = "hard_bounce") -> Contact:
    """Return the contact after hard bounces for these reasons; "": a delivery."""
    contact: Contact | None = None
    for at, reason in enumerate(reasons):
        one = event(type_ if reason else "delivered", at, reason=reason)
        contact = update(contact, one, kind_of(one), one.received_at, 0, VALIDITY_POLICIES[policy]) or contact
    assert contact is not None
    return contact


SAME = "InvalidRecipient"


def test_case_20_five_hard_bounces_in_a_row_against_four_and_another_reason() -> None:
    assert not after(*[SAME] * 5).valid
    assert after(*[SAME] * 4, "BadDomain").valid
    assert not after(*[SAME] * 4, "BadDomain", policy="at-once").valid


def test_four_are_not_enough() -> None:
    assert after(*[SAME] * 4).valid


def test_another_reason_begins_a_new_row() -> None:
    contact = after(*[SAME] * 4, "BadDomain", *[SAME] * 4)
    assert (True, 4, "unknown_recipient") == (contact.valid, contact.hard_bounces, contact.hard_bounce_reason)


def test_a_delivery_ends_the_row() -> None:
    assert after(*[SAME] * 4, "", *[SAME] * 4).valid


def test_two_classes_can_be_one_reason() -> None:
    assert not after("InactiveMailbox", "QuotaIssues", "QuotaIssues", "InactiveMailbox", "QuotaIssues").valid


def test_a_class_of_the_senders_own_is_a_reason_of_its_own() -> None:
    assert not after(*["OurOwnClass"] * 5).valid


@pytest.mark.parametrize("reason", REASONS["recipient_blocked"])
def test_a_blocked_recipient_is_not_valid_at_once(reason: str) -> None:
    assert not after(reason).valid


def test_at_once_means_the_first_hard_bounce() -> None:
    assert not after(SAME, policy="at-once").valid


def test_soft_bounces_prove_nothing() -> None:
    contact = after(*["QuotaIssues"] * 9, type_="soft_bounce", policy="at-once")
    assert (True, 0, 9) == (contact.valid, contact.hard_bounces, contact.failures)


def test_what_is_no_address_is_not_valid_whatever_the_policy() -> None:
    assert not after(SAME, type_="invalid_address").valid


def test_every_class_has_one_reason() -> None:
    names = [name for classes in REASONS.values() for name in classes]
    assert len(set(names)) == len(names)
