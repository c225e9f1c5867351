"""Requests to a gateway, and what a test sets for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp

from tests.patience import PATIENCE
from tests.system.gateways import GatewayProcess

TOKEN = "a-token-of-the-brand"


KUMO_SECRET = "kumo:a-password-for-the-hook"


EVENTS = b'[{"email":"x@example.org","event":"open","timestamp":1790000000,"sg_event_id":"1"}]\r\n'


#: What has a provider come again, at the least those that we know of.
COMES_AGAIN = {408, 429, 503}


Start = Callable[..., Awaitable[GatewayProcess]]


async def post(
    session: aiohttp.ClientSession, gateway: GatewayProcess, path: str, body: bytes, headers: dict[str, str]
) -> tuple[int, dict[str, str]]:
    async with session.post(gateway.url + path, data=body, headers=headers) as answer:
        await answer.read()
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}


async def connect_for_as_long_as_possible(gateway: GatewayProcess) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.close()
            await asyncio.sleep(0.05)


async def in_flight(session: aiohttp.ClientSession, gateway: GatewayProcess) -> float:
    """Return how many bytes of bodies a gateway holds."""
    async with session.get(f"http://127.0.0.1:{gateway.admin_port}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    (told,) = [line for line in lines if line.startswith("aftersend_gateway_in_flight_bytes ")]
    return float(told.split()[-1])
