"""Keys and headers of changelog records."""

from __future__ import annotations

from typing import Final

#: The record header that holds what only Aftersend needs.
HEADER: Final = "aftersend"
SEPARATOR: Final = "\t"
#: Key of the clock record on the KPI topic.
CLOCK_KEY: Final = b"@clock"
#: With a delivery's id behind it: the key of the delivery's terms on the KPI topic. Keys of KPIs have a separator, so
#: none is equal to it.
TERMS_KEY_PREFIX: Final = b"@delivery:"


def row_key(delivery_id: str, recipient: str) -> bytes:
    """Return a row's key on the status topic."""
    return f"{delivery_id}{SEPARATOR}{recipient}".encode()


def kpi_key(delivery_id: str, partition: int) -> bytes:
    """Return the key of a delivery's KPIs in one partition."""
    return f"{delivery_id}{SEPARATOR}{partition}".encode()


def terms_key(delivery_id: str) -> bytes:
    """Return the key of a delivery's terms on the KPI topic."""
    return TERMS_KEY_PREFIX + delivery_id.encode()


def is_kpi_key(key: bytes | None) -> bool:
    """Return whether a record of the KPI topic with this key holds KPIs, not the partition's clock or terms."""
    return key is not None and b"\t" in key


def internal_header(headers: list[tuple[str, bytes | None]]) -> bytes:
    """Return the value of the header `HEADER`, empty if there is none."""
    for name, value in headers:
        if name == HEADER:
            return value or b""
    return b""
