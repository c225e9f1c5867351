"""Columns of the logs of several products."""

from __future__ import annotations

from typing import Final

from aftersend.rules.recipient.status_time import status_at
from aftersend.rules.views.base import LogColumn
from aftersend.schemas.recipient import Row


def _address(recipient: str, row: Row) -> str:
    return row.address or recipient


ADDRESS: Final = LogColumn("address", "Address", _address)
#: Arrival of the event that gave the row its status.
STATUS_AT: Final = LogColumn("status_at", "Date", lambda _, row: status_at(row))
#: Arrival of the last event, whether it changed the status or not.
UPDATED_AT: Final = LogColumn("updated_at", "Last event", lambda _, row: row.updated_at)
OPENS: Final = LogColumn("opens", "Opens", lambda _, row: row.opens)
CLICKS: Final = LogColumn("clicks", "Clicks", lambda _, row: row.clicks)
