"""What an event of Amazon SES says of each of its recipients, by the event's type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from aftersend.sources.base import SourceError
from aftersend.sources.parsing import lenient
from aftersend.sources.parsing.arf import TYPE_OF_FEEDBACK, UNLISTED_FEEDBACK
from aftersend.sources.parsing.bounce_classes import Status, outcome
from aftersend.sources.parsing.bounce_classes import reason as class_of
from aftersend.sources.parsing.smtp_reply import read_reply
from aftersend.sources.providers.ses.payload import Bounce, Delay, Mail, Recipient, SesEvent, Subscription
from aftersend.sources.providers.ses.rules import BY_CODES, CLASS_OF_DELAY, RULE_OF_BOUNCE, key_of

MAX_DETAIL: Final = 100

_SUPPRESSED: Final = "onaccountsuppressionlist"


class Reading(NamedTuple):
    """What a notification says of one recipient."""

    recipient: str
    type: str
    occurred_at: float
    reason: str = ""
    diagnostic: str = ""
    code: int = 0
    status: Status | None = None
    detail: str = ""


def destination(mail: Mail) -> list[str]:
    """Return all recipients of a message; one that nothing says, if there is none."""
    return distinct(lenient.text(item) for item in lenient.sequence(mail.destination))


def distinct(addresses: Iterable[str]) -> list[str]:
    """Return each address once, in their order; one that nothing says, if there is none."""
    return list(dict.fromkeys(filter(None, addresses))) or [""]


def _named(recipients: list[Recipient | None] | None, mail: Mail | None) -> Iterator[Recipient]:
    """Yield the recipients that a report names; if none, all of the message, where it had only one."""
    named = [one for one in recipients or () if one is not None and lenient.text(one.email_address)]
    if named:
        yield from named
        return
    everybody = destination(mail or Mail())
    yield Recipient(email_address=everybody[0] if len(everybody) == 1 else "")


def _bounces(event: SesEvent) -> Iterator[Reading]:
    bounce = event.bounce or Bounce()
    kind, subtype = lenient.text(bounce.bounce_type), lenient.text(bounce.bounce_sub_type)
    rule = RULE_OF_BOUNCE.get((key_of(kind), key_of(subtype))) or RULE_OF_BOUNCE.get((key_of(kind), ""))
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
        yield Reading(lenient.text(one.email_address), becomes, at, why, diagnostic, code, status, detail)


def _complaints(event: SesEvent) -> Iterator[Reading]:
    complaint = event.complaint
    if complaint is None:
        raise SourceError("the event has no `complaint`")
    report = lenient.text(complaint.complaint_feedback_type).strip().lower()
    subtype = lenient.text(complaint.complaint_sub_type)
    kind = TYPE_OF_FEEDBACK.get(report, UNLISTED_FEEDBACK)
    why, detail = report, subtype
    if key_of(subtype) == _SUPPRESSED:
        kind, why = "not_sent", "previously_complained"
    if not kind:
        return
    at = lenient.seconds(complaint.timestamp) or lenient.seconds(complaint.arrival_date)
    # The user agent is that of the feedback loop.
    loop = lenient.text(complaint.user_agent)
    for one in _named(complaint.complained_recipients, event.mail):
        yield Reading(lenient.text(one.email_address), kind, at, why, loop, detail=detail[:MAX_DETAIL])


def _deliveries(event: SesEvent) -> Iterator[Reading]:
    delivery = event.delivery
    if delivery is None:
        raise SourceError("the event has no `delivery`")
    at = lenient.seconds(delivery.timestamp)
    answer = lenient.text(delivery.smtp_response)
    code, status = read_reply(answer)
    recipients = [lenient.text(item) for item in lenient.sequence(delivery.recipients)]
    for to in distinct(recipients) if any(recipients) else destination(event.mail or Mail()):
        yield Reading(to, "delivered", at, "", answer, code, status)


def _delays(event: SesEvent) -> Iterator[Reading]:
    delay = event.delivery_delay or Delay()
    kind = lenient.text(delay.delay_type)
    at = lenient.seconds(delay.timestamp)
    for one in _named(delay.delayed_recipients, event.mail):
        diagnostic, code, status = _answer(one)
        why = class_of(CLASS_OF_DELAY.get(key_of(kind)), code, status)
        yield Reading(lenient.text(one.email_address), "deferred", at, why, diagnostic, code, status, kind[:MAX_DETAIL])


def _rejections(event: SesEvent) -> Iterator[Reading]:
    mail = event.mail or Mail()
    at = lenient.seconds(mail.timestamp)
    words = lenient.text(event.reject.reason) if event.reject is not None else ""
    for to in destination(mail):
        yield Reading(to, "rejected", at, "VirusRelated", words)


def _failures(event: SesEvent) -> Iterator[Reading]:
    mail = event.mail or Mail()
    at = lenient.seconds(mail.timestamp)
    words = lenient.text(event.failure.error_message) if event.failure is not None else ""
    template = lenient.text(event.failure.template_name) if event.failure is not None else ""
    for to in destination(mail):
        yield Reading(to, "failed", at, "RenderingFailure", words, detail=template[:MAX_DETAIL])


def _choices(event: SesEvent) -> Iterator[Reading]:
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
    for to in destination(mail):
        yield Reading(to, kind, at, diagnostic=", ".join(topics), detail=(source or "Subscription")[:MAX_DETAIL])


def _wanted(preferences: Any) -> tuple[bool, dict[str, str]]:
    """Return whether a contact wants nothing at all, and what it wants of each topic, in lower case."""
    if preferences is None:
        return False, {}
    topics = {
        lenient.text(topic.topic_name): key_of(lenient.text(topic.subscription_status))
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


#: By the event's type as it is looked up: what returns a reading for each recipient that the event names.
READERS: Final[dict[str, Callable[[SesEvent], Iterable[Reading]]]] = {
    "bounce": _bounces,
    "complaint": _complaints,
    "delivery": _deliveries,
    "deliverydelay": _delays,
    "reject": _rejections,
    "renderingfailure": _failures,
    "subscription": _choices,
}
