"""Events and rows for tests of the rules, and folding without a table."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec.structs import replace

from aftersend.rules.recipient.decisions import DECISION_NAMES
from aftersend.rules.recipient.facts import names_of_facts
from aftersend.rules.recipient.fold import fold
from aftersend.rules.recipient.history import digest_of, unpack_history
from aftersend.rules.recipient.kinds import kind_of
from aftersend.rules.recipient.statuses import STATUS_NAME, STATUS_TERMINAL
from aftersend.rules.recipient.timing import timing
from aftersend.schemas.event import FoldEvent
from aftersend.schemas.packing import pack_event_counter, pack_raw_position
from aftersend.schemas.recipient import Row

#: A Sunday in September 2025, noon.
START: Final = 1757851200.0
MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR

#: Two sources have windows of their own; the others have the default of 48 hours.
NUMBERS: Final = {"kumomta": 1, "tracking": 2, "unione": 3, "sendgrid": 4}
OWN_WINDOWS: Final = {"unione": 24 * HOUR, "sendgrid": 72 * HOUR}
WINDOWS: Final = timing(numbers=NUMBERS, windows=OWN_WINDOWS).windows

_ids = itertools.count()


def event(type_: str, at: float = 0.0, **fields: Any) -> FoldEvent:
    """Return an event that arrives so many seconds after `START`; one of its own unless `event_id` is given."""
    given: dict[str, Any] = {
        "event_id": f"id-{next(_ids)}",
        "delivery_id": "d",
        "recipient": "r@example.org",
        "source": "kumomta",
        "received_at": START + at,
    }
    return FoldEvent(type=type_, **given | fields)


def fold_into(row: Row, of: FoldEvent, number: int = 0, tick: float = 0.0, windows: tuple[float, ...] = WINDOWS) -> int:
    """Fold one event as the tables do; return the key under which it is counted."""
    raw_position = (
        pack_raw_position(0, 0, number) if of.raw_offset < 0 else pack_raw_position(1, of.raw_partition, of.raw_offset)
    )
    kind, source = kind_of(of), NUMBERS.get(of.source, 0)
    decision = fold(row, of, kind, of.received_at, tick, digest_of(of.event_id), raw_position, source, windows)
    return pack_event_counter(source, kind, decision)


@dataclass
class Folding:
    """What came of some events."""

    row: Row
    counted: list[int] = field(default_factory=list)

    @property
    def decisions(self) -> list[str]:
        return [DECISION_NAMES[key & 15] for key in self.counted]

    @property
    def status(self) -> str:
        return STATUS_NAME[self.row.status]

    @property
    def previous(self) -> str:
        return STATUS_NAME[self.row.previous]

    @property
    def final(self) -> bool:
        return STATUS_TERMINAL[self.row.status]

    @property
    def facts(self) -> set[str]:
        return set(names_of_facts(self.row.facts))

    @property
    def remembered(self) -> list[tuple[str, int]]:
        """Return decision and repeats of every event that the row remembers."""
        return [(DECISION_NAMES[entry.decision], entry.repeats) for entry in unpack_history(self.row.history)]


def folded(
    *events: FoldEvent | str,
    row: Row | None = None,
    tick: float = 0.0,
    windows: tuple[float, ...] = WINDOWS,
) -> Folding:
    """Fold events into a copy of a row; a bare type stands for an event a second after the one before."""
    made = [event(e, i) if isinstance(e, str) else e for i, e in enumerate(events)]
    result = Folding(replace(row) if row is not None else Row())
    for number, e in enumerate(made):
        result.counted.append(fold_into(result.row, e, number, tick, windows))
    return result
