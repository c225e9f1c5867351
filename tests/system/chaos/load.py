"""Input for chaos: raw records of a simulated campaign, and canonical events that come to the events topic directly."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

import msgspec

from aftersend.sandbox.simulation.campaign import simulate_campaign
from aftersend.schemas.event import Feedback
from aftersend.schemas.partitioning import partition_of
from aftersend.schemas.topics import Topics
from tests.system.chaos.installation import Input

_encode: Final = msgspec.json.Encoder(order="deterministic").encode

#: How a message may fare, each step one event.
_FATES: Final = (
    ("sent", "delivered", "opened", "clicked", "opened"),
    ("sent", "deferred", "delivered", "opened", "complained"),
    ("sent", "deferred", "deferred", "soft_bounce"),
    ("sent", "delivered", "hard_bounce"),
    ("sent", "hard_bounce", "delivered"),
    ("sent", "hard_bounce", "released"),
    ("delivered", "sent", "clicked", "unsubscribed", "resubscribed"),
    ("sent", "delivered"),
    ("sent",),
)
#: Messages whose events overtake each other.
_MIXED: Final = 400


def raw_records(topics: Topics, recipients: int, seed: int, start: float, partitions: int) -> Iterator[Input]:
    """Yield the raw records of a simulated campaign, spread over the partitions of their topics."""
    rng = random.Random(f"{seed} raw")
    for record in simulate_campaign(recipients, 5, seed, start, duration=3600.0):
        yield Input(topics.raw(record.source), rng.randrange(partitions), record.key, record.value, record.timestamp_ms)


def direct_events(topics: Topics, number: int, seed: int, start: float, partitions: int) -> Iterator[Input]:
    """Yield canonical events, out of order and some of them twice, as another producer of that topic might."""
    rng = random.Random(f"{seed} direct")
    window: list[Feedback] = []
    messages = yielded = 0
    while yielded < number:
        while len(window) < _MIXED:
            messages += 1
            window += _message(rng, messages)
        rng.shuffle(window)
        for _ in range(_MIXED // 4):
            event = window.pop()
            yielded += 1
            yield Input(
                topics.events,
                partition_of(event.recipient, partitions),
                event.recipient.encode(),
                _encode(event),
                int((start + yielded / 1000) * 1000),
            )


def declarations(topics: Topics, number: int, seed: int, start: float, partitions: int) -> Iterator[Input]:
    """Yield what a sender declares of the deliveries of the direct events, again and again, on any partition.

    Windows short enough that rows expire meanwhile, and statistics that are closed at times.
    """
    rng = random.Random(f"{seed} declarations")
    topic = topics.raw("sender")
    for at in range(number):
        record: dict[str, str | float] = {
            "type": "delivery",
            "delivery_id": f"direct-{rng.randrange(6)}",
            "name": f"Number {at}",
        }
        for field, values in (
            ("validity_hours", (None, 0.001, 0.5, 48.0)),
            ("statistics_update_period_days", (None, None, None, 0.0001, 1.0)),
            ("start", (None, start, start - 86_400.0)),
        ):
            if (value := rng.choice(values)) is not None:
                record[field] = value
        yield Input(topic, rng.randrange(partitions), None, _encode(record), int((start + at) * 1000))


def _message(rng: random.Random, number: int) -> Iterator[Feedback]:
    recipient = f"person{rng.randrange(1, 2 + number // 3)}@example.org"
    delivery = f"direct-{rng.randrange(6)}"
    for step, kind in enumerate(rng.choice(_FATES)):
        event = Feedback(
            f"{number}-{step}", delivery, recipient, kind, reason="InvalidRecipient" if "bounce" in kind else ""
        )
        yield from [event] * (2 if rng.random() < 0.05 else 1)
