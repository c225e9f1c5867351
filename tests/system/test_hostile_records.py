"""One record of a stranger stops nobody: each of these was accepted once, and stopped an installation for good.

Every test writes honest records before, beside and after the hostile ones, on the same partition, and compares every
honest number with the reference in the end.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from aftersend.engine import changelog
from aftersend.schemas.event import Feedback
from tests.system.chaos.installation import Input, Installation

Install = Callable[..., Installation]

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


@pytest.fixture(params=HOSTILE, ids=list(HOSTILE))
def hostile(request: pytest.FixtureRequest) -> Callable[[Installation], list[Input]]:
    return HOSTILE[request.param]


async def dead_letters(installation: Installation) -> list[Any]:
    found: list[Any] = []
    await changelog.read(
        installation.settings.kafka_options(),
        {(installation.topics.dead_letters, p): None for p in range(installation.settings.partitions)},
        lambda _topic, _partition, records: found.extend(records),
    )
    return found


async def test_a_hostile_record_holds_nobody_up(
    install: Install, hostile: Callable[[Installation], list[Input]]
) -> None:
    installation = install(partitions=1)
    (worker,) = await installation.start()
    honest = [tracked(installation, f"honest{n}@example.org") for n in range(30)]
    await installation.write([*honest[:10], *hostile(installation), *honest[10:20]])
    await installation.await_caught_up()
    await installation.write(honest[20:])

    report = await installation.finish()

    assert [0] == worker.exit_codes
    assert 30 <= report.rows
