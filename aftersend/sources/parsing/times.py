"""Times as sources write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

from aftersend.sources.base import SourceError

#: The last second of the year 9999: what a datetime can hold.
END_OF_TIME: Final = 253_402_300_799

#: A JSON number of seconds since 1970 that can be shown as a date.
Seconds = Annotated[float, msgspec.Meta(ge=0, le=END_OF_TIME)]
#: A time such as `2025-09-12T11:08:01.440526026Z` (RFC 3339).
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
    if not 0 <= seconds <= END_OF_TIME:
        raise SourceError(f"not a time between 1970 and 9999: {text[:40]!r}")
    return seconds
