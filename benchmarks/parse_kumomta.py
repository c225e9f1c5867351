"""CPU time that reading KumoMTA's log takes: bytes of a log record in, canonical events out.

The records are made like those of the engines' benchmark: 1.2 KB, four of five of them receptions and deliveries. Run:
`python benchmarks/parse_kumomta.py`.
"""

import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parent.parent))

from aftersend.sources.base import SourceOptions
from aftersend.sources.registry import REGISTRY

RECORDS = 2_000
ROUNDS = 100
BASE: dict[str, Any] = {
    "type": "Delivery",
    "id": "",
    "sender": "bounces+c17@mail.brand.example",
    "recipient": "",
    "queue": "campaign17:brand@example.com",
    "site": "unspecified->(example-mx1.example.com|example-mx2.example.com)@smtp_client",
    "size": 48317,
    "response": {
        "code": 250,
        "enhanced_code": {"class": 2, "subject": 0, "detail": 0},
        "content": "OK ids=8a5475ccbbc611eda12250ebf67f93bd",
        "command": ".",
    },
    "peer_address": {"name": "example-mx1.example.com", "addr": "203.0.113.17"},
    "timestamp": 1757069812,
    "created": 1757069790,
    "event_time": "2025-09-05T10:56:52.123456789Z",
    "created_time": "2025-09-05T10:56:30.110000000Z",
    "num_attempts": 1,
    "bounce_classification": "Uncategorized",
    "egress_pool": "pool-a",
    "egress_source": "ip-203-0-113-5",
    "source_address": {"address": "203.0.113.5:41234"},
    "feedback_report": None,
    "meta": {"delivery_id": "c17", "tenant": "brand", "message_type": "campaign"},
    "headers": {"Subject": "Our autumn sale starts today"},
    "delivery_protocol": "ESMTP",
    "reception_protocol": "HTTP",
    "nodeid": "557f3ad4-2c8c-11ee-976e-782d7e12e173",
    "tls_cipher": "TLS_AES_256_GCM_SHA384",
    "tls_protocol_version": "TLSv1.3",
    "tls_peer_subject_name": ["CN=example-mx1.example.com"],
    "provider_name": "example",
    "session_id": "0a1b2c3d",
}
CHAINS = (
    (70, ("Reception", "Delivery")),
    (12, ("Reception", "TransientFailure", "Delivery")),
    (10, ("Reception", "Bounce")),
    (3, ("Reception", "Delivery", "Feedback")),
)


def make(count: int, seed: int = 11) -> list[bytes]:
    """Return so many log records."""
    rng = random.Random(seed)  # noqa: S311 - the same records each time
    records: list[bytes] = []
    user = 0
    while len(records) < count:
        user += 1
        meta = {**BASE["meta"], "delivery_id": f"c{rng.randrange(20)}"}
        ident = f"{rng.getrandbits(128):032x}"
        for step, kind in enumerate(rng.choices([c for _, c in CHAINS], [weight for weight, _ in CHAINS])[0]):
            code = {"Bounce": rng.choices((550, 541), (7, 3))[0], "TransientFailure": 451}.get(kind, 250)
            record = BASE | {
                "type": kind,
                "id": ident,
                "recipient": f"user{user}@example{user % 97}.com",
                "timestamp": BASE["timestamp"] + step,
                "num_attempts": step,
                "meta": meta,
                "response": BASE["response"] | {"code": code},
            }
            records.append(msgspec.json.encode(record))
    rng.shuffle(records)
    return records[:count]


def microseconds(parse: Callable[[bytes], object], records: list[bytes]) -> list[float]:
    """Return the CPU time for each record, round by round."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for record in records:
            parse(record)
        rounds.append((time.process_time() - start) / len(records) * 1e6)
    return sorted(rounds)


def main() -> None:
    """Measure and print."""
    records = make(RECORDS)
    parse = REGISTRY["kumomta"].parser(SourceOptions())
    assert len(records) == sum(len(list(parse(record))) for record in records)
    size = statistics.mean(map(len, records))
    decode = microseconds(msgspec.json.Decoder(msgspec.Raw).decode, records)
    rounds = microseconds(parse, records)
    print(f"{len(records)} records of {size:.0f} bytes, {ROUNDS} rounds")
    print(f"reading over the JSON alone: {statistics.median(decode):.2f} µs of CPU a record (best {decode[0]:.2f})")
    median = statistics.median(rounds)
    print(f"parse: {median:.2f} µs of CPU a record (best {rounds[0]:.2f}); {1e6 / median:,.0f} records per CPU second")


if __name__ == "__main__":
    main()
