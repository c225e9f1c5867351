"""CPU time that reading Amazon SES's events takes: SNS's envelopes in, canonical events out.

Messages as event publishing makes them, some 3 KB with headers and tags. Run: `python benchmarks/parse_ses.py`.
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

MESSAGES = 10_000
ROUNDS = 5
AGENT = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
AT = "2026-03-05T10:56:52.123Z"
KINDS: tuple[tuple[int, str, str, dict[str, Any]], ...] = (
    (38, "Send", "send", {}),
    (36, "Delivery", "delivery", {"smtpResponse": "250 2.0.0 OK 1757069812 m143si2210036ioe.159", "timestamp": AT}),
    (15, "Open", "open", {"timestamp": AT, "userAgent": AGENT, "ipAddress": "198.51.100.7"}),
    (
        5,
        "Click",
        "click",
        {"timestamp": AT, "userAgent": AGENT, "ipAddress": "198.51.100.7", "link": "https://b.example/"},
    ),
    (3, "DeliveryDelay", "deliveryDelay", {"timestamp": AT, "delayType": "MailboxFull"}),
    (3, "Bounce", "bounce", {"timestamp": AT, "bounceType": "Permanent", "bounceSubType": "General"}),
)


def make(seed: int = 11) -> list[bytes]:
    """Return the messages."""
    rng = random.Random(seed)  # noqa: S311 - the same messages each time
    weights = [weight for weight, *_ in KINDS]
    messages = []
    for _ in range(MESSAGES):
        user = rng.randrange(100_000)
        address = f"user{user}@example{user % 97}.com"
        ident = f"0100018f{rng.getrandbits(128):032x}-000000"
        _, name, field, detail = rng.choices(KINDS, weights)[0]
        report = {"emailAddress": address, "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 No such user here"}
        names = {"delivery": "recipients", "bounce": "bouncedRecipients", "deliveryDelay": "delayedRecipients"}
        if field in names:
            detail = detail | {names[field]: [address if field == "delivery" else report]}
        headers = {"From": "Brand <news@brand.example>", "To": address, "Subject": "Our autumn sale starts today"}
        headers |= {"MIME-Version": "1.0", "Content-Type": "multipart/alternative; boundary=XBoundary"}
        event = {
            "eventType": name,
            field: detail,
            "mail": {
                "timestamp": AT,
                "source": "Brand <news@brand.example>",
                "sourceArn": "arn:aws:ses:us-east-1:123456789012:identity/brand.example",
                "sendingAccountId": "123456789012",
                "messageId": ident,
                "destination": [address],
                "headersTruncated": False,
                "headers": [{"name": key, "value": value} for key, value in headers.items()],
                "commonHeaders": {"from": ["Brand <news@brand.example>"], "to": [address], "messageId": ident},
                "tags": {
                    "ses:operation": ["SendRawEmail"],
                    "ses:configuration-set": ["marketing"],
                    "ses:source-ip": ["192.0.2.0"],
                    "ses:from-domain": ["brand.example"],
                    "ses:caller-identity": ["mailer"],
                    "delivery_id": [f"c{rng.randrange(20)}"],
                    "tenant": ["brand"],
                },
            },
        }
        envelope = {
            "Type": "Notification",
            "MessageId": f"{rng.getrandbits(128):032x}",
            "TopicArn": "arn:aws:sns:us-east-1:123456789012:ses-events",
            "Subject": "Amazon SES Email Event Notification",
            "Message": msgspec.json.encode(event).decode(),
            "Timestamp": AT,
            "SignatureVersion": "1",
            "Signature": "K27nwTcT0qTPKEQP3noOWV21gDGB6XnLXSwN2i" * 9,
            "SigningCertURL": "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0a1b2c3d.pem",
            "UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=arn:aws:sns:x",
        }
        messages.append(msgspec.json.encode(envelope))
    return messages


def best(parse: Callable[[bytes], Iterable[object]], messages: list[bytes]) -> float:
    """Return the CPU seconds that all messages take, in the best round."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for message in messages:
            list(parse(message))
        rounds.append(time.process_time() - start)
    return min(rounds)


def main() -> None:
    """Measure and print."""
    messages = make()
    parse = REGISTRY["ses"].parser(SourceOptions())
    assert len(messages) == sum(len(list(parse(message))) for message in messages)
    seconds = best(parse, messages)
    size = sum(map(len, messages)) / len(messages)
    print(f"{len(messages)} messages of {size:.0f} bytes; best of {ROUNDS} rounds")
    each = seconds / len(messages)
    print(f"parse: {each * 1e6:.2f} µs of CPU a message; {1 / each:,.0f} messages per CPU second")


if __name__ == "__main__":
    main()
