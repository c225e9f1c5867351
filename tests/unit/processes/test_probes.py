import asyncio
import json
import socket

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from aftersend.config.settings import Settings
from aftersend.errors import SettingsError
from aftersend.processes.probes import HealthServer
from aftersend.sandbox.embedded.ports import pick_free


def settings(port: int) -> Settings:
    return Settings.model_construct(web_host="127.0.0.1", web_port=port, stall_seconds=120.0)


async def get(port: int, path: str) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(answer.split()[1]), answer.partition(b"\r\n\r\n")[2]


async def test_a_worker_that_has_just_begun_is_alive_and_not_ready() -> None:
    (port,) = pick_free(1)
    server = HealthServer(settings(port), lambda: None)
    await server.start()
    try:
        live, _ = await get(port, "/live")
        ready, body = await get(port, "/ready")
        nothing, _ = await get(port, "/")
    finally:
        await server.stop()

    assert (200, 503, 404) == (live, ready, nothing)
    assert "waiting for an assignment from the group" == json.loads(body)["reason"]


async def test_other_routes_are_served_beside_the_probes() -> None:
    async def hello(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("hello")

    (port,) = pick_free(1)
    server = HealthServer(settings(port), lambda: None, [Route("/hello", hello)])
    await server.start()
    try:
        there = await get(port, "/hello")
        live, _ = await get(port, "/live")
    finally:
        await server.stop()

    assert (200, b"hello") == there
    assert 200 == live


async def test_a_port_that_is_taken() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        server = HealthServer(settings(other.getsockname()[1]), lambda: None)

        with pytest.raises(SettingsError, match=r"is taken.*AFTERSEND_WEB_PORT"):
            await server.start()
    await server.stop()


async def test_no_port_no_server() -> None:
    server = HealthServer(settings(0), lambda: None)

    await server.start()
    await server.stop()
