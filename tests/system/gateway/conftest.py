"""A gateway on a real Kafka."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from aftersend.sandbox.embedded import EmbeddedKafka
from tests.patience import PATIENCE
from tests.system.chaos.installation import Installation
from tests.system.gateway.helpers import (
    KUMO_SECRET,
    TOKEN,
    Start,
)
from tests.system.gateways import GatewayProcess, Signer, thaw


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


@pytest.fixture
async def installation(install: Callable[..., Installation]) -> Installation:
    made = install()
    await made.apply_topics()
    return made


@pytest.fixture
async def start(installation: Installation, signer: Signer, kafka: EmbeddedKafka) -> AsyncIterator[Start]:
    """Return what starts a gateway; a broker that a test has left frozen goes on."""
    made: list[GatewayProcess] = []

    async def start_one(*arguments: str, **settings: Any) -> GatewayProcess:
        chosen = {
            "gateway_secrets": {"sendgrid": signer.secret, "kumomta": KUMO_SECRET},
            "gateway_tokens": {TOKEN: "brand"},
            **settings,
        }
        made.append(GatewayProcess(installation, *arguments, **chosen))
        await made[-1].start()
        return made[-1]

    yield start_one
    for gateway in made:
        gateway.close()
    await thaw(kafka)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as made:
        yield made
