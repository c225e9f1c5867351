"""The gateway on a real Kafka: what gets in, what does not, and what a 200 is worth."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.errors import EXIT_KAFKA, EXIT_OK, EXIT_SETTINGS
from aftersend.sandbox.embedded import EmbeddedKafka
from aftersend.schemas.raw import TENANT_HEADER
from aftersend.sources.signing.credentials import basic
from tests.patience import PATIENCE
from tests.system.chaos.installation import Installation
from tests.system.gateways import GatewayProcess, Signer, raw_bodies, raw_records, talk, thaw

TOKEN = "a-token-of-the-brand"
KUMO_SECRET = "kumo:a-password-for-the-hook"
EVENTS = b'[{"email":"x@example.org","event":"open","timestamp":1790000000,"sg_event_id":"1"}]\r\n'
#: What has a provider come again, at the least those that we know of.
COMES_AGAIN = {408, 429, 503}

Start = Callable[..., Awaitable[GatewayProcess]]


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


async def test_a_body_is_stored_byte_for_byte(
    start: Start, session: aiohttp.ClientSession, installation: Installation, signer: Signer
) -> None:
    gateway = await start()
    bodies = [EVENTS, b"", b"\x00\xff not JSON \r\n\r\n", os.urandom(700_000), '[{"ß": "\u2028"}]'.encode("utf-16")]
    for body in bodies:
        status, _ = await post(session, gateway, "/webhooks/sendgrid", body, signer.headers(body))
        assert 200 == status
        assert body in await raw_bodies(installation, "sendgrid")

    async def chunks() -> AsyncIterator[bytes]:
        for piece in (EVENTS[:10], EVENTS[10:40], EVENTS[40:]):
            yield piece
            await asyncio.sleep(0.05)

    async with session.post(
        gateway.url + "/webhooks/sendgrid", data=chunks(), headers=signer.headers(EVENTS)
    ) as answer:
        assert 200 == answer.status

    assert sorted([*bodies, EVENTS]) == await raw_bodies(installation, "sendgrid")


async def test_a_token_stands_for_a_tenant(
    start: Start, session: aiohttp.ClientSession, installation: Installation, signer: Signer
) -> None:
    """For a source that signs it comes on top of the signature; for one that does not it is enough."""
    gateway = await start()
    signed = signer.headers(EVENTS)
    assert 200 == (await post(session, gateway, f"/webhooks/sendgrid/{TOKEN}", EVENTS, signed))[0]
    assert 401 == (await post(session, gateway, f"/webhooks/sendgrid/{TOKEN}", EVENTS + b" ", signed))[0]
    assert 200 == (await post(session, gateway, f"/webhooks/tracking/{TOKEN}", b"{}", {}))[0]
    assert 200 == (await post(session, gateway, f"/webhooks/kumomta/{KUMO_SECRET}", b"{}", {}))[0]

    for source, tenant in (("sendgrid", b"brand"), ("tracking", b"brand"), ("kumomta", None)):
        (record,) = await raw_records(installation, source)
        assert tenant == dict(record.headers).get(TENANT_HEADER)


async def test_credentials_let_a_provider_in_that_signs_nothing(
    start: Start, session: aiohttp.ClientSession, installation: Installation
) -> None:
    """Those that are set, two while they are changed; as the last part of the path they are enough as well."""
    first, second = "hook:first-password", "hook:second-password"
    gateway = await start(gateway_secrets={"postmark": [first, second]}, gateway_tokens={TOKEN: "brand"})
    body = b'{"RecordType":"Delivery","Recipient":"x@example.org"}'

    async def status(path: str, authorization: str | None) -> int:
        headers = {"Content-Type": "application/json"} | ({"Authorization": authorization} if authorization else {})
        return (await post(session, gateway, path, body, headers))[0]

    for secret in (first, second):
        assert 200 == await status("/webhooks/postmark", basic(secret)["Authorization"])
    assert 200 == await status(f"/webhooks/postmark/{first}", None)
    assert 200 == await status(f"/webhooks/postmark/{TOKEN}", None)
    for wrong in (None, "Basic", basic("hook:another-password")["Authorization"], f"Basic {first}"):
        assert 401 == await status("/webhooks/postmark", wrong)
    assert 404 == await status("/webhooks/postmark/hook:another-password", basic(first)["Authorization"])
    async with session.post(gateway.url + "/webhooks/postmark", data=body) as answer:
        assert 415 == answer.status, "no JSON"

    records = await raw_records(installation, "postmark")
    assert [body] * 4 == [record.value for record in records]
    assert [b"brand"] == [t for t in (dict(record.headers).get(TENANT_HEADER) for record in records) if t]


CASES: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "genuine": ("POST", "/webhooks/sendgrid", {}, 200),
    "changed body": ("POST", "/webhooks/sendgrid", {"body": EVENTS + b" "}, 401),
    "none": ("POST", "/webhooks/sendgrid", {"X-Twilio-Email-Event-Webhook-Signature": None}, 401),
    "not b64": ("POST", "/webhooks/sendgrid", {"X-Twilio-Email-Event-Webhook-Signature": "é"}, 401),
    "1970": ("POST", "/webhooks/sendgrid", {"X-Twilio-Email-Event-Webhook-Timestamp": "1"}, 401),
    "unknown source": ("POST", "/webhooks/nobody", {}, 404),
    "unknown token": ("POST", "/webhooks/sendgrid/a-token-of-nobody", {}, 404),
    "empty token": ("POST", "/webhooks/sendgrid/", {}, 404),
    "beyond the token": ("POST", f"/webhooks/sendgrid/{TOKEN}/more", {}, 404),
    "no source": ("POST", "/webhooks/", {}, 404),
    "no path": ("POST", "/", {}, 404),
    "PUT": ("PUT", "/webhooks/sendgrid", {}, 405),
    "DELETE": ("DELETE", f"/webhooks/sendgrid/{TOKEN}", {}, 405),
    "GET": ("GET", "/webhooks/sendgrid", {}, 200),
    "HEAD": ("HEAD", "/webhooks/ses", {}, 200),
    "GET of nothing": ("GET", "/webhooks/nobody", {}, 404),
    "too large": ("POST", "/webhooks/sendgrid", {"body": bytes(990_001)}, 413),
    "media type": ("POST", "/webhooks/sendgrid", {"Content-Type": "text/html"}, 415),
    "charset": ("POST", "/webhooks/sendgrid", {"Content-Type": "Application/JSON; charset=x"}, 200),
    "compressed": ("POST", "/webhooks/sendgrid", {"Content-Encoding": "gzip"}, 415),
    "no secret is set": ("POST", "/webhooks/ses", {}, 403),
    "no secret is set, no signatures": ("POST", "/webhooks/tracking", {}, 403),
    "no credentials": ("POST", "/webhooks/kumomta", {}, 401),
    "wrong credentials": ("POST", "/webhooks/kumomta", {"Authorization": "Bearer wrong"}, 401),
    "broken credentials": ("POST", "/webhooks/kumomta", {"Authorization": "Basic ///"}, 401),
    "bearer": ("POST", "/webhooks/kumomta", {"Authorization": f"Bearer {KUMO_SECRET}"}, 200),
    "basic": (
        "POST",
        "/webhooks/kumomta",
        {"Authorization": "basic " + base64.b64encode(KUMO_SECRET.encode()).decode()},
        200,
    ),
}


async def test_each_request_gets_its_status(
    start: Start, session: aiohttp.ClientSession, installation: Installation, signer: Signer
) -> None:
    gateway = await start(gateway_tolerance=3600.0)
    accepted: dict[str, list[bytes]] = {name: [] for name in installation.sources}
    wrong = {}
    for name, (method, path, change, expected) in CASES.items():
        body = change.get("body", EVENTS)
        headers: dict[str, Any] = dict(signer.headers(EVENTS if expected == 401 else body))
        headers |= {key: value for key, value in change.items() if key != "body"}
        kept = {key: value for key, value in headers.items() if value is not None}
        async with session.request(method, gateway.url + path, data=body, headers=kept) as answer:
            if expected != answer.status:
                wrong[name] = answer.status
            if expected == 405:
                assert "POST, GET, HEAD" == answer.headers["Allow"]
            if expected == 401 and "kumomta" in path:
                assert answer.headers["WWW-Authenticate"].startswith("Basic")
        if (method, expected) == ("POST", 200):
            accepted[path.split("/")[2]].append(body)

    assert {} == wrong
    for source, bodies in accepted.items():
        assert sorted(bodies) == await raw_bodies(installation, source)
    assert gateway.log().count("its source has no secret") == 2


async def test_a_body_is_counted_while_it_is_read(start: Start, signer: Signer) -> None:
    """Without Content-Length, and with one that is not true."""
    gateway = await start(gateway_max_body_bytes=10_000)
    head = b"POST /webhooks/sendgrid HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    chunk = b"1000\r\n" + bytes(4096) + b"\r\n"
    for framing, body in (
        (b"transfer-encoding: chunked\r\n\r\n", chunk * 4),
        (b"content-length: 10001\r\n\r\n", b""),
        (b"content-length: 99999999999999999999\r\n\r\n", b"x"),
    ):
        heard = await talk(gateway.port, head + framing, body, pause=0.05)
        assert heard.startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 400 ")), heard


async def test_200_comes_after_the_brokers_acknowledgement(
    start: Start,
    session: aiohttp.ClientSession,
    installation: Installation,
    signer: Signer,
    kafka: EmbeddedKafka,
) -> None:
    gateway = await start()
    kafka.pause()
    request = asyncio.ensure_future(post(session, gateway, "/webhooks/sendgrid", EVENTS, signer.headers(EVENTS)))
    await asyncio.sleep(1.5)
    assert not request.done()
    kafka.resume()
    assert 200 == (await request)[0]
    assert [EVENTS] == await raw_bodies(installation, "sendgrid")


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


async def test_bodies_in_memory_are_bounded(
    start: Start, session: aiohttp.ClientSession, signer: Signer, kafka: EmbeddedKafka
) -> None:
    gateway = await start(gateway_max_inflight_bytes=1024 * 1024, gateway_answer_within=PATIENCE)
    kafka.pause()
    body = bytes(300_000)
    headers = signer.headers(body)
    requests = [asyncio.ensure_future(post(session, gateway, "/webhooks/sendgrid", body, headers)) for _ in range(8)]
    async with asyncio.timeout(PATIENCE):
        while sum(request.done() for request in requests) < 5:
            await asyncio.sleep(0.1)
    done, waiting = await asyncio.wait(requests, timeout=0.5)
    assert [503] * 5 == [request.result()[0] for request in done]
    kafka.resume()
    assert [(200)] * 3 == [(await request)[0] for request in waiting]
    # All that was held is given back.
    assert 200 == (await post(session, gateway, "/webhooks/sendgrid", body, headers))[0]
    assert 0.0 == await in_flight(session, gateway)


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


async def test_an_old_signature_is_not_accepted_again(
    start: Start, session: aiohttp.ClientSession, signer: Signer
) -> None:
    gateway = await start(gateway_tolerance=60.0)
    for at, expected in ((time.time() - 30, 200), (time.time() - 90, 401), (time.time() + 90, 401)):
        assert expected == (await post(session, gateway, "/webhooks/sendgrid", EVENTS, signer.headers(EVENTS, at)))[0]


async def test_slow_and_broken_requests_end(start: Start, installation: Installation, signer: Signer) -> None:
    gateway = await start(gateway_read_timeout=1.0)
    signed = "".join(f"{name}: {value}\r\n" for name, value in signer.headers(EVENTS).items()).encode()
    head = b"POST /webhooks/sendgrid HTTP/1.1\r\nhost: x\r\n" + signed + b"content-length: %d\r\n\r\n" % len(EVENTS)
    slow_body, slow_head, silent, cut_off = await asyncio.gather(
        talk(gateway.port, head, EVENTS[:5], EVENTS[5:9], pause=0.4),
        talk(gateway.port, head[:10], head[10:20], pause=0.4),
        talk(gateway.port),
        talk(gateway.port, head, EVENTS[:-1], timeout=0.2),
    )
    assert slow_body.startswith(b"HTTP/1.1 408 ")
    assert slow_head.startswith(b"HTTP/1.1 408 ")
    assert b"" == silent
    assert b"" == cut_off
    assert [] == await raw_bodies(installation, "sendgrid")


async def test_connections_are_bounded(start: Start, signer: Signer) -> None:
    gateway = await start(gateway_max_connections=5, gateway_read_timeout=4.0)
    held = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(5)]
    heard = await talk(gateway.port, b"GET /live HTTP/1.1\r\nhost: x\r\n\r\n", timeout=2)
    assert heard.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 10\r\n" in heard
    for reader, writer in held:
        await asyncio.wait_for(reader.read(), PATIENCE)
        writer.close()
    # Those that said nothing were closed, and there is room again.
    heard = await talk(gateway.port, b"GET /live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert heard.startswith(b"HTTP/1.1 200 ")


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


async def test_an_opened_source_takes_anything(
    start: Start, session: aiohttp.ClientSession, installation: Installation
) -> None:
    gateway = await start(gateway_open=["tracking"])
    assert 200 == (await post(session, gateway, "/webhooks/tracking", b"anything", {}))[0]
    assert [b"anything"] == await raw_bodies(installation, "tracking")


async def test_the_log_has_nothing_personal(start: Start, session: aiohttp.ClientSession, signer: Signer) -> None:
    gateway = await start(gateway_access_log="all")
    for path, body in ((f"/webhooks/sendgrid/{TOKEN}?who=jane@example.org", EVENTS), ("/webhooks/kumomta/x", b"x")):
        await post(session, gateway, path, body, signer.headers(body))
    lines = [json.loads(line) for line in gateway.log().splitlines() if '"webhook"' in line]
    assert [("sendgrid", 200), ("", 404)] == [(line["source"], line["status"]) for line in lines]
    for secret in (TOKEN, "jane", "example.org", "127.0.0.1:", '"ip"'):
        assert secret not in "".join(line for line in gateway.log().splitlines() if '"webhook"' in line)


async def test_from_a_webhook_to_the_reference(
    install: Callable[..., Installation], signer: Signer, session: aiohttp.ClientSession
) -> None:
    """All of it: gateway, worker, Redis; and the tenant of the address goes to events that name none."""
    installation = install()
    await installation.start()
    gateway = GatewayProcess(installation, gateway_secrets={"sendgrid": signer.secret}, gateway_tokens={TOKEN: "brand"})
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
            own = {"tenant": "shop"} if number % 5 == 0 else {}
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
    assert {"brand": 40, "shop": 10} == tenants
