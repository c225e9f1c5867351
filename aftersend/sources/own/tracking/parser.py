"""The sender's own systems: the tracker of opens and clicks, the unsubscribe page, the tool that sends campaigns.

An MTA's log knows nothing of these. The record is a JSON object of our own; see `README.md` beside this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from aftersend.schemas.event import Feedback
from aftersend.sources.base import Parser, SourceOptions
from aftersend.sources.own.tracking.payload import TrackingRecord
from aftersend.sources.parsing.address import normalise
from aftersend.sources.parsing.event_ids import event_id
from aftersend.sources.parsing.json_records import UNREADABLE, RecordReader
from aftersend.sources.parsing.machines import is_machine
from aftersend.sources.parsing.metadata import is_true, label, message_type
from aftersend.sources.parsing.times import rfc3339

NAME: Final = "tracking"


class TrackingEventRule(NamedTuple):
    """What one kind of event becomes."""

    event: str
    type: str
    why: str


EVENT_RULES: Final = (
    TrackingEventRule("open", "opened", "the message's images were loaded"),
    TrackingEventRule("click", "clicked", "a link was followed"),
    TrackingEventRule("unsubscribe", "unsubscribed", "on the unsubscribe page, or by RFC 8058 with `one_click`"),
    TrackingEventRule("resubscribe", "resubscribed", "on the unsubscribe page"),
    TrackingEventRule("planned", "planned", "is in the delivery's audience"),
    TrackingEventRule("ready", "ready", "the message is made and waits to be sent"),
    TrackingEventRule("not_sent", "not_sent", "left out, with a `reason`"),
)

_TYPE_OF_EVENT: Final = {rule.event: rule.type for rule in EVENT_RULES}
_BY_READERS: Final = frozenset({"opened", "clicked"})


class Tracker:
    """Turns the sender's own records into events, for an installation's options."""

    __slots__ = ("_read_usual", "_reader", "_unsubscribe_urls")

    def __init__(self, options: SourceOptions) -> None:
        self._unsubscribe_urls = tuple(part.lower() for part in options.unsubscribe_urls)
        self._reader: RecordReader[TrackingRecord] = RecordReader(TrackingRecord)
        self._read_usual: Callable[[bytes], TrackingRecord] = msgspec.json.Decoder(TrackingRecord).decode

    def parse(self, raw: bytes) -> list[Feedback]:
        """Return the events of a raw record: one object, an array of them or lines of them.

        Raises:
            SourceError: if it can't be read.
        """
        try:
            return [self._event(self._read_usual(raw))]
        except UNREADABLE:
            return [self._event(record) for record in self._reader.read(raw)]

    def _event(self, record: TrackingRecord) -> Feedback:
        kind = _TYPE_OF_EVENT.get(record.event, "unknown")
        spelled = record.recipient or ""
        recipient = normalise(spelled)
        delivery_id = label("delivery id", record.delivery_id)
        event = Feedback(
            event_id=label("id", record.id) or _identify(record),
            delivery_id=delivery_id,
            recipient=recipient,
            type=kind,
            occurred_at=rfc3339(record.time) if isinstance(record.time, str) else record.time or 0.0,
            source=NAME,
            provider_id=record.message_id or "",
            reason=record.reason or "",
            url=record.url or "",
            user_agent=record.user_agent or "",
            address="" if spelled == recipient else spelled,
            message_type=message_type(record.message_type),
            tenant=label("tenant", record.tenant),
            test=is_true(record.test),
            one_click=record.one_click,
            ip=record.ip or "",
            detail=record.event if kind == "unknown" else "",
        )
        if kind in _BY_READERS:
            event.machine = is_machine(event.user_agent) if record.machine is None else record.machine
        if kind == "clicked":
            event.unsubscribe_link = (
                self._is_unsubscribe_url(event.url) if record.unsubscribe_link is None else record.unsubscribe_link
            )
        return event

    def _is_unsubscribe_url(self, url: str) -> bool:
        lower = url.lower()
        return any(part in lower for part in self._unsubscribe_urls)


def _identify(record: TrackingRecord) -> str:
    return event_id(
        f"{record.event}|{record.delivery_id}|{record.recipient}|{record.time}|{record.url}|{record.ip}"
        f"|{record.user_agent}"
    )


def parser(options: SourceOptions) -> Parser:
    """Return the parser for an installation's options."""
    return Tracker(options).parse
