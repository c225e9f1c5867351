"""What is asked of a cluster, asked of a real one."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from aftersend.engine import admin, changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.errors import KafkaUnusableError
from aftersend.sandbox.embedded import EmbeddedKafka
from aftersend.schemas.topics import TopicLayout, Topics, layouts


def options(kafka: EmbeddedKafka) -> dict[str, Any]:
    return {"bootstrap_servers": [kafka.bootstrap]}


async def test_topics_are_created_once_and_corrected(kafka: EmbeddedKafka, unique: str) -> None:
    topics = Topics(unique)
    wanted = layouts(topics, ("kumomta",), 2)

    first = await admin.apply_topics(options(kafka), wanted, -1)
    second = await admin.apply_topics(options(kafka), wanted, -1)
    third = await admin.apply_topics(options(kafka), layouts(topics, ("kumomta",), 2, raw_retention_days=1.0), -1)

    assert {"created"} == {one.result for one in first}
    assert {"unchanged"} == {one.result for one in second}
    updated = {one.name: one.changed for one in third if one.result == "updated"}
    assert {
        topics.raw("kumomta"),
        topics.clock,
        topics.events,
        topics.dead_letters,
        topics.control,
    } == updated.keys()
    assert {"retention.ms": ("7776000000", "86400000")} == updated[topics.events]
    cluster = await admin.inspect(options(kafka))
    assert [] == admin.problems(cluster, topics, wanted)
    assert cluster.id


async def test_what_others_have_set_stays(kafka: EmbeddedKafka, unique: str) -> None:
    theirs = TopicLayout(unique, 1, {"cleanup.policy": "delete", "segment.bytes": "20000000"}, "")
    ours = TopicLayout(unique, 1, {"cleanup.policy": "compact"}, "")

    await admin.apply_topics(options(kafka), [theirs], -1)
    await admin.apply_topics(options(kafka), [ours], -1)

    (found,) = await admin.show_topics(options(kafka), [unique, f"{unique}-is-not-there"])
    assert {"cleanup.policy": "compact", "segment.bytes": "20000000"} == found.config
    assert (1, 1) == (found.partitions, found.replicas)


async def test_topics_of_others_are_left_alone(kafka: EmbeddedKafka, unique: str) -> None:
    theirs = TopicLayout(unique, 3, {"cleanup.policy": "delete"}, "")
    ours = TopicLayout(unique, 1, {"cleanup.policy": "compact"}, "")
    await admin.apply_topics(options(kafka), [theirs], -1)

    (done,) = await admin.apply_topics(options(kafka), [ours], -1, frozenset({unique}))

    assert "unchanged" == done.result
    (found,) = await admin.show_topics(options(kafka), [unique])
    assert ({"cleanup.policy": "delete"}, 3) == (found.config, found.partitions)


async def test_another_number_of_partitions_changes_nothing(kafka: EmbeddedKafka, unique: str) -> None:
    there = TopicLayout(f"{unique}.b", 2, {}, "")
    await admin.apply_topics(options(kafka), [there], -1)
    wanted = [TopicLayout(f"{unique}.a", 4, {}, ""), TopicLayout(f"{unique}.b", 4, {}, "")]

    with pytest.raises(KafkaUnusableError, match=r"has 2 partitions, AFTERSEND_PARTITIONS wants 4"):
        await admin.apply_topics(options(kafka), wanted, -1)

    assert [f"{unique}.b"] == [t.name for t in await admin.show_topics(options(kafka), [w.name for w in wanted])]


@pytest.mark.parametrize(
    "layout, replicas",
    [(TopicLayout("a b", 1, {}, ""), -1), (TopicLayout("c", 1, {"no.such.setting": "1"}, ""), -1)],
    ids=["name", "setting"],
)
async def test_what_kafka_refuses(layout: TopicLayout, replicas: int, kafka: EmbeddedKafka, unique: str) -> None:
    named = TopicLayout(unique + layout.name, layout.partitions, layout.config, "")

    with pytest.raises(KafkaUnusableError, match=f"topic {named.name} could not be created"):
        await admin.apply_topics(options(kafka), [named], replicas)


async def test_more_replicas_than_brokers(kafka: EmbeddedKafka, unique: str) -> None:
    with pytest.raises(KafkaUnusableError, match="ReplicationFactor"):
        await admin.apply_topics(options(kafka), [TopicLayout(unique, 1, {}, "")], 3)


async def test_a_cluster_with_transactions(kafka: EmbeddedKafka, unique: str) -> None:
    await admin.require_transactions(options(kafka), unique, 60.0)


async def test_transactions_longer_than_the_broker_allows(kafka: EmbeddedKafka, unique: str) -> None:
    with pytest.raises(KafkaUnusableError, match="lower AFTERSEND_TRANSACTION_TIMEOUT"):
        await admin.require_transactions(options(kafka), unique, 100_000.0)


@pytest.mark.slow
async def test_a_cluster_without_transactions(tmp_path: Path, kafka: EmbeddedKafka) -> None:
    """One broker that wants its transaction log on three: the one way to be without that a real broker has."""
    properties = {"transaction.state.log.replication.factor": "3", "transaction.state.log.min.isr": "2"}
    with (
        EmbeddedKafka(tmp_path, properties=properties, heap="256m") as poor,
        pytest.raises(KafkaUnusableError, match="gives no transactional producer id"),
    ):
        await admin.require_transactions(options(poor), "app", 60.0, timeout_seconds=3.0)


async def test_a_changelog_is_read_to_where_it_ended(kafka: EmbeddedKafka, unique: str) -> None:
    """What comes while it is read stays out, so that two topics are read as of one moment."""
    await admin.apply_topics(options(kafka), [TopicLayout(unique, 1, {}, "")], -1)
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()
    try:
        for number in range(10):
            await producer.send_and_wait(unique, b"%d" % number, partition=0)
        writing = asyncio.create_task(_write_on(producer, unique))
        seen: list[bytes | None] = []

        def apply(_topic: str, _partition: int, records: list[FetchedRecord]) -> None:
            seen.extend(record.value for record in records)

        ends = await changelog.read(options(kafka), {(unique, 0): None}, apply)
        first = len(seen)
        more = await changelog.read(options(kafka), ends, apply)
        writing.cancel()
    finally:
        await producer.stop()

    assert ends[unique, 0] == first
    assert more[unique, 0] == len(seen)
    assert [b"%d" % number for number in range(len(seen))] == seen


async def _write_on(producer: AIOKafkaProducer, topic: str) -> None:
    number = 10
    while True:
        await producer.send_and_wait(topic, b"%d" % number, partition=0)
        number += 1
