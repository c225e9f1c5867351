"""Times as sources write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec

from aftersend.schemas.times import END_OF_TIME
from aftersend.sources.base import SourceError

#: A JSON number of seconds since 1970 that can be shown as a date.
Seconds = Annotated[float, msgspec.Meta(ge=0, le=END_OF_TIME)]
#: A time such as `2025-09-12T11:08:01.440526026Z` (RFC 3339). It may lie before 1970, and with its zone even before the
#: year 1 or after 9999: `check_seconds` says whether it does.
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


def rfc3339(text: str) -> float:
    """Return the seconds since 1970 of a time such as `2025-09-12T11:08:01.440526026Z`; without a zone it is UTC.

    Raises:
        SourceError: if the text is no such time.
    """
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = moment.timestamp()
    except (ValueError, OverflowError) as error:
        raise SourceError(f"not a time (RFC 3339): {text[:40]!r}") from error
    check_seconds(seconds, text)
    return seconds


def check_seconds(seconds: float, text: object) -> None:
    """Check that a time can be shown as a date.

    Args:
        seconds: since 1970.
        text: as the source wrote it.

    Raises:
        SourceError: if it is before 1970 or after 9999.
    """
    if not 0 <= seconds <= END_OF_TIME:
        raise SourceError(f"not a time between 1970 and 9999: {str(text)[:40]!r}")
