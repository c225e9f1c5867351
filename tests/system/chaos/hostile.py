"""Hostile records, as an input like any other: each kind stopped an installation once, and mutated real records."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from aftersend.schemas.event import Feedback
from aftersend.schemas.partitioning import partition_of
from aftersend.sources.registry import REGISTRY
from tests.fuzz.mutation import Mutator
from tests.fuzz.seeds import seeds_of
from tests.system.chaos.installation import Input, Installation

#: What the embedded broker takes as one record batch, less what a batch itself takes.
LARGEST_RECORD = 1_048_400


def tracked(installation: Installation, recipient: str, **fields: Any) -> Input:
    """Return a record of the sender's tracker, on the partition that all of them share here."""
    record = {"event": "delivered", "delivery_id": "spring", "recipient": recipient, "time": time.time(), **fields}
    return Input(
        installation.topics.raw("tracking"),
        0,
        None,
        json.dumps(record, ensure_ascii=False).encode(),
        int(time.time() * 1000),
    )


def raw(installation: Installation, source: str, value: bytes) -> Input:
    return Input(installation.topics.raw(source), 0, None, value, int(time.time() * 1000))


def straight(installation: Installation, **fields: Any) -> Input:
    """Return an event that somebody wrote to the events topic himself, past all that bounds it."""
    event = Feedback(
        **{"event_id": "1", "delivery_id": "spring", "recipient": "hostile@example.org", "type": "failed"} | fields
    )
    return Input(
        installation.topics.events, 0, event.recipient.encode(), msgspec.json.encode(event), int(time.time() * 1000)
    )


def bounce_to_many(recipients: int) -> bytes:
    """Return one notification of a bounce that names many recipients, as SNS would deliver it raw."""
    return json.dumps(
        {
            "notificationType": "Bounce",
            "bounce": {
                "bounceType": "Permanent",
                "bounceSubType": "General",
                "bouncedRecipients": [{"emailAddress": f"{n}@e.org"} for n in range(recipients)],
                "timestamp": "2026-01-27T14:59:38.237Z",
                "feedbackId": "f",
            },
            "mail": {"timestamp": "2026-01-27T14:59:38.237Z", "messageId": "m", "source": "a@b.example"},
        },
        separators=(",", ":"),
    ).encode()


HOSTILE: dict[str, Callable[[Installation], list[Input]]] = {
    "a recipient of 600 kB": lambda i: [tracked(i, "x" * 600_000 + "@example.org")],
    "an address in 600 kB of blanks": lambda i: [tracked(i, " " * 600_000 + "blank@example.org")],
    "20 reasons of 60 kB for one address": lambda i: [
        tracked(i, "long@example.org", event="failed", reason="x" * 60_000, id=f"long-{n}") for n in range(20)
    ],
    "an event id of 530 kB": lambda i: [tracked(i, "id@example.org", id="x" * 530_000)],
    "junk as large as a record may be": lambda i: [raw(i, "tracking", b"x" * LARGEST_RECORD)],
    "200,000 combining marks": lambda i: [tracked(i, "a@" + "\u0301" * 200_000)],
    "28,000 recipients in one record": lambda i: [raw(i, "ses", bounce_to_many(28_000))],
    "a diagnostic of 900 kB on the events topic": lambda i: [straight(i, diagnostic="x" * 900_000)],
    "a recipient of 450 kB on the events topic": lambda i: [straight(i, recipient="x" * 450_000)],
    "an event id of 900 kB on the events topic": lambda i: [straight(i, event_id="x" * 900_000)],
}


def hostile_records(installation: Installation, number: int, seed: int, start: float) -> Iterator[Input]:
    """Yield hostile records on all partitions: nine of ten are mutated ones of every source, one is of a known kind.

    Args:
        installation: whose topics they are for.
        number: of them, about.
        seed: decides what they are.
        start: arrival of the first one, seconds since 1970; the others follow within an hour.
    """
    rng = random.Random(f"{seed} hostile")
    partitions = installation.settings.partitions
    mutated = {name: Mutator(f"{seed} {name}", seeds_of(name)).records(number) for name in REGISTRY}
    kinds = list(HOSTILE.values())
    for at in range(number):
        arrival_ms = int((start + 3600.0 * at / number) * 1000)
        if rng.random() < 0.9:
            source = rng.choice(list(mutated))
            made = [raw(installation, source, next(mutated[source]))]
        else:
            made = rng.choice(kinds)(installation)
        for record in made:
            # The events topic is partitioned by recipient: no other partition may have the row.
            own = record.topic == installation.topics.events
            partition = (
                partition_of(record.key.decode(), partitions) if own and record.key else rng.randrange(partitions)
            )
            yield record._replace(partition=partition, timestamp_ms=arrival_ms)
