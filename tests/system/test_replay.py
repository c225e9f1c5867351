"""The raw topics are the whole truth: played again, in order of arrival, they make the same rows, KPIs and contacts."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from typing import Any, Final

import msgspec
import pytest

from aftersend.config.installation import parsers
from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.schemas.partitioning import partition_of
from aftersend.sources.base import SourceError
from tests.patience import PATIENCE
from tests.system.chaos.installation import OWN_CLOCK, Input, Installation
from tests.system.chaos.load import raw_records

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
#: Of each of two campaigns.
RECIPIENTS: Final = 700


def arrival(record: Input) -> int:
    return record.timestamp_ms


def life(installation: Installation, start: float) -> Iterator[Input]:
    """Yield two campaigns, three days apart, to the same people, and the clock's ticks: through expiries.

    As with keyed producers, all that a topic has of one person lies in one partition.
    """
    topics, partitions, people = installation.topics, installation.settings.partitions, People(installation)
    campaigns = [
        list(raw_records(topics, RECIPIENTS, seed, start + days * DAY, partitions)) for seed, days in ((1, 0), (2, 3))
    ]
    times = [start + hours * HOUR for hours in (0.5, 47, 49, 84, 132)]
    ticks = [Input(topics.clock, 0, None, json.dumps({"tick": at}).encode(), int(at * 1000)) for at in times]
    for record in merge(*(sorted(records, key=arrival) for records in (*campaigns, ticks)), key=arrival):
        yield (
            record._replace(partition=partition_of(min(people.of(record), default=""), partitions))
            if (record.topic != topics.clock)
            else record
        )


class People:
    """Tells whom raw records are about.

    Args:
        installation: whose raw topics they lie on.
    """

    def __init__(self, installation: Installation) -> None:
        self._parsers = {installation.topics.raw(name): parse for name, parse in parsers(installation.settings).items()}

    def of(self, record: Input) -> set[str]:
        try:
            return {event.recipient for event in self._parsers[record.topic](record.value)}
        except SourceError:
            return set()


def rounds(installation: Installation, records: Iterable[Input]) -> list[list[Input]]:
    """Return records in groups that are to be folded one after the other; within one, order does not matter.

    Workers take partitions side by side, so of two records about one person, on two topics, that are written within a
    moment, either may be folded first. In life there are seconds between them; here, a round. Ticks have their own.
    """
    people, result = People(installation), list[list[Input]]()
    first = 0
    last: dict[str, tuple[int, str]] = {}
    for record in records:
        if record.topic == installation.topics.clock:
            result.append([record])
            first, last = len(result), {}
            continue
        concerned = people.of(record)
        before = [last[person] for person in concerned if person in last]
        number = max([first, *(n if topic == record.topic else n + 1 for n, topic in before)])
        last.update(dict.fromkeys(concerned, (number, record.topic)))
        while number >= len(result):
            result.append([])
        result[number].append(record)
    return result


async def feed(installation: Installation, records: Iterable[Input]) -> int:
    """Write records, and let each round be folded before the next; return how many."""
    written = 0
    for some in rounds(installation, records):
        written += await installation.write(some)
        if some[0].topic == installation.topics.clock:
            await folded(installation, some[0].timestamp_ms / 1000)
        else:
            await installation.await_caught_up()
    return written


async def folded(installation: Installation, tick: float) -> None:
    """Wait until every partition has folded a tick."""
    reached: dict[int, float] = {}

    def apply(_topic: str, partition: int, records: list[FetchedRecord]) -> None:
        for record in records:
            if record.key == b"@clock":
                reached[partition] = msgspec.json.decode(record.value or b"")["tick"]

    deadline = time.monotonic() + PATIENCE
    partitions = range(installation.settings.partitions)
    while len(reached) < len(partitions) or min(reached.values()) < tick:
        assert time.monotonic() < deadline, f"only {reached} of a tick at {tick}"
        await asyncio.sleep(0.1)
        places = [(installation.topics.kpis, partition) for partition in partitions]
        await changelog.read(installation.settings.kafka_options(), dict.fromkeys(places), apply)


async def recorded(installation: Installation) -> list[Input]:
    """Return all that lies on the raw topics, in the order of arrival."""
    names = [*installation.raw_topics, installation.topics.clock]
    places = [(topic, partition) for topic in names[:-1] for partition in range(installation.settings.partitions)]
    return sorted(await installation.recorded([*places, (names[-1], 0)]), key=arrival)


async def tables(installation: Installation) -> dict[str, dict[str, Any]]:
    """Return rows, contacts and KPIs as the changelogs have them, by their keys; topics without their prefix."""
    topics = installation.topics
    found: dict[str, dict[str, Any]] = {"rows": {}, "contacts": {}, "kpis": {}}
    of_topic = {topics.status: "rows", topics.contacts: "contacts", topics.kpis: "kpis"}

    def apply(topic: str, partition: int, records: list[FetchedRecord]) -> None:
        table = found[of_topic[topic]]
        for record in records:
            key = f"{partition} {(record.key or b'').decode()}"
            if record.value is None:
                table.pop(key, None)
            else:
                table[key] = msgspec.json.decode(record.value.replace(f"{topics.prefix}.".encode(), b""))
                # Where a record lies is another matter: within a round any of them may be written first.
                if table is found["rows"]:
                    table[key].get("cause", {}).pop("offset", None)
                if table is found["kpis"]:
                    # Counts batches, which fall as they fall; and the arrival of what was folded first, of a round
                    # whose records have no order.
                    for name in ("version", "started_at"):
                        table[key].pop(name, None)

    places = [(topic, partition) for topic in of_topic for partition in range(installation.settings.partitions)]
    await changelog.read(installation.settings.kafka_options(), dict.fromkeys(places), apply)
    return found


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_the_raw_topics_again_into_an_empty_system(install: Callable[..., Installation], unique: str) -> None:
    # Today's time would be the clock's; it is part of what is recorded.
    first = install(**OWN_CLOCK)
    await first.start(2)
    start = float(int(time.time() - 10 * DAY))
    written = await feed(first, life(first, start))
    report = await first.finish()
    records = await recorded(first)
    assert written == len(records) > 4_000
    assert report.unreadable

    folder = first.folder / "again"
    folder.mkdir()
    second = Installation(first.kafka, first.redis, folder, f"{unique}again", **OWN_CLOCK)
    topic_of = {first.topics.raw(name): second.topics.raw(name) for name in (*first.sources, "clock")}
    try:
        await second.start(1)
        await feed(second, (record._replace(topic=topic_of[record.topic]) for record in records))
        again = await second.finish()
    finally:
        second.close()

    assert report.kpis == again.kpis
    assert report.decisions == again.decisions
    assert sum(counted["expired"] for counted in report.kpis.values()) > 10
    once, twice = await tables(first), await tables(second)
    for name in once:
        assert once[name].keys() == twice[name].keys(), name
        different = {key: (value, twice[name][key]) for key, value in once[name].items() if value != twice[name][key]}
        assert {} == different, name
    assert len(once["rows"]) > 2 * RECIPIENTS
    assert {"0", "1", "2", "3"} == {key.partition(" ")[0] for key in once["rows"]}
