"""Writes events as Amazon SES publishes them, in envelopes that SNS signs.

Source: Amazon SES Developer Guide, "Contents of event data that Amazon SES publishes to Amazon SNS".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import msgspec

from aftersend.sources.simulation import sns
from aftersend.sources.simulation.message import TENANT, Message
from aftersend.sources.simulation.replies import ASYNCHRONOUS, DEFERRALS, Reply
from aftersend.sources.simulation.simulator import Simulator, WebhookSimulator
from aftersend.sources.simulation.user_agents import PROXIES, READERS, SCANNERS

_ACCOUNT: Final = "123456789012"
_SENDER: Final = "Brand <news@brand.example>"
_REGION: Final = "eu-central-1"
_LIST: Final = "readers"
_SUBJECT: Final = "Amazon SES Email Event Notification"

#: Type and subtype of a bounce, by the classes of `replies`; "": any other.
_BOUNCES: Final = {
    "InvalidRecipient": ("Permanent", "General"),
    "InactiveMailbox": ("Permanent", "General"),
    "BadDomain": ("Permanent", "NoEmail"),
    "RelayDenied": ("Permanent", "General"),
    "QuotaIssues": ("Transient", "MailboxFull"),
    "ContentRelated": ("Transient", "ContentRejected"),
    "SpamContent": ("Transient", "ContentRejected"),
    "ProhibitedAttachment": ("Transient", "AttachmentRejected"),
    "AutoReply": ("Transient", "General"),
    "Uncategorized": ("Undetermined", "Undetermined"),
    "": ("Transient", "General"),
}
#: By the classes of the deferrals in `replies`; "": any other.
_DELAYS: Final = {
    "SpamBlock": "IPFailure",
    "QuotaIssues": "MailboxFull",
    "BadConnection": "TransientCommunicationFailure",
    "NoAnswerFromHost": "TransientCommunicationFailure",
    "": "RecipientServerError",
}
#: What SES does not send to, by our reasons; it knows no others.
_SUPPRESSIONS: Final = {
    "previously_bounced": "OnAccountSuppressionList",
    "previously_complained": "OnAccountSuppressionList",
    "unsubscribed": "UnsubscribedRecipient",
}

_encode: Final = msgspec.json.Encoder().encode


def write(message: Message, step: str, number: int, at: float) -> bytes | None:
    """Return one event, the `Message` of an envelope; None: SES publishes none of this.

    Args:
        message: what it is about.
        step: a name in `journeys`.
        number: which step of the journey it is, or how many attempts there were before.
        at: when it happened, seconds since 1970.
    """
    writer = _WRITERS.get(step)
    special = writer(message, number, at) if writer is not None else None
    if special is None:
        return None
    name, field, content = special
    return _encode({"eventType": name, "mail": _mail(message), field: content})


def broken(number: int, at: float) -> bytes:
    """Return an event that can't be read, as faulty software before us might make of one."""
    return _encode({"mail": {"messageId": _ident(f"broken {number}"), "timestamp": timestamp(at)}})


def timestamp(at: float) -> str:
    """Return a time (seconds since 1970) as SES and SNS write it."""
    moment = datetime.fromtimestamp(int(at * 1000) / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ident(text: str) -> str:
    """Return an id as SES gives messages and reports, the same for the same text."""
    digits = hashlib.sha256(text.encode()).hexdigest()
    return f"0107{digits[:12]}-{digits[12:20]}-{digits[20:24]}-{digits[24:28]}-{digits[28:32]}-{digits[32:44]}-000000"


def _recipients(message: Message) -> list[str]:
    return [message.person.tracked, *filter(None, [message.companion])]


def _mail(message: Message) -> dict[str, Any]:
    recipients = _recipients(message)
    labels = {"message_type": message.delivery.message_type, "tenant": TENANT}
    if message.attributed:
        labels["delivery_id"] = message.delivery.id
    if message.test:
        labels["test"] = "true"
    ident = _ident(message.ident)
    headers = {
        "From": _SENDER,
        "To": ", ".join(recipients),
        "Subject": message.delivery.subject,
        "MIME-Version": "1.0",
        "Content-Type": 'multipart/alternative; boundary="----=_Part_7307378_1629847660.1516840721503"',
    }
    return {
        "timestamp": timestamp(message.injected_at),
        "source": _SENDER,
        "sourceArn": f"arn:aws:ses:{_REGION}:{_ACCOUNT}:identity/brand.example",
        "sendingAccountId": _ACCOUNT,
        "messageId": ident,
        "destination": recipients,
        "headersTruncated": False,
        "headers": [{"name": name, "value": value} for name, value in headers.items()],
        "commonHeaders": {
            "from": [_SENDER],
            "to": recipients,
            "messageId": ident,
            "subject": message.delivery.subject,
        },
        "tags": {
            "ses:source-tls-version": ["TLSv1.3"],
            "ses:configuration-set": ["aftersend"],
            "ses:source-ip": ["203.0.113.5"],
            "ses:from-domain": ["brand.example"],
            "ses:caller-identity": ["sender"],
            **{name: [value] for name, value in labels.items()},
        },
    }


#: Type of the event, the field that holds what is special about it, and that.
Special = tuple[str, str, dict[str, Any]]


def _send(_message: Message, _number: int, _at: float) -> Special:
    return "Send", "send", {}


def _reject(_message: Message, _number: int, _at: float) -> Special:
    return "Reject", "reject", {"reason": "Bad content"}


def _rendering_failure(_message: Message, _number: int, _at: float) -> Special:
    why = "Attribute 'price' is not present in the rendering data."
    return "Rendering Failure", "failure", {"errorMessage": why, "templateName": "sale"}


def _delivery(message: Message, _number: int, at: float) -> Special:
    content = {
        "timestamp": timestamp(at),
        "processingTimeMillis": max(1, int((at - message.injected_at) * 1000)),
        "recipients": _recipients(message),
        "smtpResponse": f"250 2.0.0 OK {message.ident[:16]} - esmtp",
        "remoteMtaIp": message.person.provider.address,
        "reportingMTA": f"b224-12.smtp-out.{_REGION}.amazonses.example",
    }
    return "Delivery", "delivery", content


def _named(message: Message, reply: Reply, action: str) -> dict[str, str]:
    status = ".".join(map(str, reply.status)) if reply.status else ""
    text = reply.text.format(address=message.person.tracked, domain=message.person.provider.domain, ip="203.0.113.5")
    named = {"emailAddress": message.person.tracked, "action": action}
    if status:
        named["status"] = status
    return named | {"diagnosticCode": " ".join(filter(None, ("smtp;", str(reply.code), status, text)))}


def _delay(message: Message, _number: int, at: float) -> Special:
    reply = DEFERRALS[message.chance(6, len(DEFERRALS))]
    delayed = _named(message, reply, "delayed")
    del delayed["action"]
    content = {
        "timestamp": timestamp(at),
        "delayType": _DELAYS.get(reply.bounce_class, _DELAYS[""]),
        "expirationTime": timestamp(message.injected_at + 14 * 3600),
        "delayedRecipients": [delayed],
        "reportingMTA": f"a8-70.smtp-out.{_REGION}.amazonses.example",
    }
    return "DeliveryDelay", "deliveryDelay", content


def _bounced(message: Message, reply: Reply, kind: tuple[str, str], report: str, at: float) -> Special:
    content = {
        "feedbackId": _ident(f"{message.ident} {report}"),
        "bounceType": kind[0],
        "bounceSubType": kind[1],
        "bouncedRecipients": [_named(message, reply, "failed")],
        "timestamp": timestamp(at),
        "reportingMTA": f"dsn; b224-12.smtp-out.{_REGION}.amazonses.example",
    }
    return "Bounce", "bounce", content


def _bounce(message: Message, number: int, at: float) -> Special:
    reply = message.refusal
    return _bounced(message, reply, _BOUNCES.get(reply.bounce_class, _BOUNCES[""]), f"bounce {number}", at)


def _asynchronous_bounce(message: Message, number: int, at: float) -> Special:
    reply = ASYNCHRONOUS[message.chance(5, len(ASYNCHRONOUS))]
    return _bounced(message, reply, _BOUNCES.get(reply.bounce_class, _BOUNCES[""]), f"later {number}", at)


def _expiration(message: Message, number: int, at: float) -> Special:
    reply = Reply("MessageExpired", 1, 554, (4, 4, 7), "Message expired: unable to deliver in 840 minutes.")
    return _bounced(message, reply, ("Transient", "General"), f"expired {number}", at)


def _not_sent(message: Message, number: int, at: float) -> Special | None:
    subtype = _SUPPRESSIONS.get(message.left_out)
    if subtype is None:
        return None
    reply = Reply("InvalidRecipient", 1, 0, (5, 1, 1), "Amazon SES did not send the message to this address", "")
    name, field, content = _bounced(message, reply, ("Permanent", subtype), f"suppressed {number}", at)
    content["bouncedRecipients"][0]["diagnosticCode"] = f"{reply.text} because it is on the suppression list."
    return name, field, content


def _complained(report: str) -> Callable[[Message, int, float], Special]:
    def complain(message: Message, number: int, at: float) -> Special:
        provider = message.person.provider.provider
        content = {
            "feedbackId": _ident(f"{message.ident} {report} {number}"),
            "complaintSubType": None,
            "complainedRecipients": [{"emailAddress": message.person.tracked}],
            "timestamp": timestamp(at),
            "userAgent": f"{provider}-feedback/1.0".encode("ascii", "replace").decode(),
            "complaintFeedbackType": report,
            "arrivalDate": timestamp(message.injected_at),
        }
        return "Complaint", "complaint", content

    return complain


def _engaged(
    name: str, agents: tuple[str, ...], *, unsubscribe: bool = False
) -> Callable[[Message, int, float], Special]:
    def engage(message: Message, number: int, at: float) -> Special:
        content: dict[str, Any] = {
            "timestamp": timestamp(at),
            # A reader keeps to one device; scanners and proxies come as they come.
            "userAgent": agents[message.chance(0 if agents is READERS else number, len(agents))],
            "ipAddress": f"198.51.100.{message.chance(4, 250) + 1}",
        }
        if name == "Click":
            link = f"https://brand.example/unsubscribe?u={message.ident[:12]}" if unsubscribe else message.delivery.link
            content |= {"link": link, "linkTags": None}
        return name, name.lower(), content

    return engage


def _subscription(source: str, *, out: bool) -> Callable[[Message, int, float], Special]:
    def preferences(*, unsubscribed: bool) -> dict[str, Any]:
        status = "OptOut" if unsubscribed else "OptIn"
        topics = [{"topicName": "news", "subscriptionStatus": status}]
        return {"unsubscribeAll": unsubscribed, "topicSubscriptionStatus": topics}

    def choose(_message: Message, _number: int, at: float) -> Special:
        content = {
            "contactList": _LIST,
            "timestamp": timestamp(at),
            "source": source,
            "newTopicPreferences": preferences(unsubscribed=out),
            "oldTopicPreferences": preferences(unsubscribed=not out),
        }
        return "Subscription", "subscription", content

    return choose


_WRITERS: Final[dict[str, Callable[[Message, int, float], Special | None]]] = {
    "reception": _send,
    "rejection": _reject,
    "delivery": _delivery,
    "deferral": _delay,
    "bounce": _bounce,
    "expiration": _expiration,
    "admin_bounce": _rendering_failure,
    "asynchronous_bounce": _asynchronous_bounce,
    "complaint": _complained("abuse"),
    "opt_out": _complained("opt-out"),
    "not_spam": _complained("not-spam"),
    "open": _engaged("Open", READERS),
    "machine_open": _engaged("Open", PROXIES),
    "click": _engaged("Click", READERS),
    "machine_click": _engaged("Click", SCANNERS),
    "unsubscribe_click": _engaged("Click", READERS, unsubscribe=True),
    "unsubscribe": _subscription("SubscriptionPage", out=True),
    "one_click": _subscription("UnsubscribeHeader", out=True),
    "resubscribe": _subscription("SubscriptionPage", out=False),
    "not_sent": _not_sent,
}


SIMULATOR: Final = Simulator(
    write=write,
    broken=broken,
    tracks=True,
    webhook=WebhookSimulator(
        batch=1,
        key_file="sns-private.pem",
        make_key=sns.make_key,
        signer=partial(sns.signer, subject=_SUBJECT),
        certificate_url=sns.CERTIFICATE_URL,
        certificate_file="sns-certificate.pem",
        demo_share=5,
    ),
)
