"""One event as the sender's own tracker, unsubscribe page and tools write it."""

from __future__ import annotations

import msgspec

from aftersend.sources.parsing.times import Seconds


class TrackingRecord(msgspec.Struct, gc=False):
    """One event as the sender's systems write it."""

    event: str
    #: The tracker's own id of the event; without one it is made of the other fields.
    id: str | int | None = None
    delivery_id: str | int | None = None
    recipient: str | None = None
    #: Seconds since 1970, or RFC 3339.
    time: Seconds | str | None = None
    url: str | None = None
    user_agent: str | None = None
    ip: str | None = None
    #: Whether a machine did it; without it, the user agent decides.
    machine: bool | None = None
    #: Whether the link was the unsubscribe link; without it, the URL decides.
    unsubscribe_link: bool | None = None
    one_click: bool = False
    message_id: str | None = None
    message_type: str | None = None
    tenant: str | None = None
    test: bool | int | str | None = None
    reason: str | None = None
