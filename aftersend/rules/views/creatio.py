"""Creatio's view of a delivery: personal responses (`docs/domain.md §5.2`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from aftersend.rules.recipient.facts import HANDED_OVER, Fact
from aftersend.rules.recipient.statuses import STATUS_NAME, STATUS_TERMINAL, STATUSES
from aftersend.rules.views import base
from aftersend.rules.views.base import (
    LogColumn,
    ShownStatus,
    View,
    ViewCount,
    ViewLog,
    ViewRate,
    ViewReport,
    every_row,
    has,
    number_of,
)
from aftersend.rules.views.columns import ADDRESS, CLICKS, OPENS, STATUS_AT, UPDATED_AT


class CreatioResponse(NamedTuple):
    """A recipient's response in Creatio."""

    name: str
    #: Names of the statuses that it stands for.
    statuses: tuple[str, ...]
    #: The recipient was not reached: it counts in the error chart.
    not_delivered: bool = False
    #: Its effects on the contact.
    sets_do_not_email: bool = False
    clears_valid: bool = False


#: In display order.
RESPONSES: Final = (
    CreatioResponse("Planned", ("none", "planned")),
    CreatioResponse("Ready to send", ("ready",)),
    CreatioResponse("Sent to provider", ("sent",)),
    CreatioResponse("Delivered", ("delivered",)),
    CreatioResponse("Open (machine)", ("opened_machine",)),
    CreatioResponse("Opened", ("opened",)),
    CreatioResponse("Clicked", ("clicked",)),
    CreatioResponse("Unsubscribed", ("unsubscribed",), sets_do_not_email=True),
    CreatioResponse("Spam complaint", ("complained",), sets_do_not_email=True),
    # **choice** A temporary failure that is retried has the response of one that was given up: Creatio has only one.
    CreatioResponse("Soft bounce", ("deferred", "soft_bounce"), not_delivered=True),
    CreatioResponse("Hard bounce", ("hard_bounce",), not_delivered=True, sets_do_not_email=True, clears_valid=True),
    CreatioResponse("Rejected", ("rejected",), not_delivered=True),
    CreatioResponse("Invalid email address", ("invalid_address",), not_delivered=True),
    CreatioResponse("Delivery error", ("failed",), not_delivered=True),
    CreatioResponse("Unknown response", ("unknown",), not_delivered=True),
    CreatioResponse("Canceled (duplicated email)", ("not_sent_duplicate_address",), not_delivered=True),
    CreatioResponse("Canceled (email not provided)", ("not_sent_no_address",), not_delivered=True),
    CreatioResponse("Canceled (invalid email)", ("not_sent_invalid_address",), not_delivered=True),
    CreatioResponse("Canceled (incorrect email)", ("not_sent_incorrect_address",), not_delivered=True),
    CreatioResponse("Canceled (unsubscribed from all emails)", ("not_sent_unsubscribed",), not_delivered=True),
    CreatioResponse("Canceled (unsubscribed by email type)", ("not_sent_unsubscribed_from_type",), not_delivered=True),
    CreatioResponse("Canceled (previously complained)", ("not_sent_previously_complained",), not_delivered=True),
    CreatioResponse("Canceled (previously bounced)", ("not_sent_previously_bounced",), not_delivered=True),
    CreatioResponse("Canceled (communication limit)", ("not_sent_communication_limit",), not_delivered=True),
    CreatioResponse("Canceled (template not found)", ("not_sent_template_missing",), not_delivered=True),
    CreatioResponse("Canceled (sender not verified)", ("not_sent_sender_not_verified",), not_delivered=True),
    CreatioResponse("Stopped (manually)", ("not_sent_stopped",), not_delivered=True),
    CreatioResponse("Stopped (time to send expired)", ("not_sent_expired",), not_delivered=True),
)

_BY_NAME: Final = {name: response for response in RESPONSES for name in response.statuses}
_BY_STATUS: Final = {status.number: _BY_NAME[status.name] for status in STATUSES}
_SENT_TO_PROVIDER: Final = _BY_NAME["sent"]
_SENT: Final = number_of("sent")


def response_of(facts: int, status: int) -> CreatioResponse:
    """Return the response of a row."""
    if status < _SENT and facts & HANDED_OVER:
        return _SENT_TO_PROVIDER  # only an automatic reply has arrived so far
    return _BY_STATUS[status]


def _status_of(facts: int, status: int) -> ShownStatus:
    return ShownStatus(response_of(facts, status).name, STATUS_TERMINAL[status])


def is_opened(facts: int, _status: int = 0) -> bool:
    """Return whether a recipient counts as having opened: as in all views, and a complaint counts as an open too."""
    return bool(facts & Fact.COMPLAINED) or base.is_opened(facts)


def _is_not_delivered(facts: int, status: int) -> bool:
    return response_of(facts, status).not_delivered and not facts & Fact.DELIVERED


_CANCELED: Final = "not_sent_"

_COUNTS: Final = (
    ViewCount("audience", "Audience", every_row, "recipients with at least one event, test messages excluded"),
    ViewCount("sent", "Sent", has(HANDED_OVER), "handed to the provider, said or implied by any outcome"),
    ViewCount("delivered", "Delivered", has(Fact.DELIVERED), "never taken off, whatever comes after"),
    ViewCount(
        "opens", "Opens", is_opened, "unique recipients; a click, an unsubscribe or a complaint counts as an open"
    ),
    ViewCount("machine_opens", "Opens by machines", has(Fact.OPENED_MACHINE), "unique recipients, kept apart"),
    ViewCount("clicks", "Clicks", has(Fact.CLICKED), "unique recipients, the unsubscribe link excluded"),
    ViewCount("unsubscribed", "Unsubscribed", has(Fact.UNSUBSCRIBED), "in any way"),
    ViewCount("spam_complaints", "Spam complaints", has(Fact.COMPLAINED), "marked as spam"),
    ViewCount(
        "hard_bounces", "Hard bounces", lambda f, s: response_of(f, s) is _BY_NAME["hard_bounce"], "by the response"
    ),
    ViewCount(
        "soft_bounces", "Soft bounces", lambda f, s: response_of(f, s) is _BY_NAME["soft_bounce"], "by the response"
    ),
    ViewCount(
        "canceled", "Canceled or stopped", lambda _, s: STATUS_NAME[s].startswith(_CANCELED), "left out before sending"
    ),
    ViewCount(
        "not_delivered", "Not delivered", _is_not_delivered, "never delivered, and with a response of the error chart"
    ),
)

#: "Every percentage over Delivered."
_RATES: Final = tuple(
    ViewRate(f"{name}_rate", f"{title} %", name, "delivered")
    for name, title in (
        ("opens", "Opens"),
        ("clicks", "Clicks"),
        ("unsubscribed", "Unsubscribed"),
        ("spam_complaints", "Spam complaints"),
        ("hard_bounces", "Hard bounces"),
        ("soft_bounces", "Soft bounces"),
    )
)

_AUDIENCE: Final = ViewLog(
    "audience",
    "Audience",
    every_row,
    (
        ADDRESS,
        LogColumn("response", "Response", lambda _, row: response_of(row.facts, row.status).name),
        OPENS,
        CLICKS,
        STATUS_AT,
        UPDATED_AT,
    ),
)

VIEW: Final = View(
    "creatio",
    "Creatio",
    tuple(response.name for response in RESPONSES),
    _status_of,
    _COUNTS,
    _RATES,
    (_AUDIENCE,),
)


def error_chart(buckets: Mapping[int, int]) -> dict[str, int]:
    """Return the error chart's data: recipients by response that means not delivered, without zeros.

    Args:
        buckets: `KpiPartial.buckets`.
    """
    return chart_of(VIEW.kpis(buckets, {}))


def chart_of(report: ViewReport) -> dict[str, int]:
    """Return the error chart's data from a report of this view."""
    failures = (response.name for response in RESPONSES if response.not_delivered)
    return {name: report.statuses[name] for name in failures if report.statuses[name]}
