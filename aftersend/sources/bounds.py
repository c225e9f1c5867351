"""Bounds of a canonical event's strings: what is stored of an event never outgrows a Kafka record.

A row, a contact and a dead letter's headers hold strings that a stranger wrote. Each has a bound in bytes of UTF-8.
Keys (recipient, delivery id, tenant) can't be cut: two of them would become one, so an event with a longer key is
refused. An event id that is too long becomes its own hash, which is the same for the same id. Everything else is cut,
with a mark; the raw record keeps the whole of it.
"""

from __future__ import annotations

from typing import Final

from aftersend.schemas.event import Feedback
from aftersend.sources.base import SourceError
from aftersend.sources.parsing.event_ids import event_id

#: Encoded events up to so many bytes are within bounds that nothing downstream minds, whichever field has them. Nearly
#: all are, so nearly no event pays for the check of each field.
SMALL_EVENT_BYTES: Final = 1_024

#: Strings that name somebody or something. RFC 5321 section 4.5.3.1 allows 320 octets for an address.
KEY_BYTES: Final = {"recipient": 512, "delivery_id": 512, "tenant": 512}
EVENT_ID_BYTES: Final = 512
#: All others. A diagnostic is an SMTP reply (RFC 5321: 512 octets a line), a URL what browsers carry.
TEXT_BYTES: Final = {
    "type": 64,
    "source": 64,
    "message_type": 64,
    "enhanced_code": 64,
    "reason": 512,
    "diagnostic": 4_096,
    "detail": 512,
    "address": 1_024,
    "provider_id": 1_024,
    "url": 8_192,
    "user_agent": 1_024,
    "ip": 64,
}
#: Stands at the end of a string that was cut.
CUT_MARK: Final = "…"
_CUT_MARK_BYTES: Final = len(CUT_MARK.encode())


def enforce_bounds(event: Feedback) -> None:
    """Bring an event's strings within their bounds, in place.

    Raises:
        SourceError: if the recipient, the delivery id or the tenant is too long; the message says which, how long it is
            and how long it may be.
    """
    for name, most in KEY_BYTES.items():
        length = _byte_length(getattr(event, name))
        if length > most:
            raise SourceError(f"{name} takes {length} bytes, more than the {most} that a key may have")
    if _byte_length(event.event_id) > EVENT_ID_BYTES:
        event.event_id = event_id(event.event_id)
    for name, most in TEXT_BYTES.items():
        text = getattr(event, name)
        if _byte_length(text) > most:
            setattr(event, name, _cut(text, most))


def _byte_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _cut(text: str, most: int) -> str:
    """Return the beginning of a text that fits into some bytes, a character at least left whole, and the mark."""
    return text.encode()[: most - _CUT_MARK_BYTES].decode(errors="ignore") + CUT_MARK
