"""Times: what can be held, and how they are written in public output."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

#: The time of what has not happened. The public JSON leaves out a field only if it is this very object, so code that
#: resets such a time assigns this constant.
NEVER: Final = 0.0

#: The last second of the year 9999, since 1970: what a datetime can hold. Times from outside are between 1970 and this.
END_OF_TIME: Final = 253_402_300_799
#: The first second of the year 1, since 1970.
_START_OF_TIME: Final = -62_135_596_800


def iso(seconds: float | None) -> str | None:
    """Return a time (seconds since 1970) as ISO 8601 in UTC, to the millisecond; None if it is unknown.

    A time that no date can hold, such as the end of a period that begins late in the year 9999, is shown as the nearest
    one that can.
    """
    if not seconds:
        return None
    return utc(seconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc(seconds: float) -> datetime:
    """Return a time (seconds since 1970) as a date in UTC, the nearest one where none can hold it."""
    return datetime.fromtimestamp(min(max(seconds, _START_OF_TIME), END_OF_TIME), UTC)


def in_this_zone(seconds: float) -> datetime:
    """Return a time (seconds since 1970) as a date in this machine's zone; in UTC where that can't hold it."""
    moment = utc(seconds)
    try:
        return moment.astimezone()
    except (OverflowError, ValueError):  # within a day of the first or the last date
        return moment
