"""Times as Aftersend writes them for others."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

#: The time of what has not happened. Fields at their default are left out of the public JSON, which goes by the very
#: object: whoever sets such a time back takes this one.
NEVER: Final = 0.0


def iso(seconds: float | None) -> str | None:
    """Return a time (seconds since 1970) as ISO 8601 in UTC, to the millisecond; None where it is not known."""
    if not seconds:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
