"""What suppresses an address is the same whatever order its events are read in (`docs/domain.md §3`)."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aftersend.schemas.contact import Contact
from tests.unit.rules.contact.test_fold import folded_into
from tests.unit.rules.factories import START

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["complained", "unsubscribed", "hard_bounce", "invalid_address", "not_sent"]),
        st.integers(0, 5),
        st.sampled_from(["d", "e"]),
    ),
    min_size=1,
    max_size=8,
)


def suppression(events: list[tuple[str, int, str]]) -> dict[str, Any]:
    """Return what suppresses an address after events in the order in which they are read."""
    contact: Contact | None = None
    for kind, at, delivery in events:
        contact = folded_into(contact, kind, float(at), delivery_id=delivery, reason="stopped")
    assert contact is not None
    unsubscription = contact.unsubscription
    return {
        "do_not_email": contact.do_not_email,
        "cause": (contact.cause, contact.cause_at, contact.cause_delivery_id),
        "quarantined_at": contact.quarantined_at,
        "unsubscription": unsubscription and (unsubscription.at, unsubscription.delivery_id),
        "notices": [(one.delivery_id, one.kind, one.at) for one in contact.notices],
        "updated_at": contact.updated_at,
    }


@given(EVENTS, st.randoms(use_true_random=False))
def test_any_order_of_reading_suppresses_alike(events: list[tuple[str, int, str]], rng: random.Random) -> None:
    shuffled = list(events)
    rng.shuffle(shuffled)

    assert suppression(sorted(events, key=lambda one: one[1])) == suppression(shuffled)


def test_a_resubscription_that_arrived_before_the_unsubscribe_does_not_end_it() -> None:
    contact = folded_into(folded_into(None, "unsubscribed", 10.0), "resubscribed", 5.0)

    assert contact is not None
    assert (True, START + 10) == (contact.do_not_email, contact.cause_at)
