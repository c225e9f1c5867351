"""Raw records: what arrives, byte for byte, before anything is parsed."""

from __future__ import annotations

from typing import Final, NamedTuple

#: Header of a raw record: the tenant of its events, where they do not say so themselves. The gateway knows it by the
#: address that a webhook was posted to.
TENANT_HEADER: Final = "aftersend.tenant"


class RawRecord(NamedTuple):
    """One record for a raw topic."""

    #: The source's name in `aftersend.sources.registry`.
    source: str
    value: bytes
    key: bytes | None
    #: When it arrives.
    timestamp_ms: int
