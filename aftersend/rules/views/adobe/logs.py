"""Adobe Campaign's logs of a delivery: sending, exclusions, tracking (`semantics.md` section 3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aftersend.rules.recipient.lifecycle import STATUS_NAME, Fact
from aftersend.rules.views.adobe.reasons import reason_of
from aftersend.rules.views.base import HANDED_OVER, Column, Log, Shown, has
from aftersend.rules.views.columns import ADDRESS, CLICKS, OPENS, UPDATED_AT
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
    Column("reason_value", "Reason", _reason_value),
    Column("reason", "Failure reason", _reason_name),
    Column("reason_type", "Failure type", _reason_type),
)


def _is_excluded(facts: int, status: int) -> bool:
    return STATUS_NAME[status].startswith("not_sent_") and not facts & HANDED_OVER


def _is_listed(facts: int, status: int) -> bool:
    return not _is_excluded(facts, status)


def logs(status_of: Callable[[int, int], Shown]) -> tuple[Log, ...]:
    """Return the logs of a delivery with a policy's statuses.

    Args:
        status_of: of (facts, status): what the policy shows.
    """
    status = Column("status", "Status", lambda _, row: status_of(row.facts, row.status).name)
    return (
        Log(
            "sending",
            "Sending logs",
            _is_listed,
            (ADDRESS, status, *_REASON, Column("diagnostic", "Details", _diagnostic), UPDATED_AT),
        ),
        Log("exclusions", "Exclusion logs", _is_excluded, (ADDRESS, *_REASON, UPDATED_AT)),
        Log(
            "tracking",
            "Tracking logs",
            has(_TRACKED),
            (
                ADDRESS,
                OPENS,
                Column("machine_opens", "Opens by machines", lambda _, row: row.machine_opens),
                Column("first_opened_at", "First open", lambda _, row: row.opened_at),
                Column("last_opened_at", "Last open", lambda _, row: row.last_opened_at),
                CLICKS,
                Column("first_clicked_at", "First click", lambda _, row: row.clicked_at),
                Column("last_clicked_at", "Last click", lambda _, row: row.last_clicked_at),
            ),
        ),
    )
