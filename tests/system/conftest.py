"""Real servers for the system tests: one Kafka and one Redis for the whole run, each test with names of its own."""

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import redis.asyncio as redis_asyncio

from aftersend.engine.aiokafka import patches
from aftersend.sandbox.embedded import EmbeddedKafka, EmbeddedProcess, EmbeddedRedis, EmbeddedUnavailableError
from tests.patience import PATIENCE
from tests.system.chaos.installation import Installation

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder as a system test."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("system")


@pytest.fixture(autouse=True, scope="session")
def _patched_aiokafka() -> None:
    """Patch aiokafka, as every process does at its start."""
    patches.apply()


#: Those that all tests share.
_shared: list[EmbeddedProcess] = []


@pytest.fixture(autouse=True)
def _as_they_were() -> Iterator[None]:
    """Have the servers run again after a test that failed while one was away, so that no other test fails for it."""
    yield
    for server in _shared:
        if server.running:
            server.resume()
        else:
            server.start(PATIENCE)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory, unavailable: Callable[[str], NoReturn]) -> Iterator[EmbeddedKafka]:
    """Return a running Kafka; a test that stops it has to start it again."""
    server = EmbeddedKafka(tmp_path_factory.mktemp("kafka"))
    _start(server, unavailable)
    _shared.append(server)
    yield server
    _shared.remove(server)
    server.stop()


@pytest.fixture(scope="session")
def redis_server(
    tmp_path_factory: pytest.TempPathFactory, unavailable: Callable[[str], NoReturn]
) -> Iterator[EmbeddedRedis]:
    """Return a running Redis; a test that stops it has to start it again."""
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"))
    _start(server, unavailable)
    _shared.append(server)
    yield server
    _shared.remove(server)
    server.stop()


@pytest.fixture
def unique() -> str:
    """Return a prefix for names of topics, groups and keys that no other test uses."""
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture
def install(
    kafka: EmbeddedKafka, redis_server: EmbeddedRedis, tmp_path: Path, unique: str
) -> Iterator[Callable[..., Installation]]:
    """Return what makes an installation of Aftersend, given settings by name; its workers are killed in the end."""
    made: list[Installation] = []

    def make(**settings: Any) -> Installation:
        made.append(Installation(kafka, redis_server, tmp_path, unique, **settings))
        return made[-1]

    yield make
    for installation in made:
        installation.close()


def _start(server: EmbeddedProcess, unavailable: Callable[[str], NoReturn]) -> None:
    try:
        server.start(PATIENCE)
    except EmbeddedUnavailableError as error:
        unavailable(str(error))


@pytest.fixture
async def client(redis_server: EmbeddedRedis) -> AsyncIterator[redis_asyncio.Redis]:
    """Return a client of an empty Redis."""
    async with redis_asyncio.from_url(redis_server.url, decode_responses=True) as connected:
        await connected.flushall()
        yield connected
