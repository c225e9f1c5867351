"""Statuses as data: a row has one status at a time, chosen by rank (`docs/domain.md §2.1`).

A status's number is stored in rows and changelogs: it is assigned once and never reused. To add a status is to add a
row to `STATUSES`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from aftersend.schemas.event import NOT_SENT_REASONS

TERMINAL_RANK: Final = 1000
NO_RANK: Final = -1


class RowStatus(NamedTuple):
    """One status."""

    number: int
    name: str
    #: A status replaces one of strictly lower rank.
    rank: int
    #: Never replaced.
    terminal: bool = False


#: Statuses and kinds with this number or a higher one are the reasons for not sending.
NOT_SENT: Final = 32
#: The final form of `soft_bounce`: no outcome within the response window.
SOFT_BOUNCE_FINAL: Final = 17
UNKNOWN_STATUS: Final = 16
#: Not sent in time: said by the sender, or by the end of the delivery's validity.
NOT_SENT_EXPIRED: Final = NOT_SENT + NOT_SENT_REASONS.index("expired")

STATUSES: Final = (
    RowStatus(0, "none", NO_RANK),
    RowStatus(1, "planned", 0),
    RowStatus(2, "ready", 10),
    RowStatus(3, "sent", 20),
    RowStatus(4, "deferred", 30),
    RowStatus(5, "soft_bounce", 40),
    RowStatus(6, "delivered", 50),
    RowStatus(7, "opened_machine", 55),
    RowStatus(8, "opened", 60),
    RowStatus(9, "clicked", 70),
    RowStatus(10, "unsubscribed", 90, terminal=True),
    RowStatus(11, "complained", 95, terminal=True),
    RowStatus(12, "hard_bounce", TERMINAL_RANK, terminal=True),
    RowStatus(13, "rejected", TERMINAL_RANK, terminal=True),
    RowStatus(14, "invalid_address", TERMINAL_RANK, terminal=True),
    RowStatus(15, "failed", TERMINAL_RANK, terminal=True),
    RowStatus(UNKNOWN_STATUS, "unknown", TERMINAL_RANK, terminal=True),
    RowStatus(SOFT_BOUNCE_FINAL, "soft_bounce", TERMINAL_RANK, terminal=True),
    *(
        RowStatus(NOT_SENT + i, f"not_sent_{reason}", TERMINAL_RANK, terminal=True)
        for i, reason in enumerate(NOT_SENT_REASONS)
    ),
)

_MAX_STATUS: Final = 64
#: By status number.
STATUS_NAME: Final = [""] * _MAX_STATUS
STATUS_RANK: Final = [NO_RANK] * _MAX_STATUS
STATUS_TERMINAL: Final = [False] * _MAX_STATUS
for _status in STATUSES:
    STATUS_NAME[_status.number] = _status.name
    STATUS_RANK[_status.number] = _status.rank
    STATUS_TERMINAL[_status.number] = _status.terminal
#: By (name, terminal), the `status` and `final` of a public row.
STATUS_NUMBER: Final = {(s.name, s.terminal): s.number for s in STATUSES}
#: Every name of a status, in the order of the ranks.
STATUS_NAMES: Final = tuple(dict.fromkeys(s.name for s in STATUSES if s.number))

#: Statuses that wait -> the status after the wait. A soft bounce keeps its status, which is not final, and gets the
#: fact `given_up` instead of `expired`. Planned recipients wait to be sent to, if the delivery has a declared validity.
EXPIRES_TO: Final = {1: NOT_SENT_EXPIRED, 2: NOT_SENT_EXPIRED, 3: UNKNOWN_STATUS, 4: SOFT_BOUNCE_FINAL, 5: 5}
#: By status number: whether it waits for anything.
STATUS_EXPIRES: Final = [number in EXPIRES_TO for number in range(_MAX_STATUS)]
#: By status number: whether it waits for an outcome.
STATUS_WAITS: Final = [EXPIRES_TO.get(number, NOT_SENT_EXPIRED) != NOT_SENT_EXPIRED for number in range(_MAX_STATUS)]
#: Statuses that an expiry sets. Other events set some of them too, but without the facts `expired` and `given_up`.
EXPIRED_STATUSES: Final = frozenset(EXPIRES_TO.values())
