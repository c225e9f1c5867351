"""The writer's own additions to aiokafka's producer; what it does on a broker is in tests/system/test_exactly_once."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.errors import IllegalOperation, KafkaError, ProducerFenced

from engine import writer
from engine.errors import FencedError, TransactionFailedError
from engine.writer import Output, TransactionalWriter, _CalmClient
from tests.patience import PATIENCE


class Client:
    """A client whose broker is away: it knows so at once."""

    def __init__(self, *, there: bool = False) -> None:
        self.asked = 0
        self.there = there
        self.hosts = ["kafka"]

    async def force_metadata_update(self) -> bool:
        self.asked += 1
        return self.there


async def test_a_sender_asks_for_metadata_at_intervals_while_the_broker_is_away() -> None:
    client = Client()
    calm = _CalmClient(client)
    began = time.monotonic()
    for _ in range(3):
        assert not await calm.force_metadata_update()
    assert 3 == client.asked
    assert time.monotonic() - began > 3 * writer._METADATA_SECONDS * 0.9


async def test_a_sender_gets_metadata_at_once_where_there_are_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer, "_METADATA_SECONDS", 2 * PATIENCE)
    client = Client(there=True)
    calm: Any = _CalmClient(client)
    async with asyncio.timeout(PATIENCE):
        for _ in range(10):
            assert await calm.force_metadata_update()
    assert ["kafka"] == calm.hosts, "all else is the client's own"


async def test_a_writer_that_never_started_is_closed_without_ado(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_CLOSE_SECONDS", 2 * PATIENCE)
    never = TransactionalWriter({"bootstrap_servers": ["127.0.0.1:1"]}, "id", "group", 1.0)
    async with asyncio.timeout(PATIENCE):
        await never.close()


class Dead:
    """A producer whose sender has died in the middle of a transaction."""

    def __init__(self, why: Exception) -> None:
        self._sender = SimpleNamespace(sender_task=asyncio.ensure_future(self._die(why)))
        self.client = Client()
        self._closed = False

    async def _die(self, why: Exception) -> None:
        raise why

    async def begin_transaction(self) -> None:
        await asyncio.wait({self._sender.sender_task})

    async def send_offsets_to_transaction(self, _offsets: Any, _group: str) -> None:
        raise IllegalOperation


@pytest.mark.parametrize(
    "why,error", [(ProducerFenced(), FencedError), (KafkaError("unexpected"), TransactionFailedError)]
)
async def test_what_a_dead_sender_died_of_is_what_counts(why: Exception, error: type[Exception]) -> None:
    """Aiokafka then says no more than that nothing is allowed, and does not always call that an error of Kafka's."""
    writer = TransactionalWriter({"bootstrap_servers": ["127.0.0.1:1"]}, "id", "group", 1.0)
    await writer.close()
    writer._producer = Dead(why)
    with pytest.raises(error, match=type(why).__name__):
        await writer.commit(Output(cast("Any", SimpleNamespace(create_batch=None))), ("events", 0), 1)
