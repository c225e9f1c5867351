"""Writes log records as KumoMTA does, complete with what nobody reads."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any, Final

import msgspec

from aftersend.sources.simulation.message import TENANT, Message, rfc3339
from aftersend.sources.simulation.replies import ASYNCHRONOUS, DEFERRALS, Reply
from aftersend.sources.simulation.simulator import Simulator

_NODE: Final = "557f3ad4-2c8c-11ee-976e-782d7e12e173"
_RETURN_PATH: Final = "bounces@mail.brand.example"
_SOURCES: Final = ("203.0.113.5", "203.0.113.6", "203.0.113.7")

#: What has come down as a record and is none.
_BROKEN: Final = (
    b'{"type":"Delivery","id":"1d98076abbbc11ed940250ebf67f93bd","sender":"bounces@mail.brand.ex',
    b"<html><head><title>502 Bad Gateway</title></head></html>",
    '{"type":"Bounce","recipient":"jürgen@webpost.example"}'.encode("latin-1"),
    b'{"type":"Reception","timestamp":"today"}',
)

_encode: Final = msgspec.json.Encoder().encode


def write(message: Message, step: str, attempt: int, at: float) -> bytes | None:
    """Return a log record; None: the log says nothing of such a step.

    Args:
        message: what it is about.
        step: a name in `journeys`.
        attempt: how many attempts there were before.
        at: when it happened, seconds since 1970.
    """
    writer = _WRITERS.get(step)
    if writer is None:
        return None
    record = _base(message, attempt, at)
    writer(record, message, attempt, at)
    return _encode(record)


def broken(number: int, _at: float) -> bytes:
    """Return something that came down as a record and is none."""
    return _BROKEN[number % len(_BROKEN)]


def _base(message: Message, attempt: int, at: float) -> dict[str, Any]:
    person, ident = message.person, message.ident
    provider = person.provider
    source = _SOURCES[message.chance(1, len(_SOURCES))]
    meta: dict[str, Any] = {"tenant": TENANT, "message_type": message.delivery.message_type}
    if message.attributed:
        meta["delivery_id"] = message.delivery.id
    if message.test:
        meta["test"] = True
    campaign = f"{message.delivery.id}:" if message.attributed else ""
    return {
        "type": "",
        "id": ident,
        "sender": _RETURN_PATH,
        "recipient": [person.address, message.companion] if message.companion else person.address,
        "queue": f"{campaign}{TENANT}@{provider.domain}",
        "site": f"ip-{source}->(mx1|mx2).{provider.domain}@smtp_client",
        "size": 30_000 + message.chance(2, 40_000),
        "response": {"code": 250, "enhanced_code": None, "content": "", "command": None},
        "peer_address": {"name": f"mx1.{provider.domain}", "addr": provider.address},
        "timestamp": int(at),
        "created": int(message.injected_at),
        "event_time": rfc3339(at),
        "created_time": rfc3339(message.injected_at),
        "num_attempts": attempt,
        "bounce_classification": "Uncategorized",
        "egress_pool": "pool-a",
        "egress_source": f"ip-{source}",
        "source_address": {"address": f"{source}:{40_000 + message.chance(3, 20_000)}"},
        "feedback_report": None,
        "meta": meta,
        "headers": {"Subject": message.delivery.subject},
        "delivery_protocol": "ESMTP",
        "reception_protocol": "HTTP",
        "nodeid": _NODE,
        "tls_cipher": "TLS_AES_256_GCM_SHA384",
        "tls_protocol_version": "TLSv1.3",
        "tls_peer_subject_name": [f"CN=mx1.{provider.domain}"],
        "provider_name": provider.provider,
        "session_id": _uuid(ident, attempt),
    }


def _uuid(ident: str, salt: int) -> str:
    return f"{ident[:8]}-{ident[8:12]}-4{ident[13:16]}-a{ident[17:20]}-{ident[20:31]}{salt % 16:x}"


def _answer(record: dict[str, Any], message: Message, reply: Reply) -> None:
    status = reply.status
    provider = message.person.provider
    record["response"] = {
        "code": reply.code,
        "enhanced_code": dict(zip(("class", "subject", "detail"), status, strict=True)) if status else None,
        "content": reply.text.format(address=message.person.address, domain=provider.domain, ip=_SOURCES[0]),
        "command": reply.command or None,
    }
    record["bounce_classification"] = reply.bounce_class


def _in_queue(record: dict[str, Any]) -> None:
    """Leave out what only a connection to the recipient's host would tell."""
    for name in ("tls_cipher", "tls_protocol_version", "tls_peer_subject_name", "session_id"):
        del record[name]
    record |= {"site": "", "delivery_protocol": None, "egress_source": None, "source_address": None}


def _reception(record: dict[str, Any], _message: Message, _attempt: int, _at: float) -> None:
    _in_queue(record)
    record |= {"type": "Reception", "egress_pool": None}
    record["peer_address"] = {"name": "app-1.brand.example", "addr": "10.0.4.11"}


def _delivery(record: dict[str, Any], message: Message, _attempt: int, _at: float) -> None:
    record["type"] = "Delivery"
    record["response"] = {
        "code": 250,
        "enhanced_code": {"class": 2, "subject": 0, "detail": 0},
        "content": f"OK queued as {message.ident[4:16].upper()}",
        "command": ".",
    }


def _deferral(record: dict[str, Any], message: Message, attempt: int, _at: float) -> None:
    record["type"] = "TransientFailure"
    _answer(record, message, DEFERRALS[message.chance(attempt, len(DEFERRALS))])


def _delay(record: dict[str, Any], _message: Message, _attempt: int, at: float) -> None:
    _in_queue(record)
    record["type"] = "Delayed"
    content = f"Context: MessageRateThrottle. Next due in 45s at {rfc3339(at + 45)}"
    record["response"] = {"code": 400, "enhanced_code": None, "content": content, "command": None}


def _rebind(record: dict[str, Any], _message: Message, _attempt: int, _at: float) -> None:
    _in_queue(record)
    record["type"] = "AdminRebind"
    record["response"]["content"] = (
        f"Rebound from {record['queue']} to {record['queue']}!relay.brand.example: pool full"
    )


def _bounce(record: dict[str, Any], message: Message, _attempt: int, _at: float) -> None:
    record["type"] = "Bounce"
    _answer(record, message, message.refusal)


def _expiration(record: dict[str, Any], message: Message, _attempt: int, at: float) -> None:
    _in_queue(record)
    record["type"] = "Expiration"
    text = (
        f"Next delivery time would be at {rfc3339(at + 600)} which exceeds the expiry time {rfc3339(at)} "
        "configured via set_scheduling"
    )
    _answer(record, message, Reply("MessageExpired", 1, 551, (5, 4, 7), text, ""))


def _admin_bounce(record: dict[str, Any], message: Message, _attempt: int, _at: float) -> None:
    _in_queue(record)
    record["type"] = "AdminBounce"
    text = "Administrator bounced with reason: wrong price in the subject"
    _answer(record, message, Reply("Uncategorized", 1, 551, (5, 7, 1), text, ""))


def _rejection(record: dict[str, Any], message: Message, _attempt: int, _at: float) -> None:
    """Refused at injection: KumoMTA has no id, queue or headers for it."""
    _in_queue(record)
    record |= {
        "type": "Rejection",
        "id": "",
        "queue": "",
        "size": 0,
        "headers": {},
        "recipient": [message.person.address],
    }
    record["session_id"] = _uuid(message.ident, 0)
    _answer(record, message, Reply("Uncategorized", 1, 552, (5, 3, 4), "message size exceeds limit", "DATA"))


def _incoming(record: dict[str, Any], message: Message, salt: int, at: float) -> None:
    """Make it a record about a message that came in, of which KumoMTA knows what the policy makes out."""
    _in_queue(record)
    record |= {
        "id": f"{message.ident[:28]}{salt:04x}",
        "queue": "mail.brand.example",
        "egress_pool": None,
        "reception_protocol": "ESMTP",
        "num_attempts": 0,
        "created": int(at),
        "created_time": rfc3339(at),
        "headers": {},
    }


def _asynchronous_bounce(record: dict[str, Any], message: Message, _attempt: int, at: float) -> None:
    _incoming(record, message, 0x00B, at)
    record |= {"type": "OOB", "size": 0}
    _answer(record, message, ASYNCHRONOUS[message.chance(5, len(ASYNCHRONOUS))])


def _report(feedback_type: str) -> Callable[[dict[str, Any], Message, int, float], None]:
    def write_report(record: dict[str, Any], message: Message, _attempt: int, at: float) -> None:
        _incoming(record, message, 0xA4F, at)
        domain = message.person.provider.domain
        trace = {"_@_": "\\_/", "recipient": message.person.address} | record["meta"]
        record |= {
            "type": "Feedback",
            "sender": f"feedback@arf.{domain}",
            "recipient": "fbl@brand.example",
            "queue": "brand.example",
            "meta": {},
            "feedback_report": {
                "feedback_type": feedback_type,
                "user_agent": f"{message.person.provider.provider}-feedback/1.0",
                "version": "1",
                "arrival_date": rfc3339(message.injected_at),
                "incidents": None,
                "original_envelope_id": None,
                "original_mail_from": _RETURN_PATH,
                "reporting_mta": {"mta_type": "dns", "name": f"mx1.{domain}"},
                "source_ip": _SOURCES[0],
                "authentication_results": [f"mx1.{domain}; dkim=pass header.d=brand.example"],
                "original_rcpto_to": [f"{message.ident}@{domain}"],  # as a hash, as many a provider does
                "reported_domain": ["brand.example"],
                "reported_uri": [],
                "extensions": {},
                "original_message": (
                    f"From: Brand <news@brand.example>\nX-KumoRef: {b64encode(_encode(trace)).decode()}\n"
                    f"Subject: {message.delivery.subject}\n\n"
                ),
                "supplemental_trace": trace,
            },
        }

    return write_report


_WRITERS: Final[dict[str, Callable[[dict[str, Any], Message, int, float], None]]] = {
    "reception": _reception,
    "delivery": _delivery,
    "deferral": _deferral,
    "delay": _delay,
    "rebind": _rebind,
    "bounce": _bounce,
    "expiration": _expiration,
    "admin_bounce": _admin_bounce,
    "rejection": _rejection,
    "asynchronous_bounce": _asynchronous_bounce,
    "complaint": _report("abuse"),
    "opt_out": _report("opt-out"),
    "not_spam": _report("not-spam"),
}

SIMULATOR: Final = Simulator(write=write, broken=broken, tracks=False)
