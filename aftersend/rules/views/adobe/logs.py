"""Adobe Campaign's logs of a delivery: sending, exclusions, tracking (`docs/domain.md §5.1`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aftersend.rules.recipient.facts import HANDED_OVER, Fact
from aftersend.rules.recipient.statuses import STATUS_NAME
from aftersend.rules.views.adobe.reasons import FailureReason, reason_of
from aftersend.rules.views.base import LogColumn, ShownStatus, ViewLog, has
from aftersend.rules.views.columns import ADDRESS, CLICKS, OPENS, STATUS_AT, UPDATED_AT
from aftersend.schemas.recipient import Row

PENDING: Final = "Pending"
TAKEN: Final = "Taken into account by the service provider"
SENT: Final = "Sent"
FAILED: Final = "Failed"
EXCLUDED: Final = "Excluded"
#: Statuses that have a reason; with `TAKEN` that of a temporary failure ("no status change, reason updated").
_WITH_REASON: Final = frozenset({FAILED, EXCLUDED, TAKEN})

_TRACKED: Final = Fact.OPENED | Fact.OPENED_MACHINE | Fact.CLICKED | Fact.CLICKED_MACHINE | Fact.UNSUBSCRIBE_LINK


#: Of (facts, status): the status by a policy.
_StatusOf = Callable[[int, int], ShownStatus]


def _columns(status_of: _StatusOf) -> tuple[tuple[LogColumn, ...], LogColumn, tuple[LogColumn, ...]]:
    """Return the columns of the reason for the status shown, of its details, and of an earlier failure.

    A failure that the status does not show, since a retry has succeeded or the policy shows no temporary failure, has
    columns of its own. So nobody who was reached is listed under a reason.
    """

    def reason(row: Row) -> FailureReason | None:
        shown = row.facts & Fact.TEST or status_of(row.facts, row.status).name in _WITH_REASON
        return reason_of(row) if shown else None

    def earlier(row: Row) -> FailureReason | None:
        return None if row.failure is None or reason(row) is not None else reason_of(row)

    def diagnostic(row: Row) -> str:
        return row.failure.diagnostic if row.failure is not None else ""

    return (
        (
            LogColumn("reason_value", "Reason", lambda _, row: getattr(reason(row), "value", None)),
            LogColumn("reason", "Failure reason", lambda _, row: getattr(reason(row), "name", "")),
            LogColumn("reason_type", "Failure type", lambda _, row: getattr(reason(row), "type", "")),
        ),
        LogColumn("diagnostic", "Details", lambda _, row: diagnostic(row) if reason(row) else ""),
        (
            LogColumn("earlier_reason", "Earlier failure", lambda _, row: getattr(earlier(row), "name", "")),
            LogColumn("earlier_diagnostic", "Earlier details", lambda _, row: diagnostic(row) if earlier(row) else ""),
        ),
    )


def _is_excluded(facts: int, status: int) -> bool:
    return STATUS_NAME[status].startswith("not_sent_") and not facts & HANDED_OVER


def _is_listed(facts: int, status: int) -> bool:
    return not _is_excluded(facts, status)


def logs(status_of: _StatusOf) -> tuple[ViewLog, ...]:
    """Return the logs of a delivery with a policy's statuses.

    Args:
        status_of: of (facts, status): the status by the policy.
    """
    reason, diagnostic, earlier = _columns(status_of)
    status = LogColumn("status", "Status", lambda _, row: status_of(row.facts, row.status).name)
    return (
        ViewLog(
            "sending",
            "Sending logs",
            _is_listed,
            (ADDRESS, status, *reason, diagnostic, *earlier, STATUS_AT, UPDATED_AT),
        ),
        ViewLog("exclusions", "Exclusion logs", _is_excluded, (ADDRESS, *reason, STATUS_AT, UPDATED_AT)),
        ViewLog(
            "tracking",
            "Tracking logs",
            has(_TRACKED),
            (
                ADDRESS,
                OPENS,
                LogColumn("machine_opens", "Opens by machines", lambda _, row: row.machine_opens),
                LogColumn("first_opened_at", "First open", lambda _, row: row.opened_at),
                LogColumn("last_opened_at", "Last open", lambda _, row: row.last_opened_at),
                CLICKS,
                LogColumn("first_clicked_at", "First click", lambda _, row: row.clicked_at),
                LogColumn("last_clicked_at", "Last click", lambda _, row: row.last_clicked_at),
            ),
        ),
    )
