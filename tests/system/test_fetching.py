"""How much a real broker gives at once to a consumer that limits it by topic."""

from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from aftersend.engine import admin
from aftersend.engine.aiokafka.records import FetchOptions
from aftersend.sandbox.embedded import EmbeddedKafka
from aftersend.schemas.topics import TopicLayout
from tests.patience import PATIENCE

#: Bytes of a record, of the limited topic's share of a fetch, and of any other's.
RECORD, SMALL, LARGE = 10_000, 100_000, 400_000
RECORDS = 60


async def first_fetch(consumer: Any, topics: list[str]) -> dict[str, int]:
    """Return how many records each topic gave in answer to one request."""
    fetched = await consumer.getmany(timeout_ms=int(PATIENCE * 1000))
    assert fetched
    return {topic: len(fetched.get(TopicPartition(topic, 0), ())) for topic in topics}


async def test_a_topic_gives_no_more_at_once_than_its_limit(kafka: EmbeddedKafka, unique: str) -> None:
    options = {"bootstrap_servers": [kafka.bootstrap]}
    limited, free = f"{unique}.limited", f"{unique}.free"
    await admin.apply_topics(options, [TopicLayout(name, 1, {}, "") for name in (limited, free)], -1)
    async with AIOKafkaProducer(**options, max_batch_size=RECORD) as producer:
        for topic in (limited, free):
            for _ in range(RECORDS):
                await producer.send_and_wait(topic, bytes(RECORD - 200), partition=0)
    consumer = AIOKafkaConsumer(
        **options,
        max_partition_fetch_bytes=LARGE,
        fetch_max_bytes=LARGE,
        value_deserializer=FetchOptions({limited: SMALL}),
    )
    async with consumer:
        partitions = [TopicPartition(topic, 0) for topic in (limited, free)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        taken = {limited: 0, free: 0}
        most = dict(taken)
        while min(taken.values()) < RECORDS:
            for topic, count in (await first_fetch(consumer, [limited, free])).items():
                taken[topic] += count
                most[topic] = max(most[topic], count)

    assert {limited: RECORDS, free: RECORDS} == taken
    assert most[limited] <= SMALL // RECORD
    assert SMALL // RECORD < most[free] <= LARGE // RECORD
