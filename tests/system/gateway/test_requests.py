"""The gateway on a real Kafka: what gets in, what does not, and what a 200 is worth."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from aftersend.sandbox.embedded import EmbeddedKafka
from aftersend.schemas.raw import TENANT_HEADER
from aftersend.sources.signing.credentials import basic
from tests.patience import PATIENCE
from tests.system.chaos.installation import Installation
from tests.system.gateway.helpers import (
    EVENTS,
    KUMO_SECRET,
    TOKEN,
    Start,
    in_flight,
    post,
)
from tests.system.gateways import Signer, raw_bodies, raw_records, talk


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
    """For a source that signs it comes on top of the tenant's signature; for one that does not it is enough."""
    everybodys = Signer()
    secrets = {"sendgrid": everybodys.secret, "sendgrid/brand": signer.secret, "kumomta": KUMO_SECRET}
    gateway = await start(gateway_secrets=secrets)
    signed = signer.headers(EVENTS)
    assert 401 == (await post(session, gateway, "/webhooks/sendgrid", EVENTS, signed))[0]
    everybodys_own = everybodys.headers(EVENTS)
    assert 401 == (await post(session, gateway, f"/webhooks/sendgrid/{TOKEN}", EVENTS, everybodys_own))[0]
    assert 401 == (await post(session, gateway, "/webhooks/sendgrid/brand", EVENTS, everybodys_own))[0]
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
    assert gateway.log().count("its source, or the tenant of its path, has no secret") == 2


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


async def test_connections_are_bounded(start: Start) -> None:
    gateway = await start(gateway_max_connections=5)
    held = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(5)]
    heard = await talk(gateway.port, b"GET /live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert heard.startswith(b"HTTP/1.1 200 ")
    # The one that had said nothing for longest has made room.
    (first, _), *others = held
    assert b"" == await asyncio.wait_for(first.read(), PATIENCE)
    for reader, writer in others:
        writer.write(b"GET /live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), PATIENCE)).startswith(b"HTTP/1.1 200 ")
    for _, writer in held:
        writer.close()


async def test_an_opened_source_takes_anything(
    start: Start, session: aiohttp.ClientSession, installation: Installation
) -> None:
    gateway = await start(gateway_open=["tracking"])
    assert 200 == (await post(session, gateway, "/webhooks/tracking", b"anything", {}))[0]
    assert [b"anything"] == await raw_bodies(installation, "tracking")


async def test_the_log_has_nothing_personal(start: Start, session: aiohttp.ClientSession, signer: Signer) -> None:
    gateway = await start(gateway_access_log="all", gateway_secrets={"sendgrid/brand": signer.secret})
    for path, body in ((f"/webhooks/sendgrid/{TOKEN}?who=jane@example.org", EVENTS), ("/webhooks/kumomta/x", b"x")):
        await post(session, gateway, path, body, signer.headers(body))
    lines = [json.loads(line) for line in gateway.log().splitlines() if '"webhook"' in line]
    assert [("sendgrid", 200), ("", 404)] == [(line["source"], line["status"]) for line in lines]
    for secret in (TOKEN, "jane", "example.org", "127.0.0.1:", '"ip"'):
        assert secret not in "".join(line for line in gateway.log().splitlines() if '"webhook"' in line)
