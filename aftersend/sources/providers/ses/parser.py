"""Amazon SES through SNS: what each event means for each of its recipients. See `README.md` beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from aftersend.schemas.event import Feedback
from aftersend.sources.base import Parser, SourceError, SourceOptions, check_keys, readable_part
from aftersend.sources.parsing import lenient
from aftersend.sources.parsing.address import mailbox, normalise
from aftersend.sources.parsing.event_ids import event_id
from aftersend.sources.parsing.json_records import UNREADABLE, read_values
from aftersend.sources.parsing.machines import is_machine
from aftersend.sources.parsing.metadata import Labels, MetadataReader, label, labels_of_tags
from aftersend.sources.parsing.smtp_reply import spell
from aftersend.sources.providers.ses.payload import Mail, SesEvent
from aftersend.sources.providers.ses.readings import MAX_DETAIL, READERS, Reading, destination
from aftersend.sources.providers.ses.rules import (
    TOPIC_IS_VALID,
    TYPE_OF_EVENT,
    key_of,
)
from aftersend.sources.signing.sns_envelope import NOTIFICATION, SUBSCRIPTION, UNSUBSCRIPTION, Envelope, read_envelope

NAME: Final = "ses"

#: Longer answers are cut: the raw record keeps them whole, and a row of them stays in memory.
MAX_DIAGNOSTIC: Final = 1000

_TAGS_HEADER: Final = "x-ses-message-tags"


_read_event: Final = msgspec.json.Decoder(SesEvent).decode
_read_headers: Final[Callable[[msgspec.Raw], Any]] = msgspec.json.Decoder().decode


class Common(NamedTuple):
    """What all events of a notification share."""

    name: str
    #: What tells the notification from all others: the report's id, or the message's.
    ident: str
    provider_id: str
    #: When SNS published it, which stands in where SES does not say when it happened, seconds since 1970.
    published_at: float
    labels: Labels


class Notifications:
    """Turns SES's notifications and published events into canonical ones, for an installation's options."""

    __slots__ = ("_header_names", "_metadata", "_unsubscribe_urls")

    def __init__(self, options: SourceOptions) -> None:
        """Prepare for an installation's options.

        Raises:
            ValueError: if the options contradict themselves.
        """
        self._metadata = MetadataReader(options)
        self._header_names = tuple(name.lower() for name in options.delivery_headers)
        self._unsubscribe_urls = tuple(part.lower() for part in options.unsubscribe_urls)

    def parse(self, raw: bytes) -> Iterable[Feedback]:
        """Return the events of a message of SNS, or of SES's own without an envelope (raw delivery).

        Raises:
            SourceError: if it can't be read; if only some of several can't, after the last of the others.
        """
        try:
            envelope = read_envelope(raw)
            if envelope.type is None:
                return self._events(_read_event(raw), envelope)
            message = _message(envelope)
            return self._events(_read_event(message), envelope) if message is not None else ()
        except (*UNREADABLE, SourceError):
            return self._parse_leniently(raw)

    def _parse_leniently(self, raw: bytes) -> Iterable[Feedback]:
        """Return the events of a record with something unusual in it: several messages, half characters."""
        values = read_values(raw)
        events: list[Feedback] = []
        problems = []
        for place, value in enumerate(values.items):
            where = f"message {place}: " if len(values.items) > 1 else ""
            try:
                found, repaired = self._read_leniently(value)
                if repaired or values.repaired:
                    check_keys(found)
            except SourceError as error:
                problems.append(f"{where}{error}")
            else:
                events += found
        return readable_part(events, problems)

    def _read_leniently(self, value: object) -> tuple[list[Feedback], bool]:
        """Return the events of one JSON value, and whether something of it was replaced.

        Raises:
            SourceError: if it can't be read.
        """
        try:
            envelope = msgspec.convert(value, Envelope)
            if envelope.type is None:
                return self._events(_read_event(msgspec.json.encode(value)), envelope), False
            message = _message(envelope)
            if message is None:
                return [], False
            inner = read_values(message.encode())
            events = [
                event
                for item in inner.items
                for event in self._events(_read_event(msgspec.json.encode(item)), envelope)
            ]
        except (*UNREADABLE, OverflowError) as error:  # the last one for numbers that nobody needs
            raise SourceError(f"{error}") from error
        return events, inner.repaired

    def _events(self, event: SesEvent, envelope: Envelope) -> list[Feedback]:
        """Return the events of one notification.

        Args:
            event: as it was read.
            envelope: that it came in; an empty one for raw delivery.

        Raises:
            SourceError: if it says nothing of what happened, or something that can't be kept.
        """
        spelled = lenient.text(event.event_type) or lenient.text(event.notification_type)
        if not spelled:
            raise SourceError("the event has no type (`eventType` or `notificationType`)")
        name = key_of(spelled)
        kind = TYPE_OF_EVENT.get(name, "unknown")
        if not kind:
            return []
        mail = event.mail or Mail()
        provider_id = lenient.text(mail.message_id)
        common = Common(
            name,
            _report_id(event) or provider_id or envelope.message_id or "",
            provider_id,
            lenient.seconds(envelope.timestamp),
            self._labels(mail),
        )
        if kind in {"opened", "clicked"}:
            return self._engagements(event, common, kind)
        read = READERS.get(name)
        if read is not None:
            return [self._event(common, reading) for reading in read(event)]
        # Send, and whatever SES will think of: of every recipient of the message.
        detail = spelled[:MAX_DETAIL] if kind == "unknown" else ""
        at = lenient.seconds(mail.timestamp)
        return [self._event(common, Reading(to, kind, at, detail=detail)) for to in destination(mail)]

    def _event(self, common: Common, reading: Reading) -> Feedback:
        """Return one event."""
        spelled = reading.recipient
        recipient = normalise(mailbox(spelled))
        labels = common.labels
        return Feedback(
            event_id(f"{common.ident}|{common.name}|{spelled}|{int(reading.occurred_at * 1000)}"),
            labels.delivery_id,
            recipient,
            reading.type,
            reading.occurred_at or common.published_at,
            NAME,
            reading.reason,
            reading.diagnostic[:MAX_DIAGNOSTIC],
            0.0,  # received_at
            "" if spelled == recipient else spelled,
            labels.message_type,
            labels.test,
            False,
            False,
            reading.type == "unsubscribed" and reading.detail == "UnsubscribeHeader",
            reading.code,
            spell(reading.status),
            provider_id=common.provider_id,
            tenant=labels.tenant,
            detail=reading.detail,
        )

    def _engagements(self, event: SesEvent, common: Common, kind: str) -> list[Feedback]:
        """Return an open or click of every recipient: SES can't read them apart."""
        engagement = event.open if kind == "opened" else event.click
        if engagement is None:
            raise SourceError(f"the event has no `{'open' if kind == 'opened' else 'click'}`")
        at = lenient.seconds(engagement.timestamp)
        agent, ip = lenient.text(engagement.user_agent), lenient.text(engagement.ip_address)
        url = lenient.text(engagement.link)
        lower = url.lower()
        # Two readers of one copy, or two links, within a millisecond are two events.
        common = common._replace(ident=f"{common.ident}|{url}|{ip}|{agent}")
        events = [self._event(common, Reading(to, kind, at)) for to in destination(event.mail or Mail())]
        machine = is_machine(agent)
        for one in events:
            one.machine = machine
            one.user_agent, one.ip, one.url = agent, ip, url
            one.unsubscribe_link = kind == "clicked" and any(part in lower for part in self._unsubscribe_urls)
        return events

    def _labels(self, mail: Mail) -> Labels:
        """Return what tags and headers say of a message.

        Raises:
            SourceError: if the delivery id or tenant is no part for a key.
        """
        tags = lenient.mapping(mail.tags)
        labels = self._metadata.read_mapping({key: _first(value) for key, value in tags.items()})
        if labels.delivery_id or not mail.headers:
            return labels
        headers = _headers(mail.headers)
        # An identity's notifications have no tags, but the header that set them.
        tagged = labels_of_tags(self._metadata, headers.get(_TAGS_HEADER, "").split(","))
        found = (label("delivery id", headers.get(name)) for name in self._header_names)
        return Labels(
            tagged.delivery_id or next(filter(None, found), ""),
            labels.message_type or tagged.message_type,
            labels.tenant or tagged.tenant,
            labels.test or tagged.test,
        )


def _message(envelope: Envelope) -> str | None:
    """Return what SES wrote; None for SNS's and SES's own affairs.

    Raises:
        SourceError: if there is nothing.
    """
    if envelope.type in {SUBSCRIPTION, UNSUBSCRIPTION}:
        return None
    if envelope.type != NOTIFICATION or envelope.message is None:
        raise SourceError(f"no notification of SNS: its type is {(envelope.type or '')[:MAX_DETAIL]!r}")
    return None if envelope.message.startswith(TOPIC_IS_VALID) else envelope.message


def _report_id(event: SesEvent) -> str:
    """Return the id that SES gives a bounce or a complaint, the same however often and wherever it is published."""
    report = event.bounce or event.complaint
    return lenient.text(report.feedback_id) if report is not None else ""


def _first(value: object) -> object:
    return value[0] if isinstance(value, list) and value else value


def _headers(raw: msgspec.Raw) -> Mapping[str, str]:
    """Return the first value of each header, by names in lower case."""
    headers: dict[str, str] = {}
    for one in lenient.sequence(_read_headers(raw)):
        pair = lenient.mapping(one)
        headers.setdefault(lenient.text(pair.get("name")).lower(), lenient.text(pair.get("value")))
    return headers


def parser(options: SourceOptions) -> Parser:
    """Return the parser for an installation's options."""
    return Notifications(options).parse
