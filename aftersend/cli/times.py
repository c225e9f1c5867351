"""Points in time on the command line."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from aftersend.errors import UsageError
from aftersend.schemas.times import END_OF_TIME

_AGO: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d|w)")
_SECONDS: Final = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def when(text: str, now: float) -> float:
    """Return a point in time, seconds since 1970.

    Args:
        text: a time span before now (`90s`, `15min`, `2h`, `3d`, `1w`), or ISO 8601, in this machine's time zone
            unless it names another.
        now: seconds since 1970.

    Raises:
        UsageError: if it is neither, or not between 1970 and 9999.
    """
    if span := _AGO.fullmatch(text.strip()):
        seconds = now - float(span[1]) * _SECONDS[span[2]]
    else:
        try:
            seconds = datetime.fromisoformat(text.strip()).astimezone().timestamp()
        except (ValueError, OverflowError, OSError) as error:
            raise UsageError(
                f"{text!r} is not a time: give a time span before now (90s, 15min, 2h, 3d, 1w), or ISO 8601 "
                "(2026-01-31, 2026-01-31T12:00:00Z)"
            ) from error
    if not 0 <= seconds <= END_OF_TIME:
        raise UsageError(f"{text!r} is not a time between 1970 and 9999")
    return seconds


def when_or_none(text: str | None, now: float) -> float | None:
    """Return a point in time, seconds since 1970; None for None.

    Raises:
        UsageError: if it is not a time.
    """
    return None if text is None else when(text, now)
