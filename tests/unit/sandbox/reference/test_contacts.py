from typing import Any

import pytest

from aftersend.sandbox.reference.contacts import MAX_NOTICES, Contacts, public
from aftersend.schemas.event import Feedback


def actual(*kinds: str, **fields: Any) -> dict[str, Any]:
    """Return the contact after events of these kinds, a second apart."""
    contacts = Contacts()
    for at, kind in enumerate(kinds, 1):
        event = Feedback(f"{at}", fields.get("delivery_id", f"d{at}"), "r", kind, reason=fields.get("reason", ""))
        contacts.update(event, kind, float(at), confirmed=fields.get("confirmed", False))
    return contacts.by_address.get("r", {})


@pytest.mark.parametrize("kinds", [("sent",), ("delivered",), ("opened", "clicked"), ("resubscribed",)])
def test_nothing_is_held_against_whom_nothing_happened_to(kinds: tuple[str, ...]) -> None:
    assert {} == actual(*kinds)


def test_a_stronger_cause_replaces_a_weaker_one_and_not_the_other_way_round() -> None:
    assert ("complained", 2.0) == (
        actual("unsubscribed", "complained")["cause"],
        actual("unsubscribed", "complained")["cause_at"],
    )
    assert ("complained", 1.0) == (
        actual("complained", "unsubscribed")["cause"],
        actual("complained", "unsubscribed")["cause_at"],
    )


def test_whoever_subscribes_again_may_be_mailed_unless_there_is_another_cause() -> None:
    assert "do_not_email" not in actual("unsubscribed", "resubscribed")
    assert actual("unsubscribed", "complained", "resubscribed")["do_not_email"]


def test_a_hard_bounce_makes_an_address_invalid() -> None:
    """Five in a row with the same reason."""
    assert (False, "hard_bounce") == (actual(*["hard_bounce"] * 5)["valid"], actual("hard_bounce")["cause"])
    assert "valid" not in actual(*["hard_bounce"] * 4)
    assert "valid" not in actual(*["soft_bounce"] * 5)


def test_failures_are_counted_in_a_row_and_start_anew_with_a_success() -> None:
    assert 3 == actual("soft_bounce", "hard_bounce", "soft_bounce", reason="QuotaIssues")["failures"]
    assert "failures" not in actual("soft_bounce", "delivered")


def test_the_last_notices_are_kept_one_for_each_delivery_and_kind() -> None:
    assert MAX_NOTICES == len(actual(*["soft_bounce"] * 30)["notices"])
    assert 1 == len(actual("soft_bounce", "soft_bounce", delivery_id="d")["notices"])


def test_a_complaint_says_that_the_message_had_been_delivered() -> None:
    assert actual("complained")["notices"][0]["delivered"]
    assert actual("hard_bounce", confirmed=True)["notices"][0]["delivered"]
    assert "delivered" not in actual("hard_bounce")["notices"][0]


def test_public_leaves_out_what_says_nothing() -> None:
    assert {"schema": 1, "valid": False} == public({"schema": 1, "cause": "", "cause_at": 0.0, "valid": False})
