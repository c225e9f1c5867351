"""Writes records as Postmark posts them, with its basic auth credentials.

Source: Postmark, "Webhooks": delivery, bounce, spam complaint, open tracking, click and subscription change webhook.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from aftersend.sources.signing.credentials import basic
from aftersend.sources.simulation.message import TENANT, Message
from aftersend.sources.simulation.replies import ASYNCHRONOUS, DEFERRALS, Reply
from aftersend.sources.simulation.simulator import KeyMaterial, Request, Sign, Simulator, WebhookSimulator
from aftersend.sources.simulation.user_agents import PROXIES, READERS, SCANNERS

_SERVER: Final = 23
_SENDER: Final = "news@brand.example"
_ENCODING_DIGITS: Final = 15  # of hexadecimal: numbers of bounces fit into 63 bits

#: Type and type code of a bounce, by the classes of `replies`; "": any other.
_BOUNCES: Final = {
    "InvalidRecipient": ("HardBounce", 1),
    "InactiveMailbox": ("HardBounce", 1),
    "BadDomain": ("HardBounce", 1),
    "DNSFailure": ("DnsError", 256),
    "SpamBlock": ("Blocked", 100006),
    "SpamContent": ("SpamNotification", 512),
    "SpamRelated": ("SpamNotification", 512),
    "VirusRelated": ("VirusNotification", 8192),
    "AuthenticationFailed": ("DMARCPolicy", 100009),
    "AutoReply": ("AutoResponder", 64),
    "ChallengeResponse": ("ChallengeVerification", 16384),
    "Subscribe": ("Subscribe", 32),
    "Unsubscribe": ("Unsubscribe", 16),
    "Uncategorized": ("Unknown", 2048),
    "": ("SoftBounce", 4096),
}
#: Why Postmark sends nothing, by our reasons; it reports no others.
_NOT_SENT: Final = {"stopped": ("ManuallyDeactivated", 100002)}

_encode: Final = msgspec.json.Encoder().encode


def write(message: Message, step: str, number: int, at: float) -> bytes | None:
    """Return one record, the body of a request; None: Postmark sends none of this.

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
    metadata = {"message_type": message.delivery.message_type, "tenant": TENANT}
    if message.attributed:
        metadata["delivery_id"] = message.delivery.id
    if message.test:
        metadata["test"] = "true"
    common = {
        "MessageID": _guid(message.ident),
        "MessageStream": "broadcast" if message.delivery.message_type == "campaign" else "outbound",
        "ServerID": _SERVER,
        "Tag": message.delivery.message_type,
        "Metadata": metadata,
    }
    return _encode(special | common)


def broken(number: int, at: float) -> bytes:
    """Return a record that can't be read, as faulty software before us might make of one."""
    return _encode({"MessageID": _guid(f"{number:032x}"), "Recipient": "x@bigmail.example", "DeliveredAt": _time(at)})


def _time(at: float) -> str:
    """Return a time (seconds since 1970) as Postmark writes it, in tenths of microseconds."""
    moment = datetime.fromtimestamp(int(at * 1_000_000) / 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}0Z"


def _guid(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}"


def _number(text: str) -> int:
    """Return a number as Postmark gives bounces, the same for the same text."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:_ENCODING_DIGITS], 16)


def _delivery(message: Message, _number_of: int, at: float) -> dict[str, Any]:
    return {
        "RecordType": "Delivery",
        "Recipient": message.person.tracked,
        "DeliveredAt": _time(at),
        "Details": f"smtp;250 2.0.0 OK {message.ident[:16]} - esmtp",
    }


def _bounced(
    message: Message, kind: tuple[str, int], details: str, salt: str, at: float, record: str = "Bounce"
) -> dict[str, Any]:
    return {
        "RecordType": record,
        "ID": _number(f"{message.ident} {salt}"),
        "Type": kind[0],
        "TypeCode": kind[1],
        "Name": kind[0],
        "Description": f"The message was handled as {kind[0]}.",
        "Details": details,
        "Email": message.person.tracked,
        "From": _SENDER,
        "BouncedAt": _time(at),
        "DumpAvailable": True,
        "Inactive": kind[0] in {"HardBounce", "SpamComplaint"},
        "CanActivate": kind[0] != "SpamComplaint",
        "Subject": message.delivery.subject,
    }


def _answer(message: Message, reply: Reply) -> str:
    status = ".".join(map(str, reply.status)) if reply.status else ""
    text = reply.text.format(address=message.person.tracked, domain=message.person.provider.domain, ip="203.0.113.5")
    return "smtp;" + " ".join(filter(None, (str(reply.code), status, text)))


def _refused(message: Message, reply: Reply, salt: str, at: float) -> dict[str, Any]:
    kind = _BOUNCES.get(reply.bounce_class, _BOUNCES[""])
    return _bounced(message, kind, _answer(message, reply), salt, at)


def _deferral(message: Message, number: int, at: float) -> dict[str, Any]:
    reply = DEFERRALS[message.chance(6, len(DEFERRALS))]
    return _bounced(message, ("Transient", 2), _answer(message, reply), f"delayed {number}", at)


def _bounce(message: Message, number: int, at: float) -> dict[str, Any]:
    return _refused(message, message.refusal, f"bounce {number}", at)


def _asynchronous_bounce(message: Message, number: int, at: float) -> dict[str, Any]:
    return _refused(message, ASYNCHRONOUS[message.chance(5, len(ASYNCHRONOUS))], f"later {number}", at)


def _expiration(message: Message, number: int, at: float) -> dict[str, Any]:
    reply = Reply("MessageExpired", 1, 451, (4, 4, 7), "Delivery time expired")
    return _refused(message, reply, f"expired {number}", at)


def _typed(kind: tuple[str, int], details: str = "", record: str = "Bounce") -> Writer:
    def write_typed(message: Message, number: int, at: float) -> dict[str, Any]:
        return _bounced(message, kind, details, f"{kind[0]} {number}", at, record)

    return write_typed


def _not_sent(message: Message, number: int, at: float) -> dict[str, Any] | None:
    kind = _NOT_SENT.get(message.left_out)
    return None if kind is None else _bounced(message, kind, "", f"not sent {number}", at)


def _engaged(record: str, agents: tuple[str, ...], *, unsubscribe: bool = False) -> Writer:
    def engage(message: Message, number: int, at: float) -> dict[str, Any]:
        event: dict[str, Any] = {
            "RecordType": record,
            "Recipient": message.person.tracked,
            "ReceivedAt": _time(at),
            "Platform": "Desktop",
            # A reader keeps to one device; scanners and proxies come as they come.
            "UserAgent": agents[message.chance(0 if agents is READERS else number, len(agents))],
            "Geo": {"IP": f"198.51.100.{message.chance(4, 250) + 1}"},
        }
        if record == "Open":
            return event | {"FirstOpen": True, "ReadSeconds": 5}
        link = f"https://brand.example/unsubscribe?u={message.ident[:12]}" if unsubscribe else message.delivery.link
        return event | {"ClickLocation": "HTML", "OriginalLink": link}

    return engage


def _subscription(*, suppressed: bool) -> Writer:
    def change(message: Message, _number_of: int, at: float) -> dict[str, Any]:
        return {
            "RecordType": "SubscriptionChange",
            "Recipient": message.person.tracked,
            "ChangedAt": _time(at),
            "Origin": "Recipient",
            "SuppressSending": suppressed,
            "SuppressionReason": "ManualSuppression" if suppressed else None,
        }

    return change


Writer = Callable[[Message, int, float], dict[str, Any] | None]

_WRITERS: Final[dict[str, Writer]] = {
    "rejection": _typed(("SMTPApiError", 100007), "501 5.5.4 bad header"),
    "delivery": _delivery,
    "deferral": _deferral,
    "bounce": _bounce,
    "expiration": _expiration,
    "admin_bounce": _typed(("TemplateRenderingFailed", 100010), "Attribute 'price' is missing"),
    "asynchronous_bounce": _asynchronous_bounce,
    "complaint": _typed(("SpamComplaint", 100001), record="SpamComplaint"),
    "opt_out": _typed(("Unsubscribe", 16)),
    "open": _engaged("Open", READERS),
    "machine_open": _engaged("Open", PROXIES),
    "click": _engaged("Click", READERS),
    "machine_click": _engaged("Click", SCANNERS),
    "unsubscribe_click": _engaged("Click", READERS, unsubscribe=True),
    "unsubscribe": _subscription(suppressed=True),
    "one_click": _subscription(suppressed=True),
    "resubscribe": _subscription(suppressed=False),
    "not_sent": _not_sent,
}


def make_key() -> KeyMaterial:
    """Make credentials."""
    secret = f"aftersend:{secrets.token_urlsafe(24)}"
    return KeyMaterial(secret.encode(), secret)


def signer(private: bytes) -> Sign:
    """Return what shows credentials (`user:password`).

    Raises:
        ValueError: if they are none.
    """
    secret = private.decode("utf-8", "replace").strip()
    if ":" not in secret or "\n" in secret:
        raise ValueError("no credentials (`user:password`), which Postmark shows")
    headers = {"Content-Type": "application/json", "User-Agent": "Postmark", **basic(secret)}

    def sign(events: list[bytes]) -> Request:
        (event,) = events  # Postmark posts one record at a time
        return Request(headers, event, 1)

    return sign


SIMULATOR: Final = Simulator(
    write=write,
    broken=broken,
    tracks=True,
    webhook=WebhookSimulator(batch=1, key_file="postmark-credentials", make_key=make_key, signer=signer, demo_share=5),
)
