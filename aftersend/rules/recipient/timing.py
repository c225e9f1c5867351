"""When rows expire, deliveries freeze and rows are forgotten (`docs/domain.md §2.6`, `docs/domain.md §2.7`)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import inf
from typing import Final

import msgspec

from aftersend.schemas.delivery import Declaration, DeliveryTerms
from aftersend.schemas.event import MESSAGE_TYPES, Feedback
from aftersend.schemas.packing import MAX_SOURCE

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR

#: Response window of sources that declare none: from `sent` until a row without an outcome expires, seconds
#: (`docs/domain.md §2.7`).
DEFAULT_WINDOW: Final = 48 * HOUR
#: So far behind the time a first event may be in any case, seconds: after an outage, deliveries with short periods
#: close as they would have without it.
_LEAST_LAG: Final = 3 * DAY
#: Part of a step by which a tick that leaps advances the time.
LEAP_SHARE: Final = 0.1


#: Places in a delivery's windows behind those of the sources: how long a planned recipient waits to be sent to,
#: seconds, `inf` if no validity is declared; and the delivery's declared start, seconds since 1970, 0.0 for none.
TIME_TO_SEND: Final = MAX_SOURCE + 1
SEND_START: Final = MAX_SOURCE + 2


class Timing(msgspec.Struct, frozen=True):
    """An installation's periods, in seconds."""

    #: From a delivery's start until its statuses and KPIs no longer change.
    freeze: float
    #: From a delivery's start until its rows are tombstoned; not before the freeze.
    retention: float
    #: Response windows by source number: from the first `sent` until a row without an outcome expires. Behind them are
    #: `TIME_TO_SEND` and `SEND_START`.
    windows: tuple[float, ...]
    #: By how much one tick may advance a partition's time.
    clock_step: float = inf


def timing(
    *,
    freeze: float = 30 * DAY,
    retention: float = 120 * DAY,
    window: float = DEFAULT_WINDOW,
    windows: Mapping[str, float] | None = None,
    numbers: Mapping[str, int] | None = None,
    clock_step: float = inf,
) -> Timing:
    """Build a `Timing`.

    Args:
        freeze: the statistics update period, seconds.
        retention: how long rows are kept after the delivery's start, seconds.
        window: response window of sources that are not in `windows`, seconds.
        windows: response windows by source name, seconds.
        numbers: source numbers by name.
        clock_step: by how much one tick may advance a partition's time, seconds.

    Raises:
        ValueError: if the retention ends before the freeze.
    """
    if retention < freeze:
        raise ValueError(f"the retention ({retention} s) must not end before the freeze ({freeze} s)")
    by_number = [window] * (MAX_SOURCE + 1)
    for name, number in (numbers or {}).items():
        by_number[number] = (windows or {}).get(name, window)
    return Timing(freeze, retention, (*by_number, inf, 0.0), clock_step)


class PartitionClock:
    """The time of a partition, which its ticks advance (`docs/domain.md §6.1`).

    A tick that leaps advances it by a part of a step: a single wrong tick ends nearly nothing, and after an outage the
    time catches up. That depends on the time alone, so a worker that takes the partition over counts as before.

    Args:
        now: the last tick, seconds since 1970; 0.0: there was none, and the first one sets the time.
        step: a tick that is further ahead than this leaps, seconds.
    """

    __slots__ = ("_step", "now", "refused")

    def __init__(self, now: float, step: float) -> None:
        self.now = now
        self._step = step
        #: Number of ticks that were further ahead than a step.
        self.refused = 0

    def tick(self, at: float) -> float:
        """Take a tick (seconds since 1970); return the time after it."""
        now = self.now
        if not now or at <= now + self._step:
            self.now = max(now, at)
        else:
            self.refused += 1
            self.now = now + self._step * LEAP_SHARE
        return self.now


def starts_at(received_at: float, now: float, terms: DeliveryTerms | None, timing: Timing) -> float:
    """Return when a delivery starts whose first event arrived at a time, seconds since 1970 (`docs/domain.md §2.6`).

    Args:
        received_at: arrival of its first event in the partition.
        now: the partition's time; 0.0: there was no tick yet.
        terms: what was declared of it; None: nothing.
        timing: of the installation.
    """
    period = timing.freeze if terms is None or terms.freeze is None else terms.freeze
    return max(received_at, now - max(period / 2, _LEAST_LAG))


def terms_of(declaration: Declaration, received_at: float, event_id: str, message_type: str = "") -> DeliveryTerms:
    """Return the terms that a declaration sets.

    Args:
        declaration: the event's.
        received_at: arrival of the event, seconds since 1970.
        event_id: of the event.
        message_type: of the event, "" if it has none.
    """
    hours, days = declaration.validity_hours, declaration.statistics_update_period_days
    return DeliveryTerms(
        received_at,
        event_id,
        None if hours is None else hours * HOUR,
        None if days is None else days * DAY,
        declaration.start,
        message_type if message_type in MESSAGE_TYPES else "",
    )


def replaces(new: DeliveryTerms, old: DeliveryTerms | None) -> bool:
    """Return whether a declaration replaces the one in force: the later arrival wins, whatever the fold order.

    A repeated declaration changes nothing.
    """
    if old is None:
        return True
    return new.event_id != old.event_id and (new.at, new.event_id) > (old.at, old.event_id)


def newer_terms(event: Feedback, received_at: float, current: DeliveryTerms | None) -> DeliveryTerms | None:
    """Return the terms that a declaration sets, None if the current ones were declared later or by the same event.

    Args:
        event: of the type `declared`.
        received_at: arrival of the event, seconds since 1970.
        current: the terms in force; None: nothing was declared.
    """
    terms = terms_of(event.declaration or Declaration(), received_at, event.event_id, event.message_type)
    return terms if replaces(terms, current) else None


def closing_times(started_at: float, terms: DeliveryTerms | None, timing: Timing) -> tuple[float, float]:
    """Return when a delivery freezes and when its rows are forgotten, seconds since 1970; the second is never earlier.

    Args:
        started_at: arrival of its first event, in the order of the partition.
        terms: None: nothing was declared.
        timing: of the installation.
    """
    if terms is None:
        return started_at + timing.freeze, started_at + timing.retention
    start = started_at if terms.start is None else terms.start
    freeze_at = start + (timing.freeze if terms.freeze is None else terms.freeze)
    return freeze_at, max(start + timing.retention, freeze_at)


def windows_of(terms: DeliveryTerms | None, timing: Timing) -> tuple[float, ...]:
    """Return a delivery's windows: by source number, `TIME_TO_SEND` and `SEND_START`."""
    if terms is None or terms.validity is None:
        return timing.windows
    return _one_window(terms.validity, terms.start or 0.0)


@lru_cache(maxsize=256)
def _one_window(seconds: float, start: float) -> tuple[float, ...]:
    return (*(seconds,) * (MAX_SOURCE + 1), seconds, start)
