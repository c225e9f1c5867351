"""What aiokafka's connections do on uvloop, and what they should."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import IncompatibleBrokerVersion, KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from aftersend.engine.aiokafka import connections


def test_a_connection_that_is_gone_is_an_error_of_kafkas() -> None:
    """A write to a closed transport raises RuntimeError on uvloop, which aiokafka lets through to whoever sends."""
    connections.patch()

    async def send() -> AIOKafkaConnection:
        server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        connection = AIOKafkaConnection(host, port)
        reader, connection._writer = await asyncio.open_connection(host, port)
        connection._reader = reader
        connection._versions = {3: (0, 1)}
        connection._read_task = asyncio.ensure_future(asyncio.sleep(0))
        connection._writer.transport.abort()
        # The loop closes the transport; that the connection is told of it takes until the reading task runs.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(KafkaConnectionError):
            await connection.send(MetadataRequest([]))
        server.close()
        return connection

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        connection = runner.run(send())
    assert not connection.connected()


async def test_errors_of_kafkas_stay_what_they_are() -> None:
    """Such as that a broker is too old for a request, which is no reason to try again."""
    connections.patch()
    connection = AIOKafkaConnection("127.0.0.1", 1)
    connection._writer = SimpleNamespace()
    connection._versions = {}
    with pytest.raises(IncompatibleBrokerVersion):
        connection.send(MetadataRequest([]))
    connection._writer = None
