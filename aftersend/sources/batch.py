"""Result of parsing a batch of raw records."""

from __future__ import annotations

import msgspec


class ParsedBatch(msgspec.Struct):
    """Counts of one batch of raw records."""

    records: int
    events: int
    #: Unreadable records, by class of the error.
    errors: dict[str, int]
    #: Events of types that the parser does not support, by source and the provider's name for the type.
    unknown: dict[tuple[str, str], int]
