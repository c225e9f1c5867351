"""KumoMTA's log records for the tests of the sources."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from aftersend.schemas.event import Feedback
from aftersend.sources.base import SourceOptions
from aftersend.sources.mta.kumomta.parser import KumoLog

#: A record as KumoMTA writes it, with every field that it may have.
RECORD: dict[str, Any] = {
    "type": "Delivery",
    "id": "1d98076abbbc11ed940250ebf67f93bd",
    "sender": "bounces@mail.brand.example",
    "recipient": "user@example.com",
    "queue": "autumn:brand@example.com",
    "site": "unspecified->(mx1|mx2).example.com@smtp_client",
    "size": 48317,
    "response": {
        "code": 250,
        "enhanced_code": {"class": 2, "subject": 0, "detail": 0},
        "content": "OK ids=8a5475ccbbc611eda12250ebf67f93bd",
        "command": ".",
    },
    "peer_address": {"name": "mx1.example.com", "addr": "203.0.113.17"},
    "timestamp": 1757675281,
    "created": 1757675270,
    "event_time": "2025-09-12T11:08:01.440526026Z",
    "created_time": "2025-09-12T11:07:50.110000000Z",
    "num_attempts": 0,
    "bounce_classification": "Uncategorized",
    "egress_pool": "pool0",
    "egress_source": "source2",
    "source_address": {"address": "10.0.0.1:53210", "protocol": "socks5", "server": "192.168.1.1:5000"},
    "feedback_report": None,
    "meta": {"delivery_id": "c17", "tenant": "brand", "message_type": "campaign"},
    "headers": {"Subject": "Our autumn sale starts today"},
    "delivery_protocol": "ESMTP",
    "reception_protocol": "HTTP",
    "nodeid": "557f3ad4-2c8c-11ee-976e-782d7e12e173",
    "tls_cipher": "TLS_AES_256_GCM_SHA384",
    "tls_protocol_version": "TLSv1.3",
    "tls_peer_subject_name": ["C=US", "CN=mx1.example.com"],
    "session_id": "9bcd689e-23d9-41b7-a015-63a1382f8b57",
}

Build = Callable[..., dict[str, Any]]
Parse = Callable[..., list[Feedback]]


@pytest.fixture
def record() -> Build:
    """Return what makes a record with some fields changed, or left out where they are given as `...`."""

    def build(**changes: object) -> dict[str, Any]:
        return {key: value for key, value in (RECORD | changes).items() if value is not ...}

    return build


@pytest.fixture
def parse(record: Build) -> Parse:
    """Return what parses a record with some fields changed."""

    def parse_record(options: SourceOptions | None = None, **changes: object) -> list[Feedback]:
        raw = json.dumps(record(**changes)).encode()
        return list(KumoLog(options or SourceOptions()).parse(raw))

    return parse_record


@pytest.fixture
def parse_one(parse: Parse) -> Callable[..., Feedback]:
    """Return what parses a record with some fields changed into the one event that it must give."""

    def parse_to_one(options: SourceOptions | None = None, **changes: object) -> Feedback:
        (event,) = parse(options, **changes)
        return event

    return parse_to_one
