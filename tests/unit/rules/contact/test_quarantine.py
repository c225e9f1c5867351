"""Errors held against an address (`docs/domain.md §3.3`, and case 21 of `docs/domain.md §9`)."""

from typing import Any

import pytest

from aftersend.rules.contact.fold import CONTACT_EFFECT, is_lasting, update
from aftersend.rules.contact.quarantine import ADDRESS_STATUSES, AddressStatus, address_status, is_mailbox_full
from aftersend.rules.recipient.kinds import kind_of
from aftersend.schemas.contact import Contact, ContactError
from tests.unit.rules.factories import DAY, HOUR, START, event

NEVER: Contact | None = None


def folded_into(contact: Contact | None, type_: str, at: float = 0.0, **fields: Any) -> Contact | None:
    one = event(type_, at, **fields)
    assert CONTACT_EFFECT[kind_of(one)]
    return update(contact, one, kind_of(one), one.received_at, 0) or contact


def after(*happened: tuple[str, float]) -> Contact:
    """Return the contact after events at some times, seconds after the start."""
    contact = NEVER
    for type_, at in happened:
        contact = folded_into(contact, type_, at, reason="NoAnswerFromHost")
    assert contact is not None
    return contact


def soft(*days: float) -> list[tuple[str, float]]:
    return [("soft_bounce", day * DAY) for day in days]


def state(contact: Contact | None, at: float) -> str:
    return address_status(contact, START + at).state


def test_an_address_that_nothing_is_held_against_is_valid() -> None:
    assert AddressStatus("valid") == address_status(None, START)


@pytest.mark.parametrize("type_", ["hard_bounce", "invalid_address"])
def test_a_hard_error_quarantines_at_once(type_: str) -> None:
    contact = after((type_, 5.0))
    assert AddressStatus("quarantined", START + 5, "NoAnswerFromHost") == address_status(contact, START + 5)
    assert 0 == contact.errors


def test_what_is_no_error_of_the_address_does_nothing() -> None:
    """That the other side refused the sender, or the message, says nothing about the address."""
    assert {0} == {
        CONTACT_EFFECT[kind_of(event(type_))] for type_ in ("rejected", "failed", "unknown", "autoresponded")
    }
    assert "valid" == state(after(("unsubscribed", 0.0)), 0)


def test_case_21_two_soft_errors_23_hours_apart_count_once() -> None:
    assert 1 == after(("soft_bounce", 0.0), ("soft_bounce", 23 * HOUR)).errors
    assert 2 == after(("soft_bounce", 0.0), ("soft_bounce", 24 * HOUR)).errors


def test_what_counts_is_the_distance_to_the_last_error_that_counted() -> None:
    """Not to the last error: else one every 23 hours would never count."""
    contact = after(*(("soft_bounce", i * 23 * HOUR) for i in range(3)))
    assert (2, START + 46 * HOUR) == (contact.errors, contact.error_counted_at)


def test_the_fifth_error_that_counts_quarantines() -> None:
    assert "erroneous" == state(after(*soft(0, 1, 2, 3)), 3 * DAY)
    contact = after(*soft(0, 1, 2, 3, 4))
    assert AddressStatus("quarantined", START + 4 * DAY, "NoAnswerFromHost") == address_status(contact, START + 4 * DAY)


def test_errors_that_do_not_count_never_quarantine() -> None:
    assert "erroneous" == state(after(*(("soft_bounce", i * HOUR) for i in range(24))), DAY)


def test_the_counter_starts_anew_after_more_than_ten_days() -> None:
    assert 3 == after(*soft(0, 1, 11)).errors, "ten days are not more than ten days"
    assert 1 == after(*soft(0, 1, 11.01)).errors


def test_ten_days_without_an_error_make_valid_again() -> None:
    contact = after(*soft(0, 1))
    assert ("erroneous", "valid") == (state(contact, 11 * DAY - 1), state(contact, 11 * DAY))
    assert START + 11 * DAY == address_status(contact, START + DAY).until


def test_an_error_that_does_not_count_is_an_error_all_the_same() -> None:
    """The ten days begin with it."""
    assert "erroneous" == state(after(("soft_bounce", 0.0), ("soft_bounce", 20 * HOUR)), 10.5 * DAY)


def test_a_full_mailbox_takes_thirty_days() -> None:
    contact = folded_into(NEVER, "soft_bounce", reason="QuotaIssues", enhanced_code="5.2.2")
    assert ("erroneous", "valid") == (state(contact, 30 * DAY - 1), state(contact, 30 * DAY))


FULL = [
    ("QuotaIssues", "", True),
    ("NoAnswerFromHost", "", False),
    ("", "4.2.2", True),
    ("QuotaIssues", "5.2.3", False),  # too large a message
    ("QuotaIssues", "5.3.4", False),
]


@pytest.mark.parametrize("reason, enhanced_code, full", FULL)
def test_what_a_full_mailbox_is(reason: str, enhanced_code: str, full: bool) -> None:
    assert full == is_mailbox_full(ContactError(START, reason, 552, enhanced_code))


def test_a_success_makes_valid_again() -> None:
    contact = folded_into(after(*soft(0, 1, 2, 3)), "delivered", 3.5 * DAY)
    assert contact is not None
    assert ("valid", 0, None) == (state(contact, 3.5 * DAY), contact.errors, contact.error)
    assert 1 == after(*soft(0, 1, 2, 3), ("delivered", 3.5 * DAY), *soft(4)).errors


def test_a_quarantine_does_not_end_by_itself() -> None:
    contact = after(("hard_bounce", 0.0), ("delivered", 5.0))
    assert "quarantined" == state(contact, 1000 * DAY)


def test_what_put_the_address_there_stays_readable() -> None:
    contact = folded_into(
        NEVER, "hard_bounce", reason="BadDomain", diagnostic="550 gone", code=550, enhanced_code="5.1.2"
    )
    contact = folded_into(contact, "soft_bounce", 2 * DAY, reason="QuotaIssues")
    contact = folded_into(contact, "hard_bounce", 3 * DAY, reason="InvalidRecipient")
    assert contact is not None
    assert ContactError(START, "BadDomain", 550, "5.1.2", "550 gone", "d") == contact.error
    assert START == contact.quarantined_at


def test_a_complaint_denylists_whatever_else_there_is() -> None:
    for history in ([("complained", 9.0)], [("hard_bounce", 0.0), ("complained", 9.0), ("hard_bounce", 10.0)]):
        assert AddressStatus("denylisted", START + 9, "complained") == address_status(
            after(*history), START + 1000 * DAY
        )


def test_arrivals_out_of_order_count_no_more_than_in_order() -> None:
    """Two sources, one of which lags behind: an error that arrived before the last that counted is near it, not far."""
    assert 1 == after(*soft(5, 1, 4.9)).errors
    assert START + 5 * DAY == address_status(after(*soft(5, 1)), START + 6 * DAY).since


@pytest.mark.parametrize(
    "pending_since, lasting", [(None, False), (START, True), (START + 1, False), (START + 2 * DAY, False)]
)
def test_a_deferral_is_an_error_once_its_message_has_waited_for_a_day(
    pending_since: float | None, lasting: bool
) -> None:
    assert lasting == is_lasting(pending_since, START + DAY)


def test_a_deferral_counts_and_leaves_no_notice() -> None:
    contact = after(("deferred", 0.0), ("deferred", 23 * HOUR), ("deferred", 24 * HOUR))
    assert (2, 3, [], 0) == (contact.errors, contact.version, contact.notices, contact.failures)


def test_the_spelling_is_kept() -> None:
    """Quarantine is by the normalised address; a human wants to see the one that he knows."""
    contact = folded_into(
        folded_into(NEVER, "soft_bounce", address="R@Example.ORG"), "soft_bounce", DAY, address="r@EXAMPLE.org"
    )
    assert contact is not None
    assert ("r@example.org", "R@Example.ORG", 2) == (contact.recipient, contact.address, contact.errors)


# --------------------------------------------------------------------------------------------------------- releases


def released(contact: Contact | None, at: float, *, looked: float | None = None) -> Contact | None:
    moment = START + (at if looked is None else looked)
    return folded_into(contact, "released", at, occurred_at=moment, reason="jane", diagnostic="outage")


def test_a_release_takes_back_what_the_bounces_have_done() -> None:
    bounced = after(*(("hard_bounce", float(i)) for i in range(5)))
    assert (True, False) == (bounced.do_not_email, bounced.valid)
    contact = released(bounced, 60.0)

    assert contact is not None
    assert AddressStatus("valid") == address_status(contact, START + 60)
    assert (False, "", 0.0, "", True) == (
        contact.do_not_email,
        contact.cause,
        contact.cause_at,
        contact.cause_delivery_id,
        contact.valid,
    )
    assert (0, 0, 0, None) == (contact.hard_bounces, contact.failures, contact.errors, contact.error)
    assert contact.release is not None
    assert (START + 60, "jane", "outage") == (contact.release.at, contact.release.by, contact.release.why)
    assert 5 == contact.version - 1


def test_the_notices_stay() -> None:
    contact = released(after(("hard_bounce", 0.0)), 60.0)
    assert contact is not None
    assert ["bounced"] == [notice.kind for notice in contact.notices]


def test_a_release_is_no_subscription() -> None:
    """Who had unsubscribed before the bounce is unsubscribed again."""
    contact = released(after(("unsubscribed", 5.0), ("hard_bounce", 9.0)), 60.0)
    assert contact is not None
    assert (True, "unsubscribed", START + 5, "d") == (
        contact.do_not_email,
        contact.cause,
        contact.cause_at,
        contact.cause_delivery_id,
    )


def test_a_release_forgives_no_complaint() -> None:
    contact = released(after(("hard_bounce", 0.0), ("complained", 5.0)), 60.0)
    assert contact is not None
    assert ("denylisted", "complained", True) == (state(contact, 60), contact.cause, contact.do_not_email)


def test_a_release_of_what_is_not_in_quarantine_changes_nothing() -> None:
    assert released(NEVER, 60.0) is NEVER
    for history in (soft(0, 1), [("complained", 0.0)], [("unsubscribed", 0.0)]):
        contact = released(after(*history), 2 * DAY)
        assert contact is not None
        assert (len(history), None) == (contact.version, contact.release)


def test_a_release_that_comes_again_does_not_release_what_was_quarantined_since() -> None:
    contact = released(after(("hard_bounce", 0.0)), 60.0)
    contact = released(folded_into(contact, "hard_bounce", 90.0), 120.0, looked=60.0)
    assert ("quarantined", 3) == (state(contact, 120), contact.version if contact else 0)


def test_a_release_begins_a_new_count() -> None:
    contact: Contact | None = released(after(*soft(0, 1, 2, 3, 4)), 4.1 * DAY)
    for number, day in enumerate((5, 6, 7, 8), 1):
        contact = folded_into(contact, "soft_bounce", day * DAY)
        assert contact is not None
        assert (number, None) == (contact.errors, contact.quarantined_at)
    contact = folded_into(contact, "soft_bounce", 9 * DAY)
    assert "quarantined" == state(contact, 9 * DAY)


def test_standings_have_their_names() -> None:
    assert ("valid", "erroneous", "quarantined", "denylisted") == ADDRESS_STATUSES
