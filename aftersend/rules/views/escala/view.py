"""Escala's view of a campaign: its totals (`docs/domain.md §5.3`)."""

from __future__ import annotations

from typing import Final

from aftersend.rules.recipient.facts import HANDED_OVER, Fact
from aftersend.rules.recipient.statuses import STATUS_TERMINAL, STATUSES
from aftersend.rules.views.base import (
    LogColumn,
    ShownStatus,
    View,
    ViewCount,
    ViewLog,
    ViewRate,
    every_row,
    has,
    is_opened,
    number_of,
)
from aftersend.rules.views.columns import ADDRESS, STATUS_AT, UPDATED_AT

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
        return SENT  # only an automatic reply has arrived so far
    return _OF_STATUS[status]


def status_of(facts: int, status: int) -> ShownStatus:
    """Return the status of a row."""
    return ShownStatus(_name_of(facts, status), STATUS_TERMINAL[status])


_COUNTS: Final = (
    ViewCount("audience", "Audience", every_row, "recipients with at least one event, test messages excluded"),
    ViewCount("sent", "Sent", has(HANDED_OVER), "handed to the provider, said or implied by any outcome"),
    ViewCount("delivered", "Delivered", has(Fact.DELIVERED), "never taken off, whatever comes after"),
    ViewCount("opened", "Opened", is_opened, "unique recipients; a click counts, an unsubscribe unless by one click"),
    ViewCount(
        "interacted", "Interacted", has(Fact.CLICKED), "unique recipients who clicked, unsubscribe link excluded"
    ),
    ViewCount("bounced", "Bounced", lambda f, s: _name_of(f, s) == BOUNCED, "failed; a later success takes it off"),
    ViewCount("hard_bounced", "Hard bounces", has(Fact.HARD_BOUNCED), "compared by the alert"),
    ViewCount("unsubscribed", "Unsubscribed", has(Fact.UNSUBSCRIBED), "in any way"),
    ViewCount("complained", "Marked as spam", has(Fact.COMPLAINED), "including recipients who had unsubscribed before"),
    ViewCount("skipped", "Skipped", lambda f, s: _name_of(f, s) == SKIPPED, "not sent, for any reason"),
)

_RATES: Final = (
    ViewRate("delivered_rate", "Delivered", "delivered", "sent"),
    ViewRate("open_rate", "Opened", "opened", "delivered"),
    ViewRate("interaction_rate", "Interacted", "interacted", "delivered"),
    ViewRate("bounce_rate", "Bounced", "bounced", "sent"),
    ViewRate("hard_bounce_rate", "Hard bounces", "hard_bounced", "sent"),
    ViewRate("unsubscribe_rate", "Unsubscribed", "unsubscribed", "delivered"),
    ViewRate("complaint_rate", "Marked as spam", "complained", "delivered"),
)

VIEW: Final = View(
    "escala",
    "Escala",
    (PLANNED, SENT, DELIVERED, OPENED, INTERACTED, BOUNCED, UNSUBSCRIBED, SPAM, NO_FEEDBACK, SKIPPED),
    status_of,
    _COUNTS,
    _RATES,
    (
        ViewLog(
            "recipients",
            "Recipients",
            every_row,
            (
                ADDRESS,
                LogColumn("status", "Status", lambda _, row: _name_of(row.facts, row.status)),
                STATUS_AT,
                UPDATED_AT,
            ),
        ),
    ),
)
