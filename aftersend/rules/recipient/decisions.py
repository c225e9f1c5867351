"""Decisions: what the fold did with an event (`docs/domain.md §2.2`).

A decision's number is stored in rows and changelogs: it is assigned once and never reused.
"""

from __future__ import annotations

from typing import Final


class Decision:
    """What the fold did with an event: exactly one decision for each event."""

    APPLIED: Final = 0
    DUPLICATE: Final = 1
    LOWER_PRIORITY: Final = 2
    TERMINAL_LOCKED: Final = 3
    LATE: Final = 4
    TEST: Final = 5
    UNATTRIBUTED: Final = 6


#: Names of the decisions, by number.
DECISION_NAMES: Final = (
    "applied",
    "duplicate",
    "lower_priority",
    "terminal_locked",
    "late",
    "test",
    "unattributed",
)
#: Decisions on events that count in the delivery's totals.
COUNTED: Final = frozenset({Decision.APPLIED, Decision.LOWER_PRIORITY, Decision.TERMINAL_LOCKED})
