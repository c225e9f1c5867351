"""Servers that ask for a password, set up as `docker-compose.yml` sets them up."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import redis
import yaml

from aftersend.errors import EXIT_KAFKA, EXIT_OK
from aftersend.sandbox.embedded import Credentials, EmbeddedKafka, EmbeddedRedis, EmbeddedUnavailableError
from aftersend.sandbox.embedded.ports import pick_free
from tests.paths import ROOT
from tests.patience import PATIENCE
from tests.system.chaos.installation import Input, Installation

PASSWORD = "1f7c0e5b9d3a48c2a6e4"
SASL = {
    "kafka_security_protocol": "SASL_PLAINTEXT",
    "kafka_sasl_mechanism": "PLAIN",
    "kafka_username": "aftersend",
    "kafka_password": PASSWORD,
}


@pytest.fixture(scope="module")
def servers(
    tmp_path_factory: pytest.TempPathFactory, unavailable: Callable[[str], NoReturn]
) -> Iterator[tuple[EmbeddedKafka, EmbeddedRedis]]:
    """Return a Kafka and a Redis of these tests' own."""
    kafka = EmbeddedKafka(tmp_path_factory.mktemp("kafka"), credentials=Credentials("aftersend", PASSWORD))
    redis_server = EmbeddedRedis(tmp_path_factory.mktemp("redis"), password=PASSWORD)
    try:
        kafka.start(PATIENCE)
        redis_server.start(PATIENCE)
    except EmbeddedUnavailableError as error:
        unavailable(str(error))
    yield kafka, redis_server
    kafka.stop()
    redis_server.stop()


@pytest.fixture
def install(
    servers: tuple[EmbeddedKafka, EmbeddedRedis], tmp_path: Path, unique: str
) -> Iterator[Callable[..., Installation]]:
    made: list[Installation] = []

    def make(**settings: Any) -> Installation:
        made.append(Installation(*servers, tmp_path, unique, **SASL | settings))
        return made[-1]

    yield make
    for installation in made:
        installation.close()


async def test_an_event_comes_through_servers_that_ask_for_a_password(install: Callable[..., Installation]) -> None:
    installation = install()
    code, said = await installation.command("topics", "apply")
    assert EXIT_OK == code, said
    (worker,) = await installation.start()
    record = {"event": "open", "delivery_id": "d", "recipient": "a@example.org", "time": time.time()}
    topic, now = installation.topics.raw("tracking"), int(time.time() * 1000)
    await installation.write([Input(topic, 0, None, json.dumps(record).encode(), now)])
    await installation.await_caught_up()
    code, said = await installation.command("kpi", "d", "--json")

    report = await installation.finish()

    assert [0] == worker.exit_codes
    assert 1 == report.rows
    assert EXIT_OK == code, said
    assert 1 == json.loads(said)["kpis"]["unique_opens"]
    assert PASSWORD not in worker.tail(10_000)


@pytest.mark.parametrize(
    "settings", [{"kafka_password": "wrong"}, {"kafka_security_protocol": "PLAINTEXT", "kafka_username": ""}]
)
async def test_kafka_refuses_who_does_not_have_the_password(
    install: Callable[..., Installation], settings: dict[str, Any]
) -> None:
    code, said = await install(**settings).command("topics", "apply")

    assert EXIT_KAFKA == code, said
    assert PASSWORD not in said


def test_redis_refuses_who_does_not_have_the_password(servers: tuple[EmbeddedKafka, EmbeddedRedis]) -> None:
    _, redis_server = servers
    with redis.Redis(port=redis_server.port) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_the_command_of_the_container_takes_the_password_and_hides_it(
    servers: tuple[EmbeddedKafka, EmbeddedRedis], tmp_path: Path
) -> None:
    """As `docker compose` starts it, but for the port; the password is in no argument."""
    service = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["redis"]
    shell, option, script = service["command"]
    (port,) = pick_free(1)
    server = servers[1].prepare()[0]
    script = script.replace("$$", "$").replace("valkey-server -", f"{server} - --bind 127.0.0.1 --port {port}", 1)
    environment = {**os.environ, "REDISCLI_AUTH": PASSWORD}
    with subprocess.Popen([shell, option, script], env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        try:
            with redis.Redis(port=port, password=PASSWORD) as client:
                deadline = time.monotonic() + PATIENCE
                while True:
                    try:
                        assert client.ping()
                        break
                    except redis.ConnectionError:
                        assert time.monotonic() < deadline
                        time.sleep(0.1)
            with redis.Redis(port=port) as client, pytest.raises(redis.AuthenticationError):
                client.ping()
            arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        finally:
            process.terminate()

    assert PASSWORD.encode() not in arguments
    # SIGTERM has come to the server itself, which ended in order.
    assert 0 == process.returncode
