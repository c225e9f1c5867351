"""The offset that a new owner of a partition learns is a stable one: no transaction is about to change it (KIP-447)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from faust.types import TP

from aftersend.config.loading import load
from aftersend.engine import admin
from aftersend.engine.aiokafka.offsets import UnstableOffsetError, committed_offsets, wait_for_committed_offsets
from aftersend.sandbox.embedded import EmbeddedKafka
from aftersend.schemas.topics import TopicLayout
from tests.patience import PATIENCE


@pytest.fixture
async def consumer(kafka: EmbeddedKafka, unique: str) -> AsyncIterator[AIOKafkaConsumer]:
    """Return a consumer of the group, and a topic to commit offsets of."""
    settings = load(kafka_bootstrap=kafka.bootstrap)
    await admin.apply_topics(settings.kafka_options(), [TopicLayout(unique, 1, {}, "")], 1)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=unique, enable_auto_commit=False)
    await consumer.start()
    yield consumer
    await consumer.stop()


@pytest.fixture
async def producer(kafka: EmbeddedKafka, unique: str) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=unique)
    await producer.start()
    yield producer
    await producer.stop()


async def test_offsets_of_an_open_transaction_are_waited_for(
    consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, unique: str
) -> None:
    source, tp = TP(unique, 0), TopicPartition(unique, 0)
    async with producer.transaction():
        await producer.send_offsets_to_transaction({tp: 5}, unique)
    assert {source: 5} == await wait_for_committed_offsets(consumer, [source], PATIENCE, require_stable=True)

    await producer.begin_transaction()
    await producer.send_offsets_to_transaction({tp: 8}, unique)
    with pytest.raises(UnstableOffsetError, match=f"{unique}-0 is not stable"):
        await committed_offsets(consumer, [source])
    assert {source: 5} == await committed_offsets(consumer, [source], require_stable=False)

    waiting = asyncio.create_task(wait_for_committed_offsets(consumer, [source], PATIENCE, require_stable=True))
    with pytest.raises(UnstableOffsetError, match="does not end"):
        await wait_for_committed_offsets(consumer, [source], 1.0, require_stable=True)
    assert not waiting.done()
    await producer.commit_transaction()
    assert {source: 8} == await waiting


async def test_an_aborted_transaction_leaves_the_offset_before_it(
    consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, unique: str
) -> None:
    source, tp = TP(unique, 0), TopicPartition(unique, 0)
    await producer.begin_transaction()
    await producer.send_offsets_to_transaction({tp: 8}, unique)
    waiting = asyncio.create_task(wait_for_committed_offsets(consumer, [source], PATIENCE, require_stable=True))
    await producer.abort_transaction()
    assert {} == await waiting
