"""When rows expire, deliveries freeze and rows are forgotten (`semantics.md` section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from rules.history import MAX_SOURCE

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR

#: How long a source may stay silent after `sent` before the row expires, in seconds (`semantics.md` section 2).
SOURCE_WINDOWS: Final = {
    "unione": 24 * HOUR,
    "elastic_email": 48 * HOUR,
    "sendgrid": 72 * HOUR,
    "adobe": 3.5 * DAY,
}
DEFAULT_WINDOW: Final = 48 * HOUR


class Timing(msgspec.Struct, frozen=True):
    """The times that the fold needs; all in seconds."""

    #: From a delivery's start until its statuses and KPIs no longer change.
    freeze: float
    #: From a delivery's start until its rows are tombstoned; not before the freeze.
    retention: float
    #: By the source's number: from the first `sent` until a row without an outcome expires.
    windows: tuple[float, ...]


def timing(
    *,
    freeze: float = 30 * DAY,
    retention: float = 120 * DAY,
    window: float = DEFAULT_WINDOW,
    windows: Mapping[str, float] = SOURCE_WINDOWS,
    numbers: Mapping[str, int] | None = None,
) -> Timing:
    """Build a `Timing`.

    Args:
        freeze: the statistics update period, seconds.
        retention: how long rows are kept after the delivery's start, seconds.
        window: for sources without one of their own, seconds.
        windows: by the source's name, seconds.
        numbers: of the sources, by name.

    Raises:
        ValueError: if the retention ends before the freeze.
    """
    if retention < freeze:
        message = f"the retention ({retention} s) must not end before the freeze ({freeze} s)"
        raise ValueError(message)
    by_number = [window] * (MAX_SOURCE + 1)
    for name, number in (numbers or {}).items():
        by_number[number] = windows.get(name, window)
    return Timing(freeze, retention, tuple(by_number))
