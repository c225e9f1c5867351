"""SendGrid's Event Webhook: what each event means for a recipient. See `README.md` beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import msgspec

from aftersend.schemas.event import Feedback
from aftersend.sources.base import Parser, SourceError, SourceOptions, check_keys, readable_part
from aftersend.sources.parsing.address import normalise
from aftersend.sources.parsing.bounce_classes import UNCATEGORIZED, Status, outcome
from aftersend.sources.parsing.bounce_classes import reason as class_of
from aftersend.sources.parsing.event_ids import event_id
from aftersend.sources.parsing.json_records import UNREADABLE, read_values
from aftersend.sources.parsing.machines import is_machine
from aftersend.sources.parsing.metadata import Labels, MetadataReader, label, labels_of_tags, message_type
from aftersend.sources.parsing.smtp_reply import read_reply, spell
from aftersend.sources.providers.sendgrid.payload import SendGridEvent, read_event

NAME: Final = "sendgrid"

#: Longer answers are cut: the raw record keeps them whole, and a row of them stays in memory.
MAX_DIAGNOSTIC: Final = 1000
MAX_DETAIL: Final = 100

BY_REASON: Final = "by reason"
BY_TYPE: Final = "by bounce type"


class SendGridEventRule(NamedTuple):
    """What one type of event becomes."""

    event: str
    #: A canonical type, `BY_REASON`, `BY_TYPE`, or "" for none: nothing happened to a recipient.
    type: str
    why: str


EVENT_RULES: Final = (
    SendGridEventRule("processed", "sent", "SendGrid took the message over and will deliver it"),
    SendGridEventRule("dropped", BY_REASON, "SendGrid did not try to deliver it"),
    SendGridEventRule("delivered", "delivered", "the recipient's host took it over"),
    SendGridEventRule("deferred", "deferred", "will be tried again, for up to 72 hours"),
    SendGridEventRule("bounce", BY_TYPE, "refused, or given up after 72 hours"),
    SendGridEventRule("open", "opened", "the message's images were loaded; by a machine if `sg_machine_open` says so"),
    SendGridEventRule("click", "clicked", "a link was followed"),
    SendGridEventRule("spamreport", "complained", "marked as spam"),
    SendGridEventRule("unsubscribe", "unsubscribed", "from everything, by the subscription tracking's link or header"),
    SendGridEventRule("group_unsubscribe", "unsubscribed", "from one unsubscribe group"),
    SendGridEventRule("group_resubscribe", "resubscribed", "to one unsubscribe group"),
    SendGridEventRule("account_status_change", "", "concerns the sender's account, no recipient"),
)

_TYPE_OF_EVENT: Final = {rule.event: rule.type for rule in EVENT_RULES}


class DropRule(NamedTuple):
    """What one reason for dropping a message means."""

    #: The beginning of SendGrid's `reason`, in lower case.
    reason: str
    type: str
    #: The canonical reason or class.
    why: str


DROP_RULES: Final = (
    DropRule("bounced address", "not_sent", "previously_bounced"),
    DropRule("unsubscribed address", "not_sent", "unsubscribed"),
    DropRule("group unsubscribe", "not_sent", "unsubscribed_from_type"),
    DropRule("spam reporting address", "not_sent", "previously_complained"),
    DropRule("invalid smtpapi header", "failed", "ProtocolErrors"),
    DropRule("invalid", "not_sent", "invalid_address"),
    DropRule("spam content", "rejected", "SpamContent"),
    DropRule("recipient list over package quota", "rejected", "PolicyRelated"),
)

#: SendGrid's bounce classifications by ours (`aftersend.sources.parsing.bounce_classes`); of the others the codes say
#: more.
CLASSIFICATIONS: Final = {
    "invalid address": "InvalidRecipient",
    "content": "ContentRelated",
    "reputation": "SpamRelated",
    "frequency or volume too high": "TransientFailure",
    "frequency/volume": "TransientFailure",
}

#: Types of events that more than the event's name decides.
_DECIDED_BY_FIELDS: Final = frozenset({BY_TYPE, BY_REASON, "deferred", "unsubscribed", "resubscribed"})
_DROPPED: Final = "dropped"
_TEMPORARY: Final = 4
_HARD: Final = frozenset({"hard_bounce", "invalid_address"})
_BY_READERS: Final = frozenset({"opened", "clicked"})

#: Where the part of `sg_message_id` ends that all events of a message share: the rest names the server.
_SERVER_MARKS: Final = (".filter", ".recvd")

_MESSAGE_TYPE_OF_STATS: Final = {"singlesend": "campaign", "automation": "automation"}


class EventWebhook:
    """Turns the bodies of the Event Webhook into events, for an installation's options."""

    __slots__ = ("_metadata", "_read", "_read_metadata", "_unsubscribe_urls")

    def __init__(self, options: SourceOptions) -> None:
        """Prepare for an installation's options.

        Raises:
            ValueError: if the options contradict themselves.
        """
        self._metadata = MetadataReader(options)
        self._unsubscribe_urls = tuple(part.lower() for part in options.unsubscribe_urls)
        self._read: Callable[[bytes], list[SendGridEvent]] = msgspec.json.Decoder(list[SendGridEvent]).decode
        # The sender's arguments lie beside SendGrid's own fields, under any name. They are read in a second pass, which
        # costs less than telling them apart.
        struct: Any = self._metadata.struct
        self._read_metadata: Callable[[bytes], list[Any]] = msgspec.json.Decoder(list[struct]).decode

    def parse(self, raw: bytes) -> Iterable[Feedback]:
        """Return the events of a body: an array of objects (one object, or lines, are read as well).

        Raises:
            SourceError: if it can't be read; if only some of its events can't, after the last of the others.
        """
        try:
            records, metadata = self._read(raw), self._read_metadata(raw)
            events = []
            for record, arguments in zip(records, metadata, strict=True):
                kind = _TYPE_OF_EVENT.get(record.event, "unknown")
                if kind and kind != "unknown":
                    events.append(self._event(record, kind, self._metadata.read(arguments)))
                else:
                    events += self._other(record, self._metadata.read(arguments))
        except (*UNREADABLE, SourceError):
            return self._parse_leniently(raw)
        return events

    def _parse_leniently(self, raw: bytes) -> Iterable[Feedback]:
        """Return the events of a body with something unusual in it, each on its own."""
        values = read_values(raw)
        events: list[Feedback] = []
        problems = []
        for place, value in enumerate(values.items):
            try:
                record = read_event(value)
                found = self._other(record, self._metadata.read_mapping(value))
                if values.repaired:
                    check_keys(found)
            except SourceError as error:
                problems.append(f"event {place}: {error}")
            else:
                events += found
        return readable_part(events, problems)

    def _other(self, record: SendGridEvent, labels: tuple[str, str, str, bool]) -> list[Feedback]:
        """Return the event of any type, if there is one."""
        name = record.event.strip().lower()
        kind = _TYPE_OF_EVENT.get(name, "unknown")
        if not kind:
            return []
        event = self._event(record, kind, labels)
        if kind == "unknown":
            event.detail = record.event[:MAX_DETAIL]
        return [event]

    def _event(self, record: SendGridEvent, kind: str, labels: tuple[str, str, str, bool]) -> Feedback:
        """Return one event. Called for nearly every event, so it is written for speed."""
        spelled = record.email or ""
        recipient = normalise(spelled)
        delivery_id, message, tenant, test = labels
        if record.category or not delivery_id or not message:
            delivery_id, message, tenant, test = self._other_labels(record, labels)
        occurred_at = record.timestamp or 0.0
        diagnostic = record.reason or record.response or ""
        code, status = read_reply(diagnostic, record.status or "") if diagnostic or record.status else (0, None)
        why = detail = ""
        if kind in _DECIDED_BY_FIELDS:
            kind, why, detail = _details(record, kind, code, status)
            if detail == _DROPPED:  # no host was asked: the status is SendGrid's own
                code, status = 0, None
        agent = record.useragent or ""
        url = record.url or ""
        event = Feedback(
            record.sg_event_id or _identify(record),
            delivery_id,
            recipient,
            kind,
            occurred_at,
            NAME,
            why,
            diagnostic if len(diagnostic) <= MAX_DIAGNOSTIC else diagnostic[:MAX_DIAGNOSTIC],
            0.0,  # received_at
            "" if spelled == recipient else spelled,
            message,
            test,
            False,
            False,
            False,
            code,
            "" if status is None else spell(status),
            provider_id=_message_id(record),
            url=url,
            user_agent=agent,
            tenant=tenant,
            ip=record.ip or "",
            detail=detail[:MAX_DETAIL],
        )
        if kind in _BY_READERS:
            by_machine = record.sg_machine_open
            event.machine = is_machine(agent) if by_machine is None else by_machine
            if kind == "clicked":
                lower = url.lower()
                event.unsubscribe_link = any(part in lower for part in self._unsubscribe_urls)
        return event

    def _other_labels(self, record: SendGridEvent, labels: tuple[str, str, str, bool]) -> Labels:
        """Return the labels with what categories and Marketing Campaigns say where the arguments say nothing."""
        delivery_id, message, tenant, test = labels
        if record.category:
            categories = [record.category] if isinstance(record.category, str) else record.category
            tagged = labels_of_tags(self._metadata, categories)
            delivery_id = delivery_id or tagged.delivery_id
            message = message or tagged.message_type
            tenant = tenant or tagged.tenant
            test = test or tagged.test
        if not message and record.mc_stats:
            message = message_type(_MESSAGE_TYPE_OF_STATS.get(record.mc_stats.strip().lower()))
        if not delivery_id:
            newsletter = record.newsletter.newsletter_id if record.newsletter is not None else None
            delivery_id = label(
                "delivery id",
                record.singlesend_id
                or record.mc_auto_step_id
                or record.mc_auto_id
                or record.marketing_campaign_id
                or newsletter,
            )
        return Labels(delivery_id, message, tenant, test)


def _details(record: SendGridEvent, kind: str, code: int, status: Status | None) -> tuple[str, str, str]:
    """Return type, reason and detail of an event whose name alone does not say them."""
    if kind == BY_TYPE:
        return *_bounce(record, code, status), record.bounce_classification or record.type or ""
    if kind == BY_REASON:
        return *_drop(record), _DROPPED
    if kind == "deferred":
        return kind, class_of(None, code, status), ""
    return kind, "", f"group {record.asm_group_id}" if record.asm_group_id else ""


def _bounce(record: SendGridEvent, code: int, status: Status | None) -> tuple[str, str]:
    """Return the type and the class of a bounce.

    SendGrid's own word decides whether the address is to blame, for SendGrid acts by it: after a `bounce` it mails the
    address no more, after a `blocked` it does.
    """
    named = CLASSIFICATIONS.get((record.bounce_classification or "").strip().lower())
    kind, why = outcome(named, code, status)
    bounce_type = (record.type or "").strip().lower()
    if bounce_type == "blocked":
        return ("soft_bounce" if kind in _HARD else kind), why
    if bounce_type == "expired":
        return "soft_bounce", "MessageExpired" if why == UNCATEGORIZED else why
    if not bounce_type and kind in {"rejected", "soft_bounce"} and (why != UNCATEGORIZED or code // 100 == _TEMPORARY):
        return kind, why  # older events, and those of the Test button, say `bounce` of all
    return ("invalid_address" if kind == "invalid_address" else "hard_bounce"), why


def _drop(record: SendGridEvent) -> tuple[str, str]:
    """Return the type and the reason of a message that SendGrid dropped."""
    words = (record.reason or "").strip().lower()
    rule = next((rule for rule in DROP_RULES if words.startswith(rule.reason)), None)
    if rule is None:
        return "rejected", UNCATEGORIZED
    if rule.why == "unsubscribed" and record.asm_group_id:
        return rule.type, "unsubscribed_from_type"
    return rule.type, rule.why


def _message_id(record: SendGridEvent) -> str:
    """Return what all events of a message share: `X-Message-Id` of SendGrid's answer to the sender."""
    ident = record.sg_message_id
    if ident:
        for mark in _SERVER_MARKS:
            found, cut, _ = ident.partition(mark)
            if cut:
                return found
        if not ident.startswith(("filter", "recvd")):  # dropped ones may have the server's name alone
            return ident
    # Its own header has it as well: `<id@ismtpd….sendgrid.net>`.
    return (record.smtp_id or "").strip("<> ").partition("@")[0]


def _identify(record: SendGridEvent) -> str:
    return event_id(
        f"{record.event}|{record.email}|{int((record.timestamp or 0.0) * 1000)}|{record.sg_message_id or ''}"
        f"|{record.smtp_id or ''}|{record.url or ''}|{record.ip or ''}|{record.useragent or ''}"
        f"|{record.type or ''}|{record.reason or ''}|{record.response or ''}|{record.attempt or ''}"
        f"|{record.asm_group_id or ''}"
    )


def parser(options: SourceOptions) -> Parser:
    """Return the parser for an installation's options."""
    return EventWebhook(options).parse
