"""Adobe Campaign's logs of a delivery: sending, exclusions, tracking (`docs/domain.md §5.1`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aftersend.rules.recipient.facts import HANDED_OVER, Fact
from aftersend.rules.recipient.statuses import STATUS_NAME
from aftersend.rules.views.adobe.reasons import reason_of
from aftersend.rules.views.base import LogColumn, ShownStatus, ViewLog, has
from aftersend.rules.views.columns import ADDRESS, CLICKS, OPENS, STATUS_AT, UPDATED_AT
from aftersend.schemas.recipient import Row

_TRACKED: Final = Fact.OPENED | Fact.OPENED_MACHINE | Fact.CLICKED | Fact.CLICKED_MACHINE | Fact.UNSUBSCRIBE_LINK


def _reason_value(_recipient: str, row: Row) -> int | None:
    reason = reason_of(row)
    return None if reason is None else reason.value


def _reason_name(_recipient: str, row: Row) -> str:
    reason = reason_of(row)
    return "" if reason is None else reason.name


def _reason_type(_recipient: str, row: Row) -> str:
    reason = reason_of(row)
    return "" if reason is None else reason.type


def _diagnostic(_recipient: str, row: Row) -> str:
    return row.failure.diagnostic if row.failure is not None else ""


_REASON: Final = (
    LogColumn("reason_value", "Reason", _reason_value),
    LogColumn("reason", "Failure reason", _reason_name),
    LogColumn("reason_type", "Failure type", _reason_type),
)


def _is_excluded(facts: int, status: int) -> bool:
    return STATUS_NAME[status].startswith("not_sent_") and not facts & HANDED_OVER


def _is_listed(facts: int, status: int) -> bool:
    return not _is_excluded(facts, status)


def logs(status_of: Callable[[int, int], ShownStatus]) -> tuple[ViewLog, ...]:
    """Return the logs of a delivery with a policy's statuses.

    Args:
        status_of: of (facts, status): the status by the policy.
    """
    status = LogColumn("status", "Status", lambda _, row: status_of(row.facts, row.status).name)
    return (
        ViewLog(
            "sending",
            "Sending logs",
            _is_listed,
            (ADDRESS, status, *_REASON, LogColumn("diagnostic", "Details", _diagnostic), STATUS_AT, UPDATED_AT),
        ),
        ViewLog("exclusions", "Exclusion logs", _is_excluded, (ADDRESS, *_REASON, STATUS_AT, UPDATED_AT)),
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
