"""A gateway over time: while Kafka is away, at its end, with new secrets, as several processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.errors import EXIT_KAFKA, EXIT_OK, EXIT_SETTINGS
from aftersend.sandbox.embedded import EmbeddedKafka
from tests.patience import PATIENCE
from tests.system.chaos.installation import Installation
from tests.system.gateway.helpers import (
    COMES_AGAIN,
    EVENTS,
    TOKEN,
    Start,
    connect_for_as_long_as_possible,
    in_flight,
    post,
)
from tests.system.gateways import GatewayProcess, Signer, raw_bodies


async def test_while_kafka_is_away_providers_are_asked_to_come_again(
    start: Start,
    session: aiohttp.ClientSession,
    installation: Installation,
    signer: Signer,
    kafka: EmbeddedKafka,
) -> None:
    gateway = await start(gateway_answer_within=1.0, gateway_retry_after=7)
    kafka.pause()
    statuses = []
    for _ in range(installation.settings.partitions + 2):
        status, headers = await post(session, gateway, "/webhooks/sendgrid", EVENTS, signer.headers(EVENTS))
        statuses.append(status)
        assert "7" == headers["retry-after"]
    assert {503} == set(statuses)
    # One for each partition has waited its time; those after them are told at once.
    assert installation.settings.partitions == gateway.log().count("Kafka has not acknowledged in time")
    async with session.get(f"http://127.0.0.1:{gateway.admin_port}/ready") as answer:
        assert 503 == answer.status
    async with session.get(f"http://127.0.0.1:{gateway.admin_port}/live") as answer:
        assert 200 == answer.status

    kafka.resume()
    deadline = time.monotonic() + PATIENCE
    while (await post(session, gateway, "/webhooks/sendgrid", b"[2]", signer.headers(b"[2]")))[0] != 200:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)
    assert b"[2]" in await raw_bodies(installation, "sendgrid")


class Load:
    """Signed requests, one connection for each of so many providers that do not come again."""

    def __init__(self, gateway: GatewayProcess, signer: Signer) -> None:
        self._gateway = gateway
        self._signer = signer
        self._stop = False
        self.statuses: dict[bytes, int] = {}

    async def run(self, session: aiohttp.ClientSession, providers: int) -> None:
        await asyncio.gather(*(self._provider(session, number) for number in range(providers)))

    def stop(self) -> None:
        self._stop = True

    async def comes_to(self, status: int, number: int) -> None:
        """Wait until so many have been answered so."""
        deadline = time.monotonic() + PATIENCE
        while sum(one == status for one in self.statuses.values()) < number:
            assert time.monotonic() < deadline, self._gateway.log()[-3000:]
            await asyncio.sleep(0.1)

    async def _provider(self, session: aiohttp.ClientSession, number: int) -> None:
        count = 0
        while not self._stop:
            body = json.dumps([{"sg_event_id": f"{number}-{count}"}]).encode()
            count += 1
            try:
                self.statuses[body], headers = await post(
                    session, self._gateway, "/webhooks/sendgrid", body, self._signer.headers(body)
                )
                assert self.statuses[body] != 503 or headers["retry-after"]
            except (aiohttp.ClientError, OSError):
                self.statuses[body] = 0  # which every provider takes for a failure
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(0.0, marks=pytest.mark.slow),
        pytest.param(30.0, marks=[pytest.mark.chaos, pytest.mark.timeout(1200)]),
    ],
)
@pytest.mark.parametrize("how", ["frozen", "killed"])
async def test_no_accepted_request_is_lost_while_the_broker_is_away(
    start: Start,
    session: aiohttp.ClientSession,
    installation: Installation,
    signer: Signer,
    kafka: EmbeddedKafka,
    how: str,
    seconds: float,
) -> None:
    gateway = await start(gateway_answer_within=2.0)
    load = Load(gateway, signer)
    running = asyncio.ensure_future(load.run(session, 40))
    await load.comes_to(200, 200)
    if how == "frozen":
        kafka.pause()
        await asyncio.sleep(seconds)
        await load.comes_to(503, 1)
        kafka.resume()
    else:
        await asyncio.to_thread(kafka.kill)
        await asyncio.sleep(seconds)
        await load.comes_to(503, 1)
        await asyncio.to_thread(kafka.start, PATIENCE)
    await load.comes_to(200, sum(status == 200 for status in load.statuses.values()) + 200)
    load.stop()
    await running
    gateway.terminate()
    assert EXIT_OK == await gateway.wait()

    stored = set(await raw_bodies(installation, "sendgrid"))
    accepted = {body for body, status in load.statuses.items() if status == 200}
    others = {status for status in load.statuses.values() if status != 200}
    assert set() == accepted - stored
    assert others <= COMES_AGAIN
    assert 503 in others
    assert len(accepted) >= 400


async def test_requests_under_way_get_their_answer_before_the_end(
    start: Start,
    session: aiohttp.ClientSession,
    installation: Installation,
    signer: Signer,
    kafka: EmbeddedKafka,
) -> None:
    gateway = await start(gateway_answer_within=PATIENCE)
    kafka.pause()
    bodies = [b"[%d]" % number for number in range(20)]
    requests = [
        asyncio.ensure_future(post(session, gateway, "/webhooks/sendgrid", body, signer.headers(body)))
        for body in bodies
    ]
    async with asyncio.timeout(PATIENCE):
        while await in_flight(session, gateway) < sum(map(len, bodies)):
            await asyncio.sleep(0.05)
    gateway.terminate()
    with pytest.raises(OSError, match="Connect call failed"):
        await connect_for_as_long_as_possible(gateway)
    kafka.resume()
    answers = await asyncio.gather(*requests)
    assert [200] * 20 == [status for status, _ in answers]
    assert EXIT_OK == await gateway.wait()
    assert sorted(bodies) == await raw_bodies(installation, "sendgrid")


async def test_secrets_are_read_again_when_they_change(
    start: Start, session: aiohttp.ClientSession, signer: Signer, tmp_path: Path
) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    old, new = signer, Signer()
    key = folder / "sendgrid"
    key.write_text(f"# the first\n{old.secret}\n")
    gateway = await start(gateway_secrets={}, gateway_secrets_dir=str(folder))

    async def status(by: Signer, path: str = "/webhooks/sendgrid") -> int:
        return (await post(session, gateway, path, EVENTS, by.headers(EVENTS)))[0]

    async def becomes(by: Signer, expected: int, path: str = "/webhooks/sendgrid") -> None:
        deadline = time.monotonic() + PATIENCE
        while await status(by, path) != expected:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)

    assert [200, 401] == [await status(old), await status(new)]
    key.write_text(f"{old.secret}\n{new.secret}\n")
    await becomes(new, 200)
    assert 200 == await status(old)
    key.write_text("no key\n")
    os.kill(gateway.pid, signal.SIGHUP)
    async with asyncio.timeout(PATIENCE):
        while "stay as they were" not in gateway.log():
            await asyncio.sleep(0.05)
    assert [200, 200] == [await status(old), await status(new)]
    key.write_text(f"{new.secret}\n")
    os.kill(gateway.pid, signal.SIGHUP)
    await becomes(old, 401)
    assert 200 == await status(new)
    assert 404 == await status(new, "/webhooks/sendgrid/shop")
    (folder / "sendgrid.shop").write_text(old.secret)
    await becomes(old, 200, "/webhooks/sendgrid/shop")
    assert 401 == await status(new, "/webhooks/sendgrid/shop")
    assert old.secret not in gateway.log()


async def test_several_processes_share_the_port(start: Start, installation: Installation, signer: Signer) -> None:
    gateway = await start("--processes", "2")
    async with aiohttp.ClientSession() as session:
        deadline = time.monotonic() + PATIENCE
        while "gateway takes in webhooks" not in gateway.log().partition("gateway takes in webhooks")[2]:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        bodies = [b"[%d]" % number for number in range(60)]
        for body in bodies:
            headers = signer.headers(body) | {"Connection": "close"}
            assert 200 == (await post(session, gateway, "/webhooks/sendgrid", body, headers))[0]
        counted = []
        for port in (gateway.admin_port, gateway.admin_port + 1):
            async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                lines = (await answer.text()).splitlines()
                name = 'aftersend_gateway_requests_total{code="200",source="sendgrid"}'
                counted += [float(line.split()[-1]) for line in lines if line.startswith(name)]
    assert 60 == sum(counted)
    assert all(counted)
    assert sorted(bodies) == await raw_bodies(installation, "sendgrid")
    gateway.terminate()
    assert EXIT_OK == await gateway.wait()


async def test_what_it_cannot_work_with_is_told_at_start(installation: Installation, signer: Signer) -> None:
    for settings, code, words in (
        ({"gateway_secrets": {"sendgrid": "no key"}}, EXIT_SETTINGS, "gateway_secrets"),
        ({"gateway_secrets": {"nobody": "x"}}, EXIT_SETTINGS, "nobody"),
        ({"gateway_secrets": {"postmark": "x"}}, EXIT_SETTINGS, "less than 16 characters"),
        ({"gateway_tokens": {"short": "brand"}}, EXIT_SETTINGS, "gateway_tokens"),
        ({"gateway_open": ["nobody"]}, EXIT_SETTINGS, "gateway_open"),
        ({"topic_prefix": "nowhere"}, EXIT_KAFKA, "topics apply"),
    ):
        gateway = GatewayProcess(installation, **settings)
        with pytest.raises(TimeoutError, match=words):
            await gateway.start()
        assert code == await gateway.wait()
        gateway.close()


async def test_from_a_webhook_to_the_reference(
    install: Callable[..., Installation], signer: Signer, session: aiohttp.ClientSession
) -> None:
    """All of it: gateway, worker, Redis; and the tenant of the address goes to all events that it lets in."""
    installation = install()
    await installation.start()
    secrets = {"sendgrid/brand": signer.secret}
    gateway = GatewayProcess(installation, gateway_secrets=secrets, gateway_tokens={TOKEN: "brand"})
    await gateway.start()
    try:
        now = int(time.time())
        for number in range(50):
            made = {
                "email": f"r{number}@example.org",
                "timestamp": now,
                "event": "delivered",
                "sg_event_id": f"e{number}",
                "sg_message_id": f"m{number}",
                "delivery_id": "autumn",
            }
            # Whoever signs for the brand must not write what becomes of the shop's messages.
            own = {"tenant": "shop"} if number % 5 == 0 else {"tenant": "brand"} if number % 5 == 1 else {}
            body = json.dumps([made | own]).encode()
            assert 200 == (await post(session, gateway, f"/webhooks/sendgrid/{TOKEN}", body, signer.headers(body)))[0]
        await installation.finish()
    finally:
        gateway.close()

    tenants: dict[str, int] = {}

    def count(_topic: str, _partition: int, records: list[FetchedRecord]) -> None:
        for record in records:
            event = json.loads(record.value or b"{}")
            if event["type"] == "delivered":
                tenants[event["tenant"]] = tenants.get(event["tenant"], 0) + 1

    events = {(installation.topics.events, partition): None for partition in range(installation.settings.partitions)}
    await changelog.read(installation.settings.kafka_options(), events, count)
    assert {"brand": 40} == tenants
    letters: list[FetchedRecord] = []
    dead = {
        (installation.topics.dead_letters, partition): None for partition in range(installation.settings.partitions)
    }
    await changelog.read(
        installation.settings.kafka_options(), dead, lambda _topic, _partition, found: letters.extend(found)
    )
    assert 10 == len(letters)
    assert all(b"another tenant" in (dict(letter.headers)["aftersend.message"] or b"") for letter in letters)
