"""CPU time that reading SendGrid's Event Webhook takes: bodies in, canonical events out.

Bodies of 100 events of some 500 bytes, in the shares of a campaign: deliveries and what readers do make up most of
it. Run: `python benchmarks/parse_sendgrid.py`.
"""

import random
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parent.parent))

from aftersend.sources.base import SourceOptions
from aftersend.sources.registry import REGISTRY

BODIES = 100
EVENTS = 100
ROUNDS = 5
AGENT = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
READER: dict[str, Any] = {"useragent": AGENT, "ip": "198.51.100.7", "sg_content_type": "html"}
KINDS: tuple[tuple[int, dict[str, Any]], ...] = (
    (38, {"event": "processed", "send_at": 0, "pool": {"id": 17, "name": "marketing"}}),
    (36, {"event": "delivered", "response": "250 2.0.0 OK 1757069812 m143si2210036ioe.159 - gsmtp", "tls": 1}),
    (14, {"event": "open", "sg_machine_open": False, **READER}),
    (5, {"event": "click", "url": "https://shop.brand.example/autumn?utm_source=mail", "url_offset": {"index": 3}}),
    (3, {"event": "deferred", "response": "451 4.7.1 Greylisting in action, come back later", "attempt": "3"}),
    (2, {"event": "bounce", "type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 No such user here"}),
    (1, {"event": "dropped", "reason": "Bounced Address"}),
    (1, {"event": "unsubscribe"}),
)


def make(seed: int = 11) -> list[bytes]:
    """Return the bodies."""
    rng = random.Random(seed)  # noqa: S311 - the same bodies each time
    weights = [weight for weight, _ in KINDS]
    bodies = []
    for _ in range(BODIES):
        events = []
        for _ in range(EVENTS):
            user = rng.randrange(100_000)
            ident = f"{rng.getrandbits(128):032x}"
            events.append(
                {
                    "email": f"user{user}@example{user % 97}.com",
                    "timestamp": 1757069812 + rng.randrange(3600),
                    "smtp-id": f"<{ident[:22]}@geopod-ismtpd-3>",
                    "sg_event_id": f"ZGVsaXZlcmVkLTAt{ident[:28]}",
                    "sg_message_id": f"{ident[:22]}.recvd-7b8d9cfb4c-x2kqm-1-66D9A1B2-{user:X}.0",
                    "category": ["autumn", "newsletter"],
                    "sg_template_id": "d-0a1b2c3d4e5f60718293a4b5c6d7e8f9",
                    "sg_template_name": "Autumn sale",
                    "delivery_id": f"c{rng.randrange(20)}",
                    "tenant": "brand",
                    "message_type": "campaign",
                    **rng.choices([kind for _, kind in KINDS], weights)[0],
                }
            )
        bodies.append(msgspec.json.encode(events))
    return bodies


def best(parse: Callable[[bytes], Iterable[object]], bodies: list[bytes]) -> float:
    """Return the CPU seconds that all bodies take, in the best round."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for body in bodies:
            list(parse(body))
        rounds.append(time.process_time() - start)
    return min(rounds)


def main() -> None:
    """Measure and print."""
    bodies = make()
    parse = REGISTRY["sendgrid"].parser(SourceOptions())
    events = sum(len(list(parse(body))) for body in bodies)
    assert events == BODIES * EVENTS
    seconds = best(parse, bodies)
    size = sum(map(len, bodies)) / events
    print(f"{events} events of {size:.0f} bytes, {EVENTS} a body; best of {ROUNDS} rounds")
    print(f"parse: {seconds / events * 1e6:.2f} µs of CPU an event; {events / seconds:,.0f} events per CPU second")


if __name__ == "__main__":
    main()
