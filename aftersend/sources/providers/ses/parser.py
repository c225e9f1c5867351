"""Amazon SES through SNS: what each event means for each of its recipients. See `README.md` beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from aftersend.schemas.event import Feedback
from aftersend.sources.base import Parser, SourceError, SourceOptions, check_keys, readable_part
from aftersend.sources.parsing import lenient
from aftersend.sources.parsing.address import mailbox, normalise
from aftersend.sources.parsing.arf import TYPE_OF_FEEDBACK, UNLISTED_FEEDBACK
from aftersend.sources.parsing.bounce_classes import Status, outcome
from aftersend.sources.parsing.bounce_classes import reason as class_of
from aftersend.sources.parsing.event_ids import event_id
from aftersend.sources.parsing.json_records import UNREADABLE, read_values
from aftersend.sources.parsing.machines import is_machine
from aftersend.sources.parsing.metadata import Labels, MetadataReader, label, labels_of_tags
from aftersend.sources.parsing.smtp_reply import read_reply, spell
from aftersend.sources.providers.ses.payload import Bounce, Delay, Mail, Recipient, SesEvent, Subscription
from aftersend.sources.signing.sns_envelope import NOTIFICATION, SUBSCRIPTION, UNSUBSCRIPTION, Envelope, read_envelope

NAME: Final = "ses"

#: Longer answers are cut: the raw record keeps them whole, and a row of them stays in memory.
MAX_DIAGNOSTIC: Final = 1000
MAX_DETAIL: Final = 100

BY_CODES: Final = "by codes"
BY_SUBTYPE: Final = "by bounce type"
BY_REPORT: Final = "by feedback type"
BY_CHOICE: Final = "by choice"


class EventRule(NamedTuple):
    """What one type of event becomes."""

    #: As SES spells it in `eventType` or `notificationType`.
    event: str
    #: A canonical type, one of the `BY_…`, or "" for none: nothing happened to a recipient.
    type: str
    why: str


EVENT_RULES: Final = (
    EventRule("Send", "sent", "SES took the message over and will deliver it"),
    EventRule("Reject", "rejected", "SES found a virus in it and did not deliver it"),
    EventRule("Rendering Failure", "failed", "the template could not be filled in"),
    EventRule("DeliveryDelay", "deferred", "will be tried again"),
    EventRule("Delivery", "delivered", "the recipient's host took it over"),
    EventRule("Bounce", BY_SUBTYPE, "refused, given up, or kept back by a suppression list"),
    EventRule("Complaint", BY_REPORT, "a feedback loop's report (ARF), or kept back by a suppression list"),
    EventRule("Open", "opened", "the message's images were loaded"),
    EventRule("Click", "clicked", "a link was followed"),
    EventRule("Subscription", BY_CHOICE, "the recipient changed what he wants of a contact list"),
    EventRule("Received", "", "incoming mail, not feedback"),
    EventRule("AmazonSnsSubscriptionSucceeded", "", "SES tries out a topic that was set for notifications"),
)

#: What SES publishes, as plain text, to try out a topic that was set for event publishing.
TOPIC_IS_VALID: Final = "Successfully validated SNS topic"


class BounceRule(NamedTuple):
    """What one kind of bounce means."""

    type: str
    #: "": any other.
    subtype: str
    #: A canonical type, or `BY_CODES`.
    becomes: str
    #: The canonical reason or class; "": by the codes.
    why: str


BOUNCE_RULES: Final = (
    BounceRule("Permanent", "Suppressed", "not_sent", "previously_bounced"),
    BounceRule("Permanent", "OnAccountSuppressionList", "not_sent", "previously_bounced"),
    BounceRule("Permanent", "UnsubscribedRecipient", "not_sent", "unsubscribed"),
    BounceRule("Permanent", "NoEmail", "hard_bounce", "InvalidRecipient"),
    BounceRule("Permanent", "", "hard_bounce", ""),
    BounceRule("Transient", "MailboxFull", "soft_bounce", "QuotaIssues"),
    BounceRule("Transient", "MessageTooLarge", "soft_bounce", "QuotaIssues"),
    BounceRule("Transient", "CustomTimeoutExceeded", "soft_bounce", "MessageExpired"),
    BounceRule("Transient", "ContentRejected", "rejected", "ContentRelated"),
    BounceRule("Transient", "AttachmentRejected", "rejected", "ProhibitedAttachment"),
    BounceRule("Transient", "", "soft_bounce", ""),
    BounceRule("Undetermined", "", BY_CODES, ""),
)

#: What SES calls a delay, by our classes (`aftersend.sources.parsing.bounce_classes`); of the others the codes say
#: more.
DELAYS: Final = {
    "InternalFailure": "TransientFailure",
    "MailboxFull": "QuotaIssues",
    "SpamDetected": "SpamRelated",
    "RecipientServerError": "TransientFailure",
    "IPFailure": "SpamBlock",
    "TransientCommunicationFailure": "BadConnection",
    "BYOIPHostNameLookupUnavailable": "DNSFailure",
    "SendingDeferral": "TransientFailure",
}

_SUPPRESSED: Final = "onaccountsuppressionlist"
_TAGS_HEADER: Final = "x-ses-message-tags"


def _key(name: str) -> str:
    """Return a name as it is looked up: SES spells some with and without blanks."""
    return name.replace(" ", "").lower()


_TYPE_OF_EVENT: Final = {_key(rule.event): rule.type for rule in EVENT_RULES}
_RULE_OF_BOUNCE: Final = {(_key(rule.type), _key(rule.subtype)): rule for rule in BOUNCE_RULES}
_CLASS_OF_DELAY: Final = {_key(name): known for name, known in DELAYS.items()}

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


class Told(NamedTuple):
    """What a notification says of one recipient."""

    recipient: str
    type: str
    occurred_at: float
    reason: str = ""
    diagnostic: str = ""
    code: int = 0
    status: Status | None = None
    detail: str = ""


class Notifications:
    """Turns SES's notifications and published events into canonical ones, for an installation's options."""

    __slots__ = ("_header_names", "_metadata", "_tell", "_unsubscribe_urls")

    def __init__(self, options: SourceOptions) -> None:
        """Prepare for an installation's options.

        Raises:
            ValueError: if the options contradict themselves.
        """
        self._metadata = MetadataReader(options)
        self._header_names = tuple(name.lower() for name in options.delivery_headers)
        self._unsubscribe_urls = tuple(part.lower() for part in options.unsubscribe_urls)
        self._tell: dict[str, Callable[[SesEvent], Iterable[Told]]] = {
            "bounce": _bounces,
            "complaint": _complaints,
            "delivery": _deliveries,
            "deliverydelay": _delays,
            "reject": _rejections,
            "renderingfailure": _failures,
            "subscription": _choices,
        }

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
            return self._parse_patiently(raw)

    def _parse_patiently(self, raw: bytes) -> Iterable[Feedback]:
        """Return the events of a record with something unusual in it: several messages, half characters."""
        values = read_values(raw)
        events: list[Feedback] = []
        complaints = []
        for place, value in enumerate(values.items):
            where = f"message {place}: " if len(values.items) > 1 else ""
            try:
                found, mended = self._read_patiently(value)
                if mended or values.mended:
                    check_keys(found)
            except SourceError as error:
                complaints.append(f"{where}{error}")
            else:
                events += found
        return readable_part(events, complaints)

    def _read_patiently(self, value: object) -> tuple[list[Feedback], bool]:
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
        return events, inner.mended

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
        name = _key(spelled)
        kind = _TYPE_OF_EVENT.get(name, "unknown")
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
        tell = self._tell.get(name)
        if tell is not None:
            return [self._event(common, told) for told in tell(event)]
        # Send, and whatever SES will think of: of every recipient of the message.
        detail = spelled[:MAX_DETAIL] if kind == "unknown" else ""
        at = lenient.seconds(mail.timestamp)
        return [self._event(common, Told(to, kind, at, detail=detail)) for to in _destination(mail)]

    def _event(self, common: Common, told: Told) -> Feedback:
        """Return one event."""
        spelled = told.recipient
        recipient = normalise(mailbox(spelled))
        labels = common.labels
        return Feedback(
            event_id(f"{common.ident}|{common.name}|{spelled}|{int(told.occurred_at * 1000)}"),
            labels.delivery_id,
            recipient,
            told.type,
            told.occurred_at or common.published_at,
            NAME,
            told.reason,
            told.diagnostic[:MAX_DIAGNOSTIC],
            0.0,  # received_at
            "" if spelled == recipient else spelled,
            labels.message_type,
            labels.test,
            False,
            False,
            told.type == "unsubscribed" and told.detail == "UnsubscribeHeader",
            told.code,
            spell(told.status),
            provider_id=common.provider_id,
            tenant=labels.tenant,
            detail=told.detail,
        )

    def _engagements(self, event: SesEvent, common: Common, kind: str) -> list[Feedback]:
        """Return an open or click of every recipient: SES can't tell them apart."""
        engagement = event.open if kind == "opened" else event.click
        if engagement is None:
            raise SourceError(f"the event has no `{'open' if kind == 'opened' else 'click'}`")
        at = lenient.seconds(engagement.timestamp)
        agent, ip = lenient.text(engagement.user_agent), lenient.text(engagement.ip_address)
        url = lenient.text(engagement.link)
        lower = url.lower()
        # Two readers of one copy, or two links, within a millisecond are two events.
        common = common._replace(ident=f"{common.ident}|{url}|{ip}|{agent}")
        events = [self._event(common, Told(to, kind, at)) for to in _destination(event.mail or Mail())]
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


def _destination(mail: Mail) -> list[str]:
    """Return all recipients of a message; one that nothing says, if there is none."""
    return _distinct(lenient.text(item) for item in lenient.sequence(mail.destination))


def _distinct(addresses: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(filter(None, addresses))) or [""]


def _named(recipients: list[Recipient | None] | None, mail: Mail | None) -> Iterator[Recipient]:
    """Yield the recipients that a report names; if none, all of the message, where it had only one."""
    named = [one for one in recipients or () if one is not None and lenient.text(one.email_address)]
    if named:
        yield from named
        return
    everybody = _destination(mail or Mail())
    yield Recipient(email_address=everybody[0] if len(everybody) == 1 else "")


def _bounces(event: SesEvent) -> Iterator[Told]:
    bounce = event.bounce or Bounce()
    kind, subtype = lenient.text(bounce.bounce_type), lenient.text(bounce.bounce_sub_type)
    rule = _RULE_OF_BOUNCE.get((_key(kind), _key(subtype))) or _RULE_OF_BOUNCE.get((_key(kind), ""))
    at = lenient.seconds(bounce.timestamp)
    detail = f"{kind}/{subtype}"[:MAX_DETAIL]
    for one in _named(bounce.bounced_recipients, event.mail):
        diagnostic, code, status = _answer(one)
        by_codes, why = outcome(None, code, status)
        becomes = by_codes
        if rule is not None and rule.becomes != BY_CODES:
            becomes = rule.becomes
            if becomes == "hard_bounce" and by_codes == "invalid_address":
                becomes = by_codes
            why = rule.why or why
        yield Told(lenient.text(one.email_address), becomes, at, why, diagnostic, code, status, detail)


def _complaints(event: SesEvent) -> Iterator[Told]:
    complaint = event.complaint
    if complaint is None:
        raise SourceError("the event has no `complaint`")
    report = lenient.text(complaint.complaint_feedback_type).strip().lower()
    subtype = lenient.text(complaint.complaint_sub_type)
    kind = TYPE_OF_FEEDBACK.get(report, UNLISTED_FEEDBACK)
    why, detail = report, subtype
    if _key(subtype) == _SUPPRESSED:
        kind, why = "not_sent", "previously_complained"
    if not kind:
        return
    at = lenient.seconds(complaint.timestamp) or lenient.seconds(complaint.arrival_date)
    # The user agent is that of the feedback loop.
    loop = lenient.text(complaint.user_agent)
    for one in _named(complaint.complained_recipients, event.mail):
        yield Told(lenient.text(one.email_address), kind, at, why, loop, detail=detail[:MAX_DETAIL])


def _deliveries(event: SesEvent) -> Iterator[Told]:
    delivery = event.delivery
    if delivery is None:
        raise SourceError("the event has no `delivery`")
    at = lenient.seconds(delivery.timestamp)
    answer = lenient.text(delivery.smtp_response)
    code, status = read_reply(answer)
    recipients = [lenient.text(item) for item in lenient.sequence(delivery.recipients)]
    for to in _distinct(recipients) if any(recipients) else _destination(event.mail or Mail()):
        yield Told(to, "delivered", at, "", answer, code, status)


def _delays(event: SesEvent) -> Iterator[Told]:
    delay = event.delivery_delay or Delay()
    kind = lenient.text(delay.delay_type)
    at = lenient.seconds(delay.timestamp)
    for one in _named(delay.delayed_recipients, event.mail):
        diagnostic, code, status = _answer(one)
        why = class_of(_CLASS_OF_DELAY.get(_key(kind)), code, status)
        yield Told(lenient.text(one.email_address), "deferred", at, why, diagnostic, code, status, kind[:MAX_DETAIL])


def _rejections(event: SesEvent) -> Iterator[Told]:
    mail = event.mail or Mail()
    at = lenient.seconds(mail.timestamp)
    words = lenient.text(event.reject.reason) if event.reject is not None else ""
    for to in _destination(mail):
        yield Told(to, "rejected", at, "VirusRelated", words)


def _failures(event: SesEvent) -> Iterator[Told]:
    mail = event.mail or Mail()
    at = lenient.seconds(mail.timestamp)
    words = lenient.text(event.failure.error_message) if event.failure is not None else ""
    template = lenient.text(event.failure.template_name) if event.failure is not None else ""
    for to in _destination(mail):
        yield Told(to, "failed", at, "RenderingFailure", words, detail=template[:MAX_DETAIL])


def _choices(event: SesEvent) -> Iterator[Told]:
    """Tell a change of preferences by what differs from before; one that says nothing new is `unknown`."""
    choice = event.subscription or Subscription()
    mail = event.mail or Mail()
    all_before, topics_before = _wanted(choice.old_topic_preferences)
    all_now, topics_now = _wanted(choice.new_topic_preferences)
    changed = {topic: status for topic, status in topics_now.items() if topics_before.get(topic) != status}
    left = sorted(topic for topic, status in changed.items() if status == "optout")
    joined = sorted(topic for topic, status in changed.items() if status == "optin")
    if (all_now and not all_before) or (left and not joined):
        kind, topics = "unsubscribed", left
    elif (all_before and not all_now) or joined:
        kind, topics = "resubscribed", joined
    elif all_now:
        kind, topics = "unsubscribed", []
    else:
        kind, topics = "unknown", []
    source = lenient.text(choice.source)
    at = lenient.seconds(choice.timestamp)
    for to in _destination(mail):
        yield Told(to, kind, at, diagnostic=", ".join(topics), detail=(source or "Subscription")[:MAX_DETAIL])


def _wanted(preferences: Any) -> tuple[bool, dict[str, str]]:
    """Return whether a contact wants nothing at all, and what it wants of each topic, in lower case."""
    if preferences is None:
        return False, {}
    topics = {
        lenient.text(topic.topic_name): _key(lenient.text(topic.subscription_status))
        for topic in preferences.topic_subscription_status or ()
        if topic is not None
    }
    return bool(lenient.flag(preferences.unsubscribe_all)), topics


def _answer(recipient: Recipient) -> tuple[str, int, Status | None]:
    """Return what a host said of a recipient: the words without `smtp; `, and its codes."""
    words = lenient.text(recipient.diagnostic_code)
    code, status = read_reply(words, lenient.text(recipient.status))
    kind, semicolon, rest = words.partition(";")
    return (rest.strip() if semicolon and kind.strip().lower() == "smtp" else words), code, status


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
