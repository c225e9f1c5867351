"""Postmark's webhooks: what each record means for a recipient. See `README.md` beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import msgspec

from aftersend.schemas.event import Feedback
from aftersend.sources.base import Parser, SourceError, SourceOptions, check_keys, readable_part
from aftersend.sources.parsing import lenient
from aftersend.sources.parsing.address import mailbox, normalise
from aftersend.sources.parsing.bounce_classes import Status, outcome
from aftersend.sources.parsing.bounce_classes import reason as class_of
from aftersend.sources.parsing.event_ids import event_id
from aftersend.sources.parsing.json_records import UNREADABLE, read_values
from aftersend.sources.parsing.machines import is_machine
from aftersend.sources.parsing.metadata import Labels, MetadataReader, labels_of_tags
from aftersend.sources.parsing.smtp_reply import read_reply, spell
from aftersend.sources.providers.postmark.payload import PostmarkRecord

NAME: Final = "postmark"

#: Longer answers are cut: the raw record keeps them whole, and a row of them stays in memory.
MAX_DIAGNOSTIC: Final = 1000
MAX_DETAIL: Final = 100

BY_TYPE: Final = "by bounce type"
BY_CHOICE: Final = "by choice"
BY_CODES: Final = "by codes"


class PostmarkRecordRule(NamedTuple):
    """What one type of record becomes."""

    #: As Postmark spells it in `RecordType`.
    record: str
    #: A canonical type, `BY_TYPE` or `BY_CHOICE`.
    type: str
    why: str


RECORD_RULES: Final = (
    PostmarkRecordRule("Delivery", "delivered", "the recipient's host accepted the message"),
    PostmarkRecordRule("Bounce", BY_TYPE, "refused, delayed, or answered by a machine"),
    PostmarkRecordRule("SpamComplaint", "complained", "marked as spam"),
    PostmarkRecordRule("Open", "opened", "the message's images were loaded"),
    PostmarkRecordRule("Click", "clicked", "a link was followed"),
    PostmarkRecordRule("SubscriptionChange", BY_CHOICE, "the address was put on a suppression list, or taken off it"),
)

_TYPE_OF_RECORD: Final = {rule.record: rule.type for rule in RECORD_RULES}


class PostmarkBounceRule(NamedTuple):
    """What one type of bounce means."""

    #: As Postmark spells it in `Type`.
    type: str
    code: int
    #: A canonical type, `BY_CODES`, or "" for none: nothing happened to a recipient.
    becomes: str
    #: The canonical reason or class; "": by the codes of the host's answer.
    reason: str
    why: str


BOUNCE_RULES: Final = (
    PostmarkBounceRule(
        "HardBounce", 1, "hard_bounce", "", "the mailbox does not exist; `invalid_address` for the status x.1.3"
    ),
    PostmarkBounceRule("Transient", 2, "deferred", "", "delayed: Postmark tries again"),
    PostmarkBounceRule(
        "Unsubscribe", 16, "unsubscribed", "Unsubscribe", "the recipient answered that he wants no more"
    ),
    PostmarkBounceRule(
        "Subscribe", 32, "autoresponded", "Subscribe", "asks to be subscribed: nobody is by a guess from a text"
    ),
    PostmarkBounceRule("AutoResponder", 64, "autoresponded", "AutoReply", "out of office and the like"),
    PostmarkBounceRule("AddressChange", 128, "autoresponded", "AutoReply", "the recipient announces another address"),
    PostmarkBounceRule("DnsError", 256, "soft_bounce", "DNSFailure", "a temporary DNS error"),
    PostmarkBounceRule(
        "SpamNotification", 512, "rejected", "SpamRelated", "a filter took it for spam: no complaint of a person"
    ),
    PostmarkBounceRule("OpenRelayTest", 1024, "", "", "somebody tests whether the server is an open relay"),
    PostmarkBounceRule("Unknown", 2048, BY_CODES, "", "Postmark could not classify the report"),
    PostmarkBounceRule("SoftBounce", 4096, "soft_bounce", "", "mailbox full, disabled or out of quota, for now"),
    PostmarkBounceRule("VirusNotification", 8192, "rejected", "VirusRelated", "taken for a virus"),
    PostmarkBounceRule(
        "ChallengeVerification", 16384, "autoresponded", "ChallengeResponse", "asks the sender for a proof"
    ),
    PostmarkBounceRule("BadEmailAddress", 100000, "invalid_address", "InvalidRecipient", "the address is none"),
    PostmarkBounceRule("SpamComplaint", 100001, "complained", "", "marked as spam"),
    PostmarkBounceRule("ManuallyDeactivated", 100002, "not_sent", "stopped", "the sender has deactivated the address"),
    PostmarkBounceRule(
        "Unconfirmed", 100003, "not_sent", "stopped", "the recipient has not confirmed the registration"
    ),
    PostmarkBounceRule("Blocked", 100006, "rejected", "SpamBlock", "the host blocks the sender or the content"),
    PostmarkBounceRule(
        "SMTPApiError", 100007, "failed", "ProtocolErrors", "Postmark could not accept the message by SMTP"
    ),
    PostmarkBounceRule("InboundError", 100008, "", "", "concerns a message to the sender"),
    PostmarkBounceRule(
        "DMARCPolicy", 100009, "rejected", "AuthenticationFailed", "refused by the domain's DMARC policy"
    ),
    PostmarkBounceRule(
        "TemplateRenderingFailed", 100010, "failed", "RenderingFailure", "the template could not be filled in"
    ),
)

#: What a bounce of another type is: its codes say.
_OTHER_BOUNCE: Final = PostmarkBounceRule("", 0, BY_CODES, "", "")
_RULE_OF_TYPE: Final = {rule.type.lower(): rule for rule in BOUNCE_RULES}
_RULE_OF_CODE: Final = {rule.code: rule for rule in BOUNCE_RULES}


class SubscriptionChangeRule(NamedTuple):
    """What one kind of subscription change means."""

    #: `SuppressSending`.
    suppressed: bool
    #: `SuppressionReason`; "": any other.
    reason: str
    #: A canonical type, or "" for none: another record reports it.
    becomes: str
    why: str


CHOICE_RULES: Final = (
    SubscriptionChangeRule(True, "HardBounce", "", "the bounce's own record reports it"),
    SubscriptionChangeRule(True, "SpamComplaint", "", "the complaint's own record reports it"),
    SubscriptionChangeRule(True, "", "unsubscribed", "by the recipient, or by hand (`Origin` says who)"),
    SubscriptionChangeRule(False, "", "resubscribed", "the address was taken off the list"),
)

_BECOMES: Final = {(rule.suppressed, rule.reason.lower()): rule.becomes for rule in CHOICE_RULES}

#: What Postmark's default message streams are for, where the metadata say nothing.
STREAM_TYPES: Final = {"outbound": "transactional", "broadcast": "campaign"}

_INBOUND: Final = "Inbound"


class _Reading(NamedTuple):
    """What a record says beyond the fields that all records have."""

    type: str
    reason: str = ""
    diagnostic: str = ""
    code: int = 0
    status: Status | None = None
    detail: str = ""


class PostmarkWebhooks:
    """Turns the records of Postmark's webhooks into events, for an installation's options."""

    __slots__ = ("_metadata", "_read", "_unsubscribe_urls")

    def __init__(self, options: SourceOptions) -> None:
        """Prepare for an installation's options.

        Raises:
            ValueError: if the options contradict themselves.
        """
        self._metadata = MetadataReader(options)
        self._unsubscribe_urls = tuple(part.lower() for part in options.unsubscribe_urls)
        self._read: Callable[[bytes], PostmarkRecord] = msgspec.json.Decoder(PostmarkRecord).decode

    def parse(self, raw: bytes) -> Iterable[Feedback]:
        """Return the events of a body: one record (an array or lines of them are read as well).

        Raises:
            SourceError: if it can't be read; if only some of several can't, after the last of the others.
        """
        try:
            return self._events(self._read(raw))
        except (*UNREADABLE, SourceError):
            return self._parse_leniently(raw)

    def _parse_leniently(self, raw: bytes) -> Iterable[Feedback]:
        """Return the events of a body with something unusual in it: several records, half characters."""
        values = read_values(raw)
        events: list[Feedback] = []
        problems = []
        for place, value in enumerate(values.items):
            where = f"record {place}: " if len(values.items) > 1 else ""
            try:
                found = self._events(msgspec.convert(value, PostmarkRecord))
                if values.repaired:
                    check_keys(found)
            except (*UNREADABLE, SourceError) as error:
                problems.append(f"{where}{error}")
            else:
                events += found
        return readable_part(events, problems)

    def _events(self, record: PostmarkRecord) -> list[Feedback]:
        """Return the event of a record, if there is one.

        Raises:
            SourceError: if it says nothing of what happened, or something that can't be kept.
        """
        name = lenient.text(record.record_type)
        if not name:
            raise SourceError("the record has no type (`RecordType`)")
        if name == _INBOUND:
            raise SourceError(
                "an incoming message: this address is set as the inbound webhook, not as an event webhook"
            )
        kind = _TYPE_OF_RECORD.get(name, "unknown")
        if kind == BY_TYPE or name == "SpamComplaint":
            reading = _bounce(record)
        elif kind == BY_CHOICE:
            reading = _choice(record)
        elif kind == "unknown":
            reading = _Reading(kind, detail=name[:MAX_DETAIL])
        else:
            reading = _answer(record, kind)
        return [self._event(record, name, reading)] if reading.type else []

    def _event(self, record: PostmarkRecord, name: str, reading: _Reading) -> Feedback:
        """Return the event of a record."""
        spelled = lenient.text(record.recipient) or lenient.text(record.email)
        recipient = normalise(mailbox(spelled))
        moment = record.delivered_at or record.bounced_at or record.received_at or record.changed_at
        provider_id = lenient.text(record.message_id)
        url = lenient.text(record.original_link)
        agent = lenient.text(record.user_agent)
        ip = lenient.text(lenient.mapping(record.geo).get("IP"))
        labels = self._labels(record)
        kind = reading.type
        event = Feedback(
            _ident(record)
            or event_id(
                f"{name}|{provider_id}|{spelled}|{lenient.text(moment)}|{url}|{ip}|{agent}"
                f"|{lenient.flag(record.suppress_sending)}"
            ),
            labels.delivery_id,
            recipient,
            kind,
            lenient.seconds(moment),
            NAME,
            reading.reason,
            reading.diagnostic[:MAX_DIAGNOSTIC],
            0.0,  # received_at
            "" if spelled == recipient else spelled,
            labels.message_type,
            labels.test,
            False,
            False,
            False,
            reading.code,
            spell(reading.status),
            provider_id=provider_id,
            url=url,
            user_agent=agent,
            ip=ip,
            tenant=labels.tenant,
            detail=reading.detail[:MAX_DETAIL],
        )
        if kind in {"opened", "clicked"}:
            event.machine = is_machine(agent)
        if kind == "clicked":
            lower = url.lower()
            event.unsubscribe_link = any(part in lower for part in self._unsubscribe_urls)
        return event

    def _labels(self, record: PostmarkRecord) -> Labels:
        """Return what metadata, tag and message stream say of a message.

        Raises:
            SourceError: if the delivery id or tenant is no part for a key.
        """
        metadata: dict[str, Any] = lenient.mapping(record.metadata)
        labels = self._metadata.read_mapping(metadata)
        tag = lenient.text(record.tag)
        if tag:
            tagged = labels_of_tags(self._metadata, [tag])
            labels = Labels(
                labels.delivery_id or tagged.delivery_id,
                labels.message_type or tagged.message_type,
                labels.tenant or tagged.tenant,
                labels.test or tagged.test,
            )
        if not labels.message_type:
            stream = lenient.text(record.message_stream).lower()
            labels = labels._replace(message_type=STREAM_TYPES.get(stream, ""))
        return labels


def _ident(record: PostmarkRecord) -> str:
    """Return the number that Postmark gives each bounce and complaint; "" for other records, which have none."""
    ident = record.id
    return str(ident) if type(ident) is int and ident else ""


def _bounce(record: PostmarkRecord) -> _Reading:
    """Return what a bounce or complaint says."""
    spelled = lenient.text(record.type)
    rule = _RULE_OF_TYPE.get(spelled.lower())
    if rule is None:
        code_of_type = record.type_code
        rule = _RULE_OF_CODE.get(code_of_type if type(code_of_type) is int else 0, _OTHER_BOUNCE)
    words = lenient.text(record.details) or lenient.text(record.description)
    code, status = read_reply(words)
    becomes, why = rule.becomes, rule.reason
    if becomes in {"hard_bounce", "soft_bounce", BY_CODES}:
        by_codes, class_by_codes = outcome(None, code, status)
        why = why or class_by_codes
        # The type is Postmark's own word, and it acts by it; the codes say only what is wrong with the address.
        if becomes == BY_CODES or (becomes == "hard_bounce" and by_codes == "invalid_address"):
            becomes = by_codes
    elif becomes == "deferred":
        why = class_of(None, code, status)
    return _Reading(becomes, why, words, code, status, spelled)


def _choice(record: PostmarkRecord) -> _Reading:
    """Return what a subscription change says; one that says neither on nor off is `unknown`."""
    suppressed = lenient.flag(record.suppress_sending)
    reason = lenient.text(record.suppression_reason)
    detail = "/".join(filter(None, (reason, lenient.text(record.origin)))) or "SubscriptionChange"
    if suppressed is None:
        return _Reading("unknown", detail=detail)
    becomes = _BECOMES.get((suppressed, reason.lower()))
    return _Reading(_BECOMES[suppressed, ""] if becomes is None else becomes, detail=detail)


def _answer(record: PostmarkRecord, kind: str) -> _Reading:
    """Return what the host said of a delivery; opens and clicks have no answer."""
    words = lenient.text(record.details)
    code, status = read_reply(words)
    return _Reading(kind, "", words, code, status)


def parser(options: SourceOptions) -> Parser:
    """Return the parser for an installation's options."""
    return PostmarkWebhooks(options).parse
