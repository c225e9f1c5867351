"""The positions topic on a real broker: a position that other partitions' transactions still hide is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from aftersend.config.loading import load
from aftersend.engine import admin
from aftersend.engine.positions import PositionLog
from aftersend.engine.transaction import TransactionalWriter
from aftersend.sandbox.embedded import EmbeddedKafka
from aftersend.schemas.topics import TopicLayout
from tests.patience import PATIENCE


@pytest.fixture
async def options(kafka: EmbeddedKafka, unique: str) -> dict[str, Any]:
    """Return connection options; the positions topic exists."""
    options = load(kafka_bootstrap=kafka.bootstrap).kafka_options()
    await admin.apply_topics(options, [TopicLayout(unique, 1, {"cleanup.policy": "compact"}, "")], 1)
    return options


@pytest.fixture
async def writer(options: dict[str, Any], unique: str) -> AsyncIterator[TransactionalWriter]:
    writer = TransactionalWriter(options, f"{unique}-owner", unique, 60.0)
    await writer.start()
    yield writer
    await writer.close()


async def processed(log: PositionLog, writer: TransactionalWriter, offset: int) -> None:
    """Commit a batch of the topic `source`."""
    output = writer.output()
    log.write(output, "source", 0, offset)
    await writer.commit(output)


async def test_the_last_position_of_a_partition_is_read(
    options: dict[str, Any], unique: str, writer: TransactionalWriter
) -> None:
    log = PositionLog(options, unique, {"source": "aa"}, PATIENCE)
    assert await log.read("source", 0) is None
    for offset in (5, 9):
        await processed(log, writer, offset)
        assert offset == await log.read("source", 0)
    assert 9 == await PositionLog(options, unique, {"source": "aa"}, PATIENCE).read("source", 0)
    assert 9 == await PositionLog(options, unique, {}, PATIENCE).read("source", 0), "a broker that tells no ids"
    assert await PositionLog(options, unique, {"source": "bb"}, PATIENCE).read("source", 0) is None, "another topic"
    assert await log.read("source", 1) is None


async def test_a_position_behind_an_open_transaction_is_waited_for(
    options: dict[str, Any], unique: str, writer: TransactionalWriter
) -> None:
    log = PositionLog(options, unique, {}, PATIENCE)
    await processed(log, writer, 5)
    async with AIOKafkaProducer(**options, transactional_id=f"{unique}-other") as other:
        await other.begin_transaction()
        await other.send_and_wait(unique, b"", b"position\tother\t0", partition=0)
        await processed(log, writer, 9)

        with pytest.raises(KafkaError, match=f"{unique} can't be read to its end within 1 s"):
            await PositionLog(options, unique, {}, 1.0).read("source", 0)
        waiting = [asyncio.create_task(log.read("source", 0)) for _ in range(20)]
        await asyncio.sleep(0)
        await other.abort_transaction()
        assert {9} == set(await asyncio.gather(*waiting))


async def test_an_admin_tells_ids_by_which_a_topic_differs_from_its_predecessor(
    options: dict[str, Any], unique: str
) -> None:
    first = (await admin.inspect(options)).topic_ids[unique]
    assert 32 == len(first)
    async with admin.connect(options) as client:
        await client.delete_topics([unique])
        async with asyncio.timeout(PATIENCE):
            while unique in await client.list_topics():
                await asyncio.sleep(0.1)
    await admin.apply_topics(options, [TopicLayout(unique, 1, {}, "")], 1)
    assert first != (await admin.inspect(options)).topic_ids[unique]
