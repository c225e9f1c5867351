"""The writer's own additions to aiokafka's producer; on a broker: tests/system/test_exactly_once.py."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.errors import IllegalOperation, KafkaConnectionError, KafkaError, ProducerFenced

from aftersend.engine import transaction
from aftersend.engine.transaction import Output, TransactionalWriter
from aftersend.errors import FencedError, TransactionFailedError
from tests.patience import PATIENCE


async def test_a_writer_that_never_started_is_closed_without_ado(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "_CLOSE_SECONDS", 2 * PATIENCE)
    never = TransactionalWriter({"bootstrap_servers": ["127.0.0.1:1"]}, "id", "group", 1.0)
    async with asyncio.timeout(PATIENCE):
        await never.close()


async def test_a_cluster_that_lists_no_broker_yet_is_a_kafka_error_that_is_tried_again() -> None:
    """Aiokafka fails an assertion then, which would stop the worker."""

    async def start() -> None:
        raise AssertionError("Did we not perform bootstrap?")

    writer = TransactionalWriter({"bootstrap_servers": ["127.0.0.1:1"]}, "id", "group", 1.0)
    await writer.close()
    writer._producer = SimpleNamespace(start=start)
    with pytest.raises(KafkaConnectionError):
        await writer.start()


class Dead:
    """A producer whose sender has died in the middle of a transaction."""

    def __init__(self, why: Exception) -> None:
        self._sender = SimpleNamespace(sender_task=asyncio.ensure_future(self._die(why)))
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
