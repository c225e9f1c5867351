"""Times in public output."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

#: The time of what has not happened. The public JSON leaves out a field only if it is this very object, so code that
#: resets such a time assigns this constant.
NEVER: Final = 0.0


def iso(seconds: float | None) -> str | None:
    """Return a time (seconds since 1970) as ISO 8601 in UTC, to the millisecond; None if it is unknown."""
    if not seconds:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
