"""When a row got its status (`docs/domain.md §2.3`), read from the row's memory: nothing is stored for it.

`Row.updated_at` is another time: the arrival of the last event, which may have left the status as it was.
"""

from __future__ import annotations

from typing import Final

from aftersend.rules.recipient.decisions import Decision
from aftersend.rules.recipient.facts import Fact
from aftersend.rules.recipient.history import unpack_history
from aftersend.rules.recipient.kinds import EXPIRED, KIND_STATUS
from aftersend.rules.recipient.statuses import EXPIRED_STATUSES, STATUS_NUMBER
from aftersend.schemas.recipient import Row

_BY_EXPIRY: Final = Fact.EXPIRED | Fact.GIVEN_UP | Fact.VALIDITY_OVER
#: The first time of what a status says, by status number.
_FIRST_TIME: Final = {
    STATUS_NUMBER[name, terminal]: field
    for name, terminal, field in (
        ("sent", False, "sent_at"),
        ("delivered", False, "delivered_at"),
        ("opened", False, "opened_at"),
        ("clicked", False, "clicked_at"),
        ("unsubscribed", True, "unsubscribed_at"),
        ("complained", True, "complained_at"),
    )
}


def status_at(row: Row) -> float | None:
    """Return the arrival of the event that gave a row its status, seconds since 1970.

    Of a status that the end of a wait gave, it is that end. A row that no longer remembers the event has the first time
    of what the status says, by the provider's clock; None: it has none.
    """
    applied = tested = None
    for entry in unpack_history(row.history):
        if entry.kind == EXPIRED:
            if row.facts & _BY_EXPIRY and row.status in EXPIRED_STATUSES:
                applied = entry.received_at
        elif row.status and KIND_STATUS[entry.kind] == row.status:
            if entry.decision == Decision.APPLIED:
                applied = entry.received_at
            elif entry.decision == Decision.TEST and tested is None:
                tested = entry.received_at
    if applied is None:
        applied = tested
    field = _FIRST_TIME.get(row.status)
    return getattr(row, field) if applied is None and field is not None else applied
