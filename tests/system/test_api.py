"""The query API on real workers: the right answer from any of them, or none."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import aiohttp
import jsonschema
import msgspec
import pytest
import redis

from aftersend.sandbox.embedded.ports import pick_free
from aftersend.schemas.event import Feedback
from aftersend.schemas.partitioning import partition_of
from tests.patience import PATIENCE
from tests.system.chaos.installation import Input, Installation
from tests.system.chaos.workers import WorkerProcess

OPERATOR = "operator-token-0123456789"
VIEWER = "viewer-token-0123456789"
TOKENS = {OPERATOR: "operator", VIEWER: "viewer"}
#: As in `QUICK`.
REBALANCE = 3.0
SESSION = 6.0
RECIPIENTS = [f"person{i}@example.org" for i in range(12)]


class Answer(NamedTuple):
    status: int
    body: Any
    headers: Any


class Client:
    """Asks workers by their ports."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def get(self, port: int, path: str, token: str = OPERATOR, **headers: str) -> Answer:
        given = {"Authorization": f"Bearer {token}", **headers}
        async with self._session.get(f"http://127.0.0.1:{port}/api/v1{path}", headers=given) as answer:
            return Answer(answer.status, await answer.json(content_type=None), answer.headers)

    async def check(self, port: int, addresses: list[str], token: str = OPERATOR, **question: str) -> Answer:
        """Ask which addresses may be mailed."""
        path = f"http://127.0.0.1:{port}/api/v1/suppression/check"
        given = {"Authorization": f"Bearer {token}"}
        async with self._session.post(path, headers=given, json={"addresses": addresses, **question}) as answer:
            return Answer(answer.status, await answer.json(content_type=None), answer.headers)

    async def until(self, port: int, path: str, patience: float = PATIENCE) -> Answer:
        """Ask again until the answer is neither 503 nor 404."""
        deadline = time.monotonic() + patience
        while True:
            try:
                answer = await self.get(port, path)
            except aiohttp.ClientError:
                answer = Answer(503, None, {})
            if answer.status not in {404, 503}:
                return answer
            assert time.monotonic() < deadline, f"{path} on {port}: {answer}"
            await asyncio.sleep(0.1)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session:
        yield Client(session)


def row(recipient: str, delivery: str = "sale") -> str:
    return f"/deliveries/{delivery}/recipients/{recipient}"


async def write(installation: Installation, kind: str, recipients: list[str], number: int = 0) -> None:
    """Put an event for each recipient on the events topic, as normalise would."""
    now = int(time.time() * 1000)
    await installation.write(
        Input(
            installation.topics.events,
            partition_of(recipient, installation.settings.partitions),
            recipient.encode(),
            msgspec.json.encode(
                Feedback(
                    f"{recipient}-{kind}-{number}",
                    "sale",
                    recipient,
                    kind,
                    source="tracking",
                    diagnostic=f"{recipient} said so",
                    url="https://brand.example/offer?who=me" if kind == "clicked" else "",
                    ip="203.0.113.77",
                )
            ),
            now,
        )
        for recipient in recipients
    )


async def start(install: Callable[..., Installation], number: int, **settings: Any) -> tuple[Installation, list[int]]:
    """Start workers with the API, and wait until each has partitions."""
    installation = install(api_tokens=TOKENS, **settings)
    await installation.apply_topics()
    ports = pick_free(number)
    for port in ports:
        installation.add_worker(web_port=port).start()
    for worker in installation.workers:
        await worker.await_log("partitions assigned")
    return installation, list(ports)


@pytest.mark.timeout(720)
async def test_any_worker_answers_for_any_recipient(install: Callable[..., Installation], client: Client) -> None:
    installation, ports = await start(install, 2)
    await write(installation, "sent", RECIPIENTS)
    await write(installation, "delivered", RECIPIENTS)
    for port in ports:
        for recipient in RECIPIENTS:
            answer = await client.until(port, row(recipient))
            while answer.body["status"] != "delivered":
                answer = await client.until(port, row(recipient))
            assert (200, recipient, 2) == (answer.status, answer.body["recipient"], answer.body["version"])

    # Both have some of the partitions, so some of the answers came from the other one.
    alone = [
        [(await client.get(port, row(recipient), **{"Aftersend-Forwarded": "1"})).status for recipient in RECIPIENTS]
        for port in ports
    ]
    assert all({200, 503} == set(statuses) for statuses in alone)
    assert all({200, 503} == set(pair) for pair in zip(*alone, strict=True)), "each has exactly one owner"


@pytest.mark.timeout(720)
async def test_a_declared_delivery_without_events_is_there_with_zeros(
    install: Callable[..., Installation], client: Client
) -> None:
    installation, (port,) = await start(install, 1)
    assert 0 == (await installation.command("deliveries", "set", "quiet", "--name", "Quiet"))[0]
    await write(installation, "sent", RECIPIENTS[:1])
    await installation.await_caught_up()

    quiet = (await client.until(port, "/deliveries/quiet")).body
    listed = (await client.until(port, "/deliveries")).body

    assert (True, {0}) == (quiet["silent"], set(quiet["kpis"].values()))
    assert {"quiet": True, "sale": False} == {one["delivery_id"]: one["silent"] for one in listed["deliveries"]}
    assert 404 == (await client.get(port, "/deliveries/nothing")).status


@pytest.mark.timeout(720)
async def test_every_answer_is_valid_for_the_document(install: Callable[..., Installation], client: Client) -> None:
    installation, (port,) = await start(install, 1)
    someone = RECIPIENTS[0]
    for kind in ("sent", "delivered", "clicked", "hard_bounce", "complained"):
        await write(installation, kind, [someone])
    while (await client.until(port, row(someone))).body["version"] < 5:
        await asyncio.sleep(0.1)
    while (await client.until(port, "/deliveries/sale")).body["kpis"]["audience"] < 1:
        await asyncio.sleep(0.1)
    document = (await client.get(port, "/openapi.json", token="none at all")).body

    targets = {
        "/openapi.json": ["/openapi.json"],
        "/deliveries": ["/deliveries", "/deliveries?limit=1&sort=delivery_id"],
        "/deliveries/{delivery_id}": ["/deliveries/sale", "/deliveries/none"],
        "/deliveries/{delivery_id}/recipients/{recipient}": [row(someone), row("nobody@example.org"), row("%00")],
        "/deliveries/{delivery_id}/recipients/{recipient}/explanation": [
            f"{row(someone)}/explanation",
            f"{row(someone)}/explanation?raw=true",
            f"{row('nobody@example.org')}/explanation",
        ],
        "/recipients/{recipient}": [f"/recipients/{someone}", "/recipients/nobody@example.org"],
    }
    assert {path for path, operations in document["paths"].items() if "get" in operations} == set(targets)
    for path, examples in targets.items():
        for example in examples:
            for token in (OPERATOR, VIEWER, "a token of nobody's"):
                answer = await client.get(port, example, token=token)
                responses = document["paths"][path]["get"]["responses"]
                assert str(answer.status) in responses, f"{example}: {answer}"
                schema = responses[str(answer.status)]["content"]["application/json"]["schema"]
                jsonschema.validate(answer.body, {**schema, "components": document["components"]})

    recipient = (await client.get(port, f"/recipients/{someone.upper()}")).body
    assert ["sale"] == [found["delivery_id"] for found in recipient["deliveries"]]
    assert recipient["contact"]["do_not_email"]
    explained = (await client.get(port, f"{row(someone)}/explanation?raw=true")).body
    assert ["sent", "delivered", "clicked", "hard_bounce", "complained"] == [s["kind"] for s in explained["steps"]]
    assert [] == explained["disagreements"]
    assert 'said so"' in explained["steps"][0]["raw_record"]["text"]
    # Nobody has to guess what a viewer sees.
    hidden = await client.get(port, f"{row(someone)}/explanation", token=VIEWER)
    assert ["***", "***"] == [hidden.body["recipient"], hidden.body["steps"][2]["url"]]
    assert not [word for word in ("person0", "example.org", "said so", "brand", "203.0") if word in str(hidden.body)]
    assert ["sent", "delivered"] == [step["kind"] for step in hidden.body["steps"][:2]]
    assert 403 == (await client.get(port, f"{row(someone)}/explanation?raw=true", token=VIEWER)).status


@pytest.mark.timeout(960)
async def test_a_paused_worker_never_answers_from_outdated_state(
    install: Callable[..., Installation], client: Client
) -> None:
    """Its partitions go to another one meanwhile, and rows change; questions wait in its socket until it wakes up."""
    installation, ports = await start(install, 2)
    await write(installation, "sent", RECIPIENTS)
    for port in ports:
        for recipient in RECIPIENTS:
            await client.until(port, row(recipient))
    frozen, witness = installation.workers
    asleep, awake = ports
    own = [
        recipient
        for recipient in RECIPIENTS
        if (await client.get(asleep, row(recipient), **{"Aftersend-Forwarded": "1"})).status == 200
    ]
    assert own, "the frozen one has something to be wrong about"
    frozen.pause()
    # They lie in its socket until it wakes up, and are the first that it sees then.
    early = [asyncio.create_task(_patiently(asleep, row(recipient))) for recipient in own for _ in range(3)]
    try:
        await write(installation, "delivered", RECIPIENTS)
        for recipient in RECIPIENTS:
            answer = await client.until(awake, row(recipient))
            while answer.body["status"] != "delivered":
                answer = await client.until(awake, row(recipient))
    finally:
        frozen.resume()

    answers = await asyncio.gather(*early)
    assert own
    for answer in answers:
        # Either it detected that it is outdated, or it forwarded the request to the owner.
        assert answer.status == 503 or (answer.status, answer.body["status"]) == (200, "delivered"), answer
    refused = [answer for answer in answers if answer.status == 503]
    assert all("Retry-After" in answer.headers for answer in refused)
    assert all(answer.body["error"]["code"] in {"partition_moving", "owner_unreachable"} for answer in refused)
    deadline = time.monotonic() + REBALANCE + SESSION
    while time.monotonic() < deadline:
        for recipient in own:
            answer = await client.get(asleep, row(recipient))
            assert answer.status == 503 or answer.body["status"] == "delivered", answer
    for recipient in RECIPIENTS:
        assert "delivered" == (await client.until(asleep, row(recipient))).body["status"]
    assert witness.running


async def _patiently(port: int, path: str) -> Answer:
    """Send a request on a separate connection, and wait for the answer."""
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        return await Client(session).get(port, path)


@pytest.mark.timeout(720)
async def test_a_worker_paused_while_it_answers_is_correct_or_unavailable(
    install: Callable[..., Installation], client: Client
) -> None:
    """Paused repeatedly under requests, while rows change: no answer is older than an earlier one."""
    installation, ports = await start(install, 2)
    victim: WorkerProcess = installation.workers[0]
    someone = RECIPIENTS[0]
    await write(installation, "opened", [someone])
    for port in ports:
        await client.until(port, row(someone))
    seen = 0
    stop = asyncio.Event()

    async def ask() -> None:
        nonlocal seen
        number = 0
        while not stop.is_set():
            number += 1
            least = seen
            answer = await _patiently(ports[number % 2], row(someone))
            if answer.status == 200:
                assert answer.body["version"] >= least, "an answer from an old memory"
                seen = max(seen, answer.body["version"])
            else:
                assert answer.status == 503
            await asyncio.sleep(0.01)

    asking = [asyncio.create_task(ask()) for _ in range(4)]
    for number in range(1, 40):
        await write(installation, "opened", [someone], number)
        if number % 13 == 5:
            victim.pause()
            await asyncio.sleep(REBALANCE + 1.5)
            victim.resume()
        await asyncio.sleep(0.2)
    async with asyncio.timeout(PATIENCE):
        while seen <= 5:
            await asyncio.sleep(0.1)
    stop.set()
    await asyncio.gather(*asking)


@pytest.mark.timeout(720)
async def test_a_suppression_check_is_complete_and_equal_from_any_worker(
    install: Callable[..., Installation], client: Client
) -> None:
    """Of some addresses' partitions each of the workers has only a part; where one is silent, there is no answer."""
    installation, ports = await start(install, 2, unsubscribe_scope="type")
    kinds = ["hard_bounce", "complained", "unsubscribed", "delivered"]
    kind_of = dict(zip(RECIPIENTS, kinds * 3, strict=True))
    for kind in kinds:
        await write(installation, kind, [recipient for recipient in RECIPIENTS if kind_of[recipient] == kind])
    await installation.await_caught_up()
    addresses = [recipient.upper() for recipient in RECIPIENTS] + ["unheard.of@example.org", "no address"]
    reasons = {"hard_bounce": "bounced", "complained": "complained", "unsubscribed": "unsubscribed", "delivered": None}

    results: list[dict[str, Any]] = []
    for port in ports:
        answer = await client.check(port, addresses)
        results = answer.body["results"]
        assert (200, addresses) == (answer.status, [one["address"] for one in results])
        assert [reasons[kind_of[recipient]] for recipient in RECIPIENTS] == [one.get("reason") for one in results[:12]]
        assert [(True, None), (False, "invalid")] == [(one["may_be_mailed"], one.get("reason")) for one in results[12:]]
        assert {"sale"} == {found["delivery_id"] for one in results[:12] for found in one.get("objections", ())}
        assert 4 == answer.body["may_be_mailed"]
        hidden = await client.check(port, addresses, token=VIEWER)
        assert "erson0" not in str(hidden.body).lower()
        assert [one.get("reason") for one in results] == [one.get("reason") for one in hidden.body["results"]]
    # Of the command, which reads the topic, the answer is the same.
    file = installation.folder / "addresses.csv"
    file.write_text("\n".join(addresses))
    _, output = await installation.command("suppression", "check", str(file), "--json")
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert [(one["recipient"], one.get("reason")) for one in lines] == [
        (o["recipient"], o.get("reason")) for o in results
    ]

    silent, port = installation.workers[1], ports[0]
    silent.pause()
    refused = await client.check(port, addresses)
    assert (503, "2") == (refused.status, refused.headers["Retry-After"])
    assert refused.body["error"]["code"] in {"owner_unreachable", "partition_moving"}
    deadline = time.monotonic() + PATIENCE
    while (found := await client.check(port, addresses)).status == 503 and time.monotonic() < deadline:
        await asyncio.sleep(0.2)
    assert (200, results) == (found.status, found.body["results"]), "the one that is left has all of it now"
    silent.resume()


async def test_without_tokens_the_api_is_off(install: Callable[..., Installation], client: Client) -> None:
    installation = install()
    await installation.apply_topics()
    (port,) = pick_free(1)
    worker = installation.add_worker(web_port=port)
    worker.start()
    await worker.await_log("partitions assigned")

    answer = await client.get(port, "/deliveries")

    assert (404, "api_off") == (answer.status, answer.body["error"]["code"])
    assert "query API is off" in worker.log()


async def test_an_unavailable_redis_is_no_client_error(install: Callable[..., Installation], client: Client) -> None:
    """Rows are available without Redis."""
    (nowhere,) = pick_free(1)
    installation, (port,) = await start(install, 1, redis_url=f"redis://127.0.0.1:{nowhere}/0")
    await write(installation, "sent", RECIPIENTS[:1])
    await client.until(port, row(RECIPIENTS[0]))

    answer = await client.get(port, "/deliveries")

    assert (503, "redis_unavailable") == (answer.status, answer.body["error"]["code"])
    assert "Retry-After" in answer.headers


async def test_deliveries_are_paginated(
    install: Callable[..., Installation], client: Client, redis_server: Any
) -> None:
    installation, (port,) = await start(install, 1)
    store = redis.Redis.from_url(redis_server.url)
    prefix = installation.settings.redis_prefix
    for number in range(7):
        store.hset(f"{prefix}:kpi:d{number}", mapping={"updated_at": 100 + number, "started_at": 50, "audience": 3})
    store.close()

    found, after = [], ""
    while True:
        page = (await client.get(port, f"/deliveries?limit=3{after}")).body
        found += [delivery["delivery_id"] for delivery in page["deliveries"]]
        if "next" not in page:
            break
        after = f"&after={page['next']}"

    assert [f"d{number}" for number in range(6, -1, -1)] == found
    assert 7 == page["total"]
