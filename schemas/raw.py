"""Raw records: payloads as they arrive, before they are parsed."""

from __future__ import annotations

from typing import Final, NamedTuple

#: Header of a raw record: the tenant of its events that name none. The gateway sets it from the endpoint's URL.
TENANT_HEADER: Final = "aftersend.tenant"


class RawRecord(NamedTuple):
    """One record for a raw topic."""

    #: The source's name in `aftersend.sources.registry`.
    source: str
    value: bytes
    key: bytes | None
    #: Arrival, milliseconds since 1970.
    timestamp_ms: int


class RecordPosition(NamedTuple):
    """Where a record is stored."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        """Return it as messages and `--json` show it."""
        return f"{self.topic}-{self.partition}-{self.offset}"
