"""Writes events as SendGrid's Event Webhook sends them, and signs them as it does.

Sources: Twilio SendGrid, "Event Webhook Reference" and "Getting Started with the Event Webhook Security Features".
"""

from __future__ import annotations

import hashlib
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aftersend.sources.simulation.keys import pem, read_pem
from aftersend.sources.simulation.message import TENANT, Message
from aftersend.sources.simulation.replies import ASYNCHRONOUS, DEFERRALS, Reply
from aftersend.sources.simulation.simulator import KeyMaterial, Request, Sign, Simulator, WebhookSimulator
from aftersend.sources.simulation.user_agents import PROXIES, READERS, SCANNERS

_IPS: Final = ("198.51.100.17", "198.51.100.18", "198.51.100.19")
_GROUP: Final = 4711

#: SendGrid's classification of a bounce, by the classes of `replies`; "": any other.
_CLASSIFICATIONS: Final = {
    "InvalidRecipient": "Invalid Address",
    "InactiveMailbox": "Invalid Address",
    "QuotaIssues": "Mailbox Unavailable",
    "BadDomain": "Technical Failure",
    "DNSFailure": "Technical Failure",
    "NoAnswerFromHost": "Technical Failure",
    "BadConnection": "Technical Failure",
    "SpamBlock": "Reputation",
    "SpamRelated": "Reputation",
    "PolicyRelated": "Reputation",
    "AuthenticationFailed": "Reputation",
    "SpamContent": "Content",
    "ContentRelated": "Content",
    "VirusRelated": "Content",
    "": "Unclassified",
}
#: Classes after which SendGrid suppresses the address; after any other it goes on mailing it.
_SUPPRESSED: Final = frozenset({"InvalidRecipient", "InactiveMailbox", "BadDomain"})
#: Why a message is dropped, by our reasons for not sending; SendGrid knows no others.
_DROPS: Final = {
    "previously_bounced": "Bounced Address",
    "previously_complained": "Spam Reporting Address",
    "unsubscribed": "Unsubscribed Address",
    "unsubscribed_from_type": "Group Unsubscribe",
    "invalid_address": "Invalid",
    "incorrect_address": "Invalid",
}

_encode: Final = msgspec.json.Encoder().encode


def write(message: Message, step: str, number: int, at: float) -> bytes | None:
    """Return one event, an element of a request's array; None: SendGrid sends none of this.

    Args:
        message: what it is about.
        step: a name in `journeys`.
        number: which step of the journey it is, or how many attempts there were before.
        at: when it happened, seconds since 1970.
    """
    writer = _WRITERS.get(step)
    if writer is None:
        return None
    event: dict[str, Any] = {
        "email": message.person.tracked,
        "timestamp": int(at),
        "smtp-id": f"<{message.ident[:22]}@ismtpd0006p1sjc2.sendgrid.net>",
        "category": ["aftersend", message.delivery.message_type],
        "message_type": message.delivery.message_type,
        "tenant": TENANT,
    }
    if message.attributed:
        event["delivery_id"] = message.delivery.id
    if message.test:
        event["test"] = "true"
    if not writer(event, message, number):
        return None
    event["sg_event_id"] = _ident(f"{message.ident} {step} {number}")
    event["sg_message_id"] = f"{_ident(message.ident)}.filter0077p1las1-21536-5717FC48-2.0"
    return _encode(event)


def broken(number: int, at: float) -> bytes:
    """Return an event that can't be read, as faulty software before us might make of one."""
    event = {
        "email": f"nobody{number}@bigmail.example",
        "timestamp": int(at),
        "sg_event_id": _ident(f"broken {number}"),
    }
    return _encode(event)


def _ident(text: str) -> str:
    """Return an id of 22 characters, the same for the same text."""
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:16]).decode().rstrip("=")


def _answer(reply: Reply, message: Message) -> tuple[str, str]:
    """Return a host's answer, and its status."""
    status = ".".join(map(str, reply.status)) if reply.status else ""
    text = reply.text.format(address=message.person.address, domain=message.person.provider.domain, ip=_IPS[0])
    return " ".join(filter(None, (str(reply.code), status, text))), status


def _processed(event: dict[str, Any], _message: Message, _number: int) -> bool:
    event["event"] = "processed"
    return True


def _delivered(event: dict[str, Any], message: Message, number: int) -> bool:
    event |= {
        "event": "delivered",
        "response": f"250 2.0.0 OK {event['timestamp']} {message.ident[:16]} - esmtp",
        "ip": _IPS[message.chance(1, len(_IPS))],
        "tls": 1,
    }
    if number:
        event["attempt"] = str(number + 1)
    return True


def _deferred(event: dict[str, Any], message: Message, number: int) -> bool:
    answer, status = _answer(DEFERRALS[message.chance(6, len(DEFERRALS))], message)
    event |= {
        "event": "deferred",
        "response": answer,
        "status": status,
        "attempt": str(number + 1),
        "ip": _IPS[message.chance(1, len(_IPS))],
    }
    return True


def _refused(event: dict[str, Any], message: Message, reply: Reply) -> bool:
    answer, status = _answer(reply, message)
    event |= {
        "event": "bounce",
        "type": "bounce" if reply.bounce_class in _SUPPRESSED else "blocked",
        "bounce_classification": _CLASSIFICATIONS.get(reply.bounce_class, _CLASSIFICATIONS[""]),
        "reason": answer,
        "status": status,
        "ip": _IPS[message.chance(1, len(_IPS))],
        "tls": 1,
    }
    return True


def _bounce(event: dict[str, Any], message: Message, _number: int) -> bool:
    return _refused(event, message, message.refusal)


def _asynchronous_bounce(event: dict[str, Any], message: Message, _number: int) -> bool:
    return _refused(event, message, ASYNCHRONOUS[message.chance(5, len(ASYNCHRONOUS))])


def _expiration(event: dict[str, Any], _message: Message, _number: int) -> bool:
    event |= {
        "event": "bounce",
        "type": "blocked",
        "bounce_classification": "Technical Failure",
        "reason": "unable to get mx info: failed to get IPs from PTR record: lookup <nil>: unrecognized address",
        "status": "",
    }
    return True


def _dropped(reason: str) -> Callable[[dict[str, Any], Message, int], bool]:
    def drop(event: dict[str, Any], _message: Message, _number: int) -> bool:
        event |= {"event": "dropped", "reason": reason, "status": "5.0.0"}
        return True

    return drop


def _not_sent(event: dict[str, Any], message: Message, number: int) -> bool:
    reason = _DROPS.get(message.left_out)
    return reason is not None and _dropped(reason)(event, message, number)


def _opened(event: dict[str, Any], message: Message, number: int, agents: tuple[str, ...], *, machine: bool) -> None:
    # A reader keeps to one device; scanners and proxies come as they come.
    event |= {
        "useragent": agents[message.chance(0 if agents is READERS else number, len(agents))],
        "ip": f"198.51.100.{message.chance(4, 250) + 1}",
        "sg_machine_open": machine,
    }


def _open(event: dict[str, Any], message: Message, number: int) -> bool:
    event["event"] = "open"
    _opened(event, message, number, READERS, machine=False)
    event["sg_content_type"] = "html"
    return True


def _machine_open(event: dict[str, Any], message: Message, number: int) -> bool:
    event["event"] = "open"
    _opened(event, message, number, PROXIES, machine=True)
    event["sg_content_type"] = "html"
    return True


def _click(agents: tuple[str, ...], *, unsubscribe: bool = False) -> Callable[[dict[str, Any], Message, int], bool]:
    def click(event: dict[str, Any], message: Message, number: int) -> bool:
        event["event"] = "click"
        _opened(event, message, number, agents, machine=False)
        del event["sg_machine_open"]  # SendGrid says it of opens only
        link = f"https://brand.example/unsubscribe?u={message.ident[:12]}" if unsubscribe else message.delivery.link
        event |= {"url": link, "url_offset": {"index": 0, "type": "html"}}
        return True

    return click


def _simple(name: str, **more: Any) -> Callable[[dict[str, Any], Message, int], bool]:
    def write_simple(event: dict[str, Any], _message: Message, _number: int) -> bool:
        event |= {"event": name, **more}
        return True

    return write_simple


_WRITERS: Final[dict[str, Callable[[dict[str, Any], Message, int], bool]]] = {
    "reception": _processed,
    "rejection": _dropped("Invalid SMTPAPI header"),
    "delivery": _delivered,
    "deferral": _deferred,
    "bounce": _bounce,
    "expiration": _expiration,
    "admin_bounce": _dropped("Spam Content"),
    "asynchronous_bounce": _asynchronous_bounce,
    "complaint": _simple("spamreport"),
    "opt_out": _simple("unsubscribe"),
    "open": _open,
    "machine_open": _machine_open,
    "click": _click(READERS),
    "machine_click": _click(SCANNERS),
    "unsubscribe_click": _click(READERS, unsubscribe=True),
    "unsubscribe": _simple("group_unsubscribe", asm_group_id=_GROUP),
    "one_click": _simple("unsubscribe"),
    "resubscribe": _simple("group_resubscribe", asm_group_id=_GROUP),
    "not_sent": _not_sent,
}


def make_key() -> KeyMaterial:
    """Make a key on the curve P-256."""
    key = generate_private_key(SECP256R1())
    shown = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return KeyMaterial(pem(key), b64encode(shown).decode())


def signer(private: bytes) -> Sign:
    """Return what signs with a key (PEM).

    Raises:
        ValueError: if it is none on the curve P-256.
    """
    key = read_pem(private)
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise ValueError("no private key on the curve P-256, which SendGrid signs with")  # noqa: TRY004 - what is wrong is a file

    def sign(events: list[bytes]) -> Request:
        # SendGrid's bodies end with a line break, which is signed too.
        body = b"[" + b",\r\n".join(events) + b"]\r\n"
        at = str(int(time.time()))
        signature = key.sign(at.encode() + body, ECDSA(SHA256()))
        headers = {
            "Content-Type": "application/json;charset=utf-8",
            "User-Agent": "SendGrid Event API",
            "X-Twilio-Email-Event-Webhook-Signature": b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": at,
        }
        return Request(headers, body, len(events))

    return sign


SIMULATOR: Final = Simulator(
    write=write,
    broken=broken,
    tracks=True,
    webhook=WebhookSimulator(
        batch=1000, key_file="sendgrid-private.pem", make_key=make_key, signer=signer, demo_share=20
    ),
)
