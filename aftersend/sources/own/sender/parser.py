"""What the sender's own system says: who is in a delivery's audience, who was left out, and what the delivery is.

A small JSON event for each recipient, and one for each delivery, on the raw topic or over the gateway; described in
`README.md` beside this. Whoever writes these means what is written, so what is not understood is an error that says
where it is and what would be right: the record, with all of its events, is kept among the dead letters.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import msgspec

from aftersend.schemas.delivery import Declaration
from aftersend.schemas.event import NOT_SENT_REASONS, Feedback
from aftersend.sources.base import Parser, SourceError, SourceOptions, check_keys, readable_part
from aftersend.sources.own.sender.payload import DELIVERY, EVENT_TYPES, DeliveryRecord, SenderEvent
from aftersend.sources.parsing.address import normalise
from aftersend.sources.parsing.event_ids import event_id
from aftersend.sources.parsing.json_records import UNREADABLE, RecordReader, read_values
from aftersend.sources.parsing.metadata import label
from aftersend.sources.parsing.times import check_seconds

NAME: Final = "sender"


class _Sender:
    """Turns the sender's records into events."""

    __slots__ = ("_reader",)

    def __init__(self) -> None:
        self._reader: RecordReader[SenderEvent] = RecordReader(SenderEvent)

    def parse(self, raw: bytes) -> Iterable[Feedback]:
        """Return the events of a raw record: one object, an array of them or lines of them.

        Raises:
            SourceError: for what can't be read, at the end; the other events of the record count.
        """
        try:
            return [_event(record) for record in self._reader.read(raw)]
        except SourceError:
            return _one_by_one(raw)


def _one_by_one(raw: bytes) -> Iterable[Feedback]:
    """Return what can be read of a record that holds declarations, or errors."""
    values = read_values(raw)
    events: list[Feedback] = []
    problems: list[str] = []
    for number, item in enumerate(values.items, 1):
        try:
            events.append(_any(item))
            if values.repaired:
                check_keys(events[-1:])
        except (SourceError, *UNREADABLE) as error:
            where = f"event {number}: " if len(values.items) > 1 else ""
            problems.append(f"{where}{error}")
    return readable_part(events, problems)


def _any(item: Any) -> Feedback:
    if not isinstance(item, dict):
        raise SourceError('not a JSON object such as {"type": "planned", "delivery_id": …, "recipient": …}')
    kind = item.get("type")
    if kind == DELIVERY:
        return _declaration(msgspec.convert(item, DeliveryRecord))
    if kind not in EVENT_TYPES:
        raise SourceError(f"type is {_shown(kind)}, which is none of {', '.join((*EVENT_TYPES, DELIVERY))}")
    return _event(msgspec.convert(item, SenderEvent))


def _event(record: SenderEvent) -> Feedback:
    kind, reason = record.type, record.reason
    if kind == "not_sent" and reason not in NOT_SENT_REASONS:
        raise SourceError(
            f"reason is {_shown(reason)}; with the type not_sent it must be one of {', '.join(NOT_SENT_REASONS)}"
        )
    recipient = normalise(record.recipient)
    if not recipient and reason != "no_address":
        raise SourceError(f"recipient is missing; only not_sent with the reason no_address goes without (type {kind})")
    delivery_id = label("delivery_id", record.delivery_id)
    at = _seconds(record.occurred_at)
    return Feedback(
        event_id=label("event_id", record.event_id)
        or event_id(f"{NAME}|{kind}|{delivery_id}|{recipient}|{reason}|{at}|{record.note}"),
        delivery_id=delivery_id,
        recipient=recipient,
        type=kind,
        occurred_at=at,
        source=NAME,
        reason=reason,
        diagnostic=record.note,
        address="" if record.recipient == recipient else record.recipient,
        message_type=record.message_type or "",
        test=record.test,
        provider_id=record.message_id,
        tenant=label("tenant", record.tenant),
    )


def _declaration(record: DeliveryRecord) -> Feedback:
    hours, days = record.validity_hours, record.validity_days
    if hours is not None and days is not None:
        raise SourceError("validity_hours and validity_days are both there: one says it all")
    declaration = Declaration(
        name=record.name,
        policy=record.policy,
        validity_hours=hours if days is None else days * 24,
        statistics_update_period_days=record.statistics_update_period_days,
        start=None if record.start is None else _seconds(record.start),
        expected_audience=record.expected_audience,
    )
    delivery_id = label("delivery_id", record.delivery_id)
    tenant, at = label("tenant", record.tenant), _seconds(record.occurred_at)
    said = msgspec.json.encode(declaration).decode()
    return Feedback(
        event_id=label("event_id", record.event_id)
        or event_id(f"{NAME}|{DELIVERY}|{delivery_id}|{tenant}|{record.message_type}|{at}|{said}"),
        delivery_id=delivery_id,
        recipient="",
        type="declared",
        occurred_at=at,
        source=NAME,
        message_type=record.message_type or "",
        tenant=tenant,
        declaration=declaration,
    )


def _seconds(moment: float | datetime | None) -> float:
    """Return a time in seconds since 1970, 0.0 for none.

    Raises:
        SourceError: if it is before 1970 or after 9999.
    """
    if isinstance(moment, datetime):
        seconds = moment.timestamp()
        check_seconds(seconds, moment.isoformat())
        return seconds
    return moment or 0.0


def _shown(value: object) -> str:
    return "missing" if value is None or value == "" else repr(value)[:80]


def parser(_options: SourceOptions) -> Parser:
    """Return the parser; no installation sets anything for it."""
    return _Sender().parse
