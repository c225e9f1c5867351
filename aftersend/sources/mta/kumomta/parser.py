"""KumoMTA's log: what each record means for a recipient. See `README.md` beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from aftersend.schemas.event import Feedback
from aftersend.schemas.times import END_OF_TIME
from aftersend.sources.base import Parser, SourceError, SourceOptions
from aftersend.sources.mta.kumomta.payload import LogRecord, Response, SkippedHeaders
from aftersend.sources.parsing.address import normalise
from aftersend.sources.parsing.arf import TYPE_OF_FEEDBACK, UNLISTED_FEEDBACK, Report, read_report
from aftersend.sources.parsing.bounce_classes import UNCATEGORIZED, Status, outcome, reason
from aftersend.sources.parsing.event_ids import event_id
from aftersend.sources.parsing.json_records import UNREADABLE, RecordReader
from aftersend.sources.parsing.metadata import Labels, MetadataReader, label
from aftersend.sources.parsing.times import check_seconds, rfc3339

NAME: Final = "kumomta"

#: Longer answers are cut: the raw record keeps them whole, and a row of them stays in memory.
MAX_DIAGNOSTIC: Final = 1000
MAX_DETAIL: Final = 100

BY_CLASS: Final = "by bounce class"
BY_REPORT: Final = "by report"


class LogRecordRule(NamedTuple):
    """What one type of record becomes."""

    record: str
    #: A canonical type, `BY_CLASS`, `BY_REPORT`, or "" for none: nothing happened to the recipient.
    type: str
    why: str


RECORD_RULES: Final = (
    LogRecordRule("Reception", "sent", "the MTA took the message over"),
    LogRecordRule("Delivery", "delivered", "the recipient's host took it over"),
    LogRecordRule("TransientFailure", "deferred", "will be tried again"),
    LogRecordRule("Delayed", "deferred", "waits in the MTA's own queue; nothing if it was scheduled for later"),
    LogRecordRule("Delay", "deferred", "older documentation's name of `Delayed`"),
    LogRecordRule("Bounce", BY_CLASS, "refused for good"),
    LogRecordRule("OOB", BY_CLASS, "a bounce message that came after delivery; its recipient is the report's"),
    LogRecordRule("Expiration", "soft_bounce", "its time in the queue was over: given up, nothing to wait for"),
    LogRecordRule("AdminBounce", "not_sent", "an operator removed it: reason `stopped`"),
    LogRecordRule(
        "Rejection", "rejected", "refused at injection; `deferred` for a 4xx, which the injector tries again"
    ),
    LogRecordRule("Feedback", BY_REPORT, "a feedback loop's report (ARF)"),
    LogRecordRule("AdminRebind", "", "moved to another queue"),
    LogRecordRule("DeferredInjectionRebind", "", "moved out of the injection queue"),
    LogRecordRule("XferOut", "", "handed to another node of the same sender"),
    LogRecordRule("XferIn", "", "taken over from another node of the same sender"),
)

_TYPE_OF_RECORD: Final = {rule.record: rule.type for rule in RECORD_RULES}

#: Types of records that become one event for each recipient without a second look.
_PLAIN: Final = {"Reception": "sent", "Delivery": "delivered"}

#: The records of KumoMTA's own log hook: about a message that carries a log record, yet with the recipient and the
#: metadata of the message that the log record is about. Its delivery is nobody's.
_LOG_HOOK: Final = "LogRecord"

#: In the text of a `Delayed` record: the sender himself had asked for a later time.
_SCHEDULED: Final = "ScheduledForLater"

_TRANSFER_QUEUE: Final = ".xfer.kumomta.internal"

#: In which KumoMTA puts recipient and metadata into messages.
_TRACE_HEADER: Final = "x-kumoref"

#: The class of what was tried until its time in the queue was over.
_EXPIRED: Final = "MessageExpired"

_FIRST_PERMANENT: Final = 500

#: The class of enhanced codes that say nothing that the event's type does not.
_SUCCESS: Final = 2

#: A record with any metadata and headers.
_Record = LogRecord[dict[str, Any], dict[str, Any]]


class KumoLog:
    """Turns records of KumoMTA's log into events, for an installation's options."""

    __slots__ = ("_metadata", "_options", "_read_usual", "_reader", "_return_path", "_special")

    def __init__(self, options: SourceOptions) -> None:
        """Prepare for an installation's options.

        Raises:
            ValueError: if the options contradict themselves.
        """
        self._options = options
        self._metadata = MetadataReader(options)
        headers = dict[str, Any] if options.delivery_headers else SkippedHeaders
        # Types that are made at run time, which no type checker can follow.
        generic: Any = LogRecord
        self._read_usual: Callable[[bytes], _Record] = msgspec.json.Decoder(
            generic[self._metadata.struct, headers]
        ).decode
        self._reader: RecordReader[_Record] = RecordReader(_Record)
        self._return_path = _compile(options.return_path) if options.return_path else None
        self._special: dict[str, Callable[[_Record], Iterable[Feedback]]] = {
            "Bounce": self._bounce,
            "TransientFailure": self._deferral,
            "Delayed": self._delay,
            "Delay": self._delay,
            "Expiration": self._expiration,
            "AdminBounce": self._admin_bounce,
            "OOB": self._asynchronous_bounce,
            "Rejection": self._rejection,
            "Feedback": self._feedback,
        }

    def parse(self, raw: bytes) -> Iterable[Feedback]:
        """Return the events of a raw record: one log record, an array of them or lines of them.

        Raises:
            SourceError: if it can't be read.
        """
        try:
            record = self._read_usual(raw)
        except UNREADABLE:
            # Several records in one, metadata of another kind, or nothing that can be read.
            return [event for record in self._reader.read(raw) for event in self._events(record)]
        # The usual record, in short.
        kind = _PLAIN.get(record.type)
        recipient = record.recipient
        if kind is None or type(recipient) is not str or record.reception_protocol == _LOG_HOOK:
            return self._events(record)
        return (self._event(record, kind, recipient, ""),)

    def _events(self, record: _Record) -> Iterable[Feedback]:
        """Return the events of one log record of any type."""
        if record.reception_protocol == _LOG_HOOK:
            return ()
        special = self._special.get(record.type)
        if special is not None:
            return special(record)
        kind = _TYPE_OF_RECORD.get(record.type, "unknown")
        if not kind:
            return ()
        return self._for_each(record, kind, "", record.type[:MAX_DETAIL] if kind == "unknown" else "")

    def _for_each(self, record: _Record, kind: str, why: str, detail: str = "") -> list[Feedback]:
        """Return an event for each of a record's recipients; for a record without one, an event without one."""
        recipients = record.recipient or [""]
        if isinstance(recipients, str):
            events = [self._event(record, kind, recipients, why)]
        else:
            events = [self._event(record, kind, recipient, why) for recipient in dict.fromkeys(recipients)]
        if detail:
            for event in events:
                event.detail = detail
        return events

    def _event(self, record: _Record, kind: str, recipient: str, why: str, labels: Labels | None = None) -> Feedback:
        """Return one event. Called for every record, so it is written for speed."""
        address = normalise(recipient)
        code = 0
        enhanced = content = ""
        response = record.response
        if response is not None:
            code = response.code
            content = response.content
            if len(content) > MAX_DIAGNOSTIC:
                content = content[:MAX_DIAGNOSTIC]
            status = response.enhanced_code
            if status is not None and status.kind != _SUCCESS:
                enhanced = f"{status.kind}.{status.subject}.{status.detail}"
        delivery_id, message_type, tenant, test = labels or self._metadata.read(record.meta)
        if not (delivery_id and tenant) and labels is None:
            delivery_id, tenant = self._other_labels(record, delivery_id, tenant)
        moment = record.event_time
        occurred_at = moment.timestamp() if moment is not None else record.timestamp or 0.0
        if not 0 <= occurred_at <= END_OF_TIME:
            check_seconds(occurred_at, moment)
        ident = record.id
        identity = (
            f"{record.nodeid}|{ident}|{recipient}|{record.type}|{int(occurred_at * 1_000_000)}|{record.num_attempts}"
        )
        # By position where possible, since names cost time; `test_fields_of_events` keeps the order right.
        return Feedback(
            event_id(identity if ident else f"{identity}|{_remainder(record)}"),
            delivery_id,
            address,
            kind,
            occurred_at,
            NAME,
            why,
            content,
            0.0,  # received_at
            "" if address == recipient else recipient,
            message_type,
            test,
            False,
            False,
            False,
            code,
            enhanced,
            provider_id=ident,
            tenant=tenant,
        )

    def _other_labels(self, record: _Record, delivery_id: str, tenant: str) -> tuple[str, str]:
        """Return delivery id and tenant with what configured headers and the queue's name say, if one is missing."""
        if not delivery_id and isinstance(record.headers, dict):
            delivery_id = _first_label(record.headers, self._options.delivery_headers)
        if not self._options.campaign_from_queue:
            return delivery_id, tenant
        campaign, tenant_of_queue = _parts_of_queue(record.queue or "")
        return delivery_id or campaign, tenant or tenant_of_queue

    def _labels_of_report(self, record: _Record) -> Labels:
        """Return what the metadata of an incoming report say: its headers and its queue are not the message's."""
        return Labels(*self._metadata.read(record.meta))

    def _bounce(self, record: _Record) -> list[Feedback]:
        kind, why = outcome(record.bounce_classification, *_codes(record.response))
        events = self._for_each(record, kind, why)
        return _given_up(events) if why == _EXPIRED else events

    def _deferral(self, record: _Record) -> list[Feedback]:
        return self._for_each(record, "deferred", reason(record.bounce_classification, *_codes(record.response)))

    def _delay(self, record: _Record) -> Iterable[Feedback]:
        content = record.response.content if record.response is not None else None
        if content and _SCHEDULED in content:
            return ()
        return self._for_each(record, "deferred", "", record.type)

    def _expiration(self, record: _Record) -> list[Feedback]:
        why = reason(record.bounce_classification, 0, None)
        return _given_up(self._for_each(record, "soft_bounce", _EXPIRED if why == UNCATEGORIZED else why, record.type))

    def _admin_bounce(self, record: _Record) -> list[Feedback]:
        return self._for_each(record, "not_sent", "stopped", record.type)

    def _rejection(self, record: _Record) -> Iterable[Feedback]:
        if not any(_recipients(record)):  # refused before a recipient was named, often a stranger's scan
            return ()
        code, status = _codes(record.response)
        kind = "rejected" if code == 0 or code >= _FIRST_PERMANENT else "deferred"
        return self._for_each(record, kind, reason(record.bounce_classification, code, status), record.type)

    def _asynchronous_bounce(self, record: _Record) -> list[Feedback]:
        code, status = _codes(record.response)
        if record.response is not None and not record.response.content and status is not None:
            code = 0  # KumoMTA writes 550 where the report has no diagnostic text; the status is the report's
        kind, why = outcome(record.bounce_classification, code, status)
        labels = self._labels_of_report(record)
        recipients = _recipients(record)
        found = self._return_path.search(record.sender) if self._return_path and record.sender else None
        if found:
            parts = found.groupdict()
            if not labels.delivery_id:
                labels = labels._replace(delivery_id=label("delivery id", parts.get("delivery")))
            coded = parts.get("recipient")
            if coded:  # of whom we wrote to we know better than the bounce, which may have been forwarded
                recipients = [coded if "@" in coded else "@".join(coded.rsplit("=", 1))]
        events = [self._event(record, kind, recipient, why, labels) for recipient in recipients]
        for event in events:
            event.detail = record.type
        return events

    def _feedback(self, record: _Record) -> Iterable[Feedback]:
        report = record.feedback_report
        if report is None:  # somebody's own template: the record itself says whose complaint it is
            return self._for_each(record, "complained", "", record.type)
        kind_of_report = report.feedback_type.strip().lower() if isinstance(report.feedback_type, str) else ""
        kind = TYPE_OF_FEEDBACK.get(kind_of_report, UNLISTED_FEEDBACK)
        if not kind:
            return ()
        evidence = read_report(report, _TRACE_HEADER)
        labels = self._metadata.read_mapping(evidence.trace)
        if not labels.delivery_id:
            # The policy may have put the message's metadata on the report.
            labels = self._labels_of_report(record)
        if not labels.delivery_id:
            names = [name.lower() for name in self._options.delivery_headers]
            labels = labels._replace(delivery_id=_first_label(evidence.headers, names))
        event = self._event(record, kind, evidence.recipient, kind_of_report, labels)
        event.detail = record.type
        if not event.occurred_at:
            event.occurred_at = _time_of_report(report)
        if isinstance(report.user_agent, str):  # which feedback loop it was
            event.diagnostic = report.user_agent[:MAX_DIAGNOSTIC]
        event.code, event.enhanced_code = 0, ""  # our own answer to whoever brought the report
        # The mailbox provider's unsubscribe button, as with RFC 8058: the message need not have been opened.
        event.one_click = kind == "unsubscribed"
        return (event,)


def _given_up(events: list[Feedback]) -> list[Feedback]:
    """Return soft bounces as those of a queue's time that is over: nothing is left to wait for."""
    for event in events:
        event.exhausted = event.type == "soft_bounce"
    return events


def _compile(expression: str) -> re.Pattern[str]:
    try:
        return re.compile(expression)
    except re.error as error:
        raise ValueError(f"return_path is no regular expression: {error}") from error


def _time_of_report(report: Report) -> float:
    """Return when the message that a report is about arrived, 0.0 if the report doesn't say."""
    try:
        return rfc3339(report.arrival_date) if isinstance(report.arrival_date, str) else 0.0
    except SourceError:  # the complaint counts, whatever its date
        return 0.0


def _first_label(headers: Mapping[str, Any], names: Iterable[str]) -> str:
    found = (label("delivery id", headers.get(name)) for name in names)
    return next(filter(None, found), "")


def _codes(response: Response | None) -> tuple[int, Status | None]:
    if response is None:
        return 0, None
    return response.code, response.enhanced_code


def _recipients(record: _Record) -> list[str]:
    recipient = record.recipient
    return (recipient if isinstance(recipient, list) else [recipient or ""]) or [""]


def _parts_of_queue(queue: str) -> tuple[str, str]:
    """Return the campaign and the tenant in a queue's name, each "" if it is not there."""
    left, at, _ = queue.partition("@")
    if not at or queue.endswith(_TRANSFER_QUEUE):
        return "", ""
    campaign, colon, tenant = left.partition(":")
    if not colon:
        campaign, tenant = "", left
    return label("delivery id", campaign), label("tenant", tenant)


def _remainder(record: _Record) -> str:
    """Return what tells records without an id apart: refusals at injection, reports in somebody's own template."""
    response, report = record.response, record.feedback_report
    parts: list[object] = [record.session_id, record.sender]
    if response is not None:
        parts += [response.code, response.content]
    if report is not None:
        parts += [report.feedback_type, report.arrival_date, report.original_mail_from, report.original_message]
    return "|".join(map(str, parts))


def parser(options: SourceOptions) -> Parser:
    """Return the parser for an installation's options."""
    return KumoLog(options).parse
