"""A backlog of several topics gives the same rows whichever topic is read first (`docs/domain.md §2.4`)."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from typing import Final

import msgspec

from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.schemas.event import Feedback
from aftersend.schemas.partitioning import partition_of
from tests.system.chaos.installation import Input, Installation

PEOPLE: Final = 60
GAP_MS: Final = 20_000


def terminal_events(installation: Installation, rng: random.Random, start_ms: int) -> list[tuple[str, list[Input]]]:
    """Return for each person the status that arrived first, and an unsubscribe and a complaint on two raw topics."""
    people = []
    for number in range(PEOPLE):
        recipient = f"person{number}@example.org"
        at = {"unsubscribed": start_ms + number, "complained": start_ms + number}
        first, second = rng.sample(["unsubscribed", "complained"], 2)
        at[second] += GAP_MS
        unsubscribe: dict[str, object] = {
            "event": "unsubscribe",
            "delivery_id": "d",
            "recipient": recipient,
            "id": f"u{number}",
        }
        complaint: dict[str, object] = {
            "type": "Feedback",
            "id": f"c{number}",
            "recipient": recipient,
            "timestamp": at["complained"] // 1000,
            "meta": {"delivery_id": "d"},
            "feedback_report": {"feedback_type": "abuse", "original_rcpto_to": [recipient]},
        }
        records = [
            record(installation, "tracking", unsubscribe, at["unsubscribed"], rng),
            record(installation, "kumomta", complaint, at["complained"], rng),
        ]
        people.append((first, records))
    return people


def record(
    installation: Installation, source: str, content: dict[str, object], at_ms: int, rng: random.Random
) -> Input:
    partition = rng.randrange(installation.settings.partitions)
    return Input(installation.topics.raw(source), partition, None, json.dumps(content).encode(), at_ms)


async def statuses(installation: Installation) -> dict[str, str]:
    """Return the status of each recipient."""
    found: dict[str, str] = {}

    def take(_topic: str, _partition: int, records: list[FetchedRecord]) -> None:
        for one in records:
            if one.value is not None:
                row = msgspec.json.decode(one.value)
                found[row["recipient"]] = row["status"]

    topics = installation.topics
    partitions = {(topics.status, p): None for p in range(installation.settings.partitions)}
    await changelog.read(installation.settings.kafka_options(), partitions, take)
    return found


async def test_of_two_terminal_statuses_in_a_backlog_the_one_that_arrived_first_stays(
    install: Callable[..., Installation],
) -> None:
    installation = install()
    await installation.apply_topics()
    rng = random.Random(7)
    people = terminal_events(installation, rng, int(time.time() * 1000) - 60_000)
    records = [one for _, both in people for one in both]
    rng.shuffle(records)
    # As a backlog lies there: each partition in the order of arrival.
    records.sort(key=lambda one: (one.topic, one.partition, one.timestamp_ms))
    await installation.write(records)
    await installation.start(2)
    await installation.await_caught_up()

    expected = {f"person{number}@example.org": first for number, (first, _) in enumerate(people)}
    assert expected == await statuses(installation)
    await installation.finish()


async def test_whatever_order_events_are_written_in_the_rows_are_the_same(install: Callable[..., Installation]) -> None:
    """Straight to the events topic, in three orders, for three deliveries."""
    installation = install()
    await installation.start(1)
    rng = random.Random(11)
    start = time.time() - 3600.0
    kinds = ["sent", "deferred", "delivered", "opened", "clicked", "unsubscribed", "complained", "hard_bounce"]
    drawn = [
        (f"person{number}@example.org", kind, start + rng.randrange(100), f"{number}-{place}")
        for number in range(40)
        for place, kind in enumerate(rng.choices(kinds, k=6))
    ]
    for delivery in ("first", "second", "third"):
        rng.shuffle(drawn)
        await installation.write(
            Input(
                installation.topics.events,
                partition_of(recipient, installation.settings.partitions),
                recipient.encode(),
                msgspec.json.encode(Feedback(event_id, delivery, recipient, kind, received_at=at)),
                int(time.time() * 1000),
            )
            for recipient, kind, at, event_id in [*drawn, *drawn[:20]]
        )
    await installation.await_caught_up()
    rows: dict[str, list[dict[str, object]]] = {}

    def take(_topic: str, _partition: int, records: list[FetchedRecord]) -> None:
        for one in records:
            row = msgspec.json.decode(one.value or b"{}")
            rows.setdefault(row.pop("delivery_id"), []).append(row)

    options, partitions = installation.settings.kafka_options(), range(installation.settings.partitions)
    await changelog.read(options, {(installation.topics.status, p): None for p in partitions}, take)
    last = {name: {row["recipient"]: without_place(row) for row in of} for name, of in rows.items()}
    assert last["first"] == last["second"] == last["third"]
    await installation.finish()


def without_place(row: dict[str, object]) -> dict[str, object]:
    """Return a row without the place of its last event's record."""
    cause = row["cause"]
    assert isinstance(cause, dict)
    return row | {"cause": {name: value for name, value in cause.items() if name in {"event_id", "kind"}}}
