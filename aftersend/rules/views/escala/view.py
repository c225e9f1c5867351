"""Escala's way of looking at a campaign: its totals (`semantics.md` section 5)."""

from __future__ import annotations

from typing import Final

from aftersend.rules.recipient.lifecycle import STATUS_TERMINAL, STATUSES, Fact
from aftersend.rules.views.base import (
    HANDED_OVER,
    Column,
    Count,
    Log,
    Rate,
    Shown,
    View,
    everybody,
    has,
    is_opened,
    number_of,
)
from aftersend.rules.views.columns import ADDRESS, UPDATED_AT

PLANNED: Final = "Planned"
SENT: Final = "Sent"
DELIVERED: Final = "Delivered"
OPENED: Final = "Opened"
INTERACTED: Final = "Interacted"
BOUNCED: Final = "Bounced"
UNSUBSCRIBED: Final = "Unsubscribed"
SPAM: Final = "Marked as spam"
NO_FEEDBACK: Final = "No feedback"
SKIPPED: Final = "Skipped"

_OF_NAME: Final = {
    "none": PLANNED,
    "planned": PLANNED,
    "ready": PLANNED,
    "sent": SENT,
    "deferred": SENT,
    "soft_bounce": BOUNCED,
    "delivered": DELIVERED,
    "opened_machine": DELIVERED,
    "opened": OPENED,
    "clicked": INTERACTED,
    "unsubscribed": UNSUBSCRIBED,
    "complained": SPAM,
    "hard_bounce": BOUNCED,
    "rejected": BOUNCED,
    "invalid_address": BOUNCED,
    "failed": BOUNCED,
    "unknown": NO_FEEDBACK,
}
_OF_STATUS: Final = {status.number: _OF_NAME.get(status.name, SKIPPED) for status in STATUSES}
_FIRST_SENT: Final = number_of("sent")


def _name_of(facts: int, status: int) -> str:
    if status < _FIRST_SENT and facts & HANDED_OVER:
        return SENT  # an automatic reply came, and so far nothing else
    return _OF_STATUS[status]


def status_of(facts: int, status: int) -> Shown:
    """Return what a row of a class shows."""
    return Shown(_name_of(facts, status), STATUS_TERMINAL[status])


_COUNTS: Final = (
    Count("audience", "Audience", everybody, "everybody that anything was heard of, test messages left out"),
    Count("sent", "Sent", has(HANDED_OVER), "handed to the provider, said or implied by any outcome"),
    Count("delivered", "Delivered", has(Fact.DELIVERED), "never taken off, whatever comes after"),
    Count("opened", "Opened", is_opened, "unique recipients; a click counts, an unsubscribe unless by one click"),
    Count("interacted", "Interacted", has(Fact.CLICKED), "unique recipients who clicked, unsubscribe link excluded"),
    Count("bounced", "Bounced", lambda f, s: _name_of(f, s) == BOUNCED, "failed; a later success takes it off"),
    Count("hard_bounced", "Hard bounces", has(Fact.HARD_BOUNCED), "what the alert looks at"),
    Count("unsubscribed", "Unsubscribed", has(Fact.UNSUBSCRIBED), "in any way"),
    Count("complained", "Marked as spam", has(Fact.COMPLAINED), "also who had unsubscribed before"),
    Count("skipped", "Skipped", lambda f, s: _name_of(f, s) == SKIPPED, "not sent, for whatever reason"),
)

_RATES: Final = (
    Rate("delivered_rate", "Delivered", "delivered", "sent"),
    Rate("open_rate", "Opened", "opened", "delivered"),
    Rate("interaction_rate", "Interacted", "interacted", "delivered"),
    Rate("bounce_rate", "Bounced", "bounced", "sent"),
    Rate("hard_bounce_rate", "Hard bounces", "hard_bounced", "sent"),
    Rate("unsubscribe_rate", "Unsubscribed", "unsubscribed", "delivered"),
    Rate("complaint_rate", "Marked as spam", "complained", "delivered"),
)

VIEW: Final = View(
    "escala",
    "Escala",
    (PLANNED, SENT, DELIVERED, OPENED, INTERACTED, BOUNCED, UNSUBSCRIBED, SPAM, NO_FEEDBACK, SKIPPED),
    status_of,
    _COUNTS,
    _RATES,
    (
        Log(
            "recipients",
            "Recipients",
            everybody,
            (ADDRESS, Column("status", "Status", lambda _, row: _name_of(row.facts, row.status)), UPDATED_AT),
        ),
    ),
)
