"""Malformed requests by the thousand: never a 500, never a hang, never more memory."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.portions import SCALE
from tests.patience import PATIENCE
from tests.system.chaos.installation import Installation
from tests.system.gateways import GatewayProcess, Signer, raw_bodies, talk

MIB = 1024 * 1024
#: All that a request may be answered with; nothing but "" where there was none worth an answer.
ANSWERS = {b"", *(str(code).encode() for code in (200, 400, 401, 403, 404, 405, 408, 413, 415, 431, 501, 503, 505))}

METHODS = st.sampled_from([b"POST", b"GET", b"HEAD", b"PUT", b"OPTIONS", b"CONNECT", b"PRI", b"post", b"P\x00ST", b""])
PATHS = st.one_of(
    st.sampled_from(
        [
            b"/webhooks/sendgrid",
            b"/webhooks/ses",
            b"/webhooks/ses?token=%zz&token=\xff",
            b"/webhooks/kumomta",
            b"/webhooks/sendgrid/%00%ff%2f..",
            b"//[::webhooks/sendgrid",
            b"http://[::1/webhooks/sendgrid",
            b"*",
            b"/webhooks/" + b"x" * 5000,
        ]
    ),
    st.binary(max_size=60),
)
NAMES = st.one_of(
    st.sampled_from(
        [
            b"content-type",
            b"content-length",
            b"transfer-encoding",
            b"content-encoding",
            b"expect",
            b"upgrade",
            b"connection",
            b"host",
            b"authorization",
            b"x-twilio-email-event-webhook-signature",
            b"x-twilio-email-event-webhook-timestamp",
            b"x-amz-sns-topic-arn",
        ]
    ),
    st.binary(max_size=20),
)
VALUES = st.one_of(
    st.sampled_from(
        [
            b"application/json",
            b"text/plain; charset=UTF-8",
            b"chunked",
            b"0",
            b"5",
            b"-1",
            b"99999999999999999999999",
            b"100-continue",
            b"upgrade, close",
            b"websocket",
            b"h2c",
            b"Basic \xff\xfe",
            b"1790000000",
            b"MEUCIQD" + b"A" * 89,
        ]
    ),
    st.binary(max_size=60),
)
BODIES = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(
        [
            b"[" * 20_000,
            b'{"a":' * 5_000,
            b'[{"email":"\\ud800"}]',
            "[é]".encode("utf-16"),
            b"5\r\nhello\r\n0\r\n\r\n",
            b"ffffffffffffffff\r\n",
            b"\x1f\x8b\x08" + bytes(100),
            b'{"Type":"Notification","SigningCertURL":"http://[::1","SignatureVersion":"1"}',
            b'{"Type":"SubscriptionConfirmation","TopicArn":1e999}',
        ]
    ),
)


#: Paths and what is expected there.
WELL_KNOWN = [
    (b"/webhooks/sendgrid", b"application/json"),
    (b"/webhooks/ses", b"text/plain; charset=UTF-8"),
    (b"/webhooks/kumomta", b"application/json"),
]


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Return bytes that look more or less like a request, cut off somewhere or not."""
    body = draw(BODIES)
    headers = draw(st.lists(st.tuples(NAMES, VALUES), max_size=8))
    if draw(st.booleans()):
        headers.append((b"content-length", str(len(body)).encode()))
    if draw(st.booleans()):
        # One that would be in order, but for what is added to it.
        path, media_type = draw(st.sampled_from(WELL_KNOWN))
        head = b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-type: %b\r\ncontent-length: %d" % (path, media_type, len(body))
        return b"\r\n".join([head, *(name + b": " + value for name, value in headers[:2]), b"", body])
    lines = [b" ".join((draw(METHODS), draw(PATHS), draw(st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/3", b""]))))]
    lines += [name + b": " + value for name, value in headers]
    raw = draw(st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n"])).join([*lines, b"", body])
    return raw[: draw(st.integers(0, len(raw)))] if draw(st.integers(0, 4)) == 0 else raw


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


@pytest.fixture
async def gateway(install: Callable[..., Installation], signer: Signer) -> AsyncIterator[GatewayProcess]:
    installation = install()
    await installation.apply_topics()
    secrets = {
        "sendgrid": signer.secret,
        "ses": ["arn:aws:sns:eu-west-1:123456789012:feedback", "raw:a-token-for-raw-delivery"],
        "kumomta": "hook:a-password-for-the-hook",
    }
    made = GatewayProcess(installation, gateway_secrets=secrets, gateway_read_timeout=1.0, log_level="warning")
    made.log_path.touch()
    await made.start()
    yield made
    made.close()
    assert [] == [line for line in made.log().splitlines() if "failed on a request" in line or "xception" in line]
    for source in ("sendgrid", "ses", "kumomta"):
        assert [] == await raw_bodies(installation, source)


def status_of(heard: bytes) -> bytes:
    """Return the status of the last answer, "" where there is none."""
    statuses = [line.split(b" ")[1] for line in heard.splitlines() if line.startswith(b"HTTP/1.1 ")]
    return statuses[-1] if statuses else b""


def exchange(port: int, raw: bytes) -> bytes:
    """Send bytes and no more; return what comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        heard = b""
        try:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                heard += chunk
        except ConnectionError:
            pass  # closed on us while we were still sending; what was heard until then counts
        return heard


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_malformed_requests_by_the_ten_thousand(gateway: GatewayProcess) -> None:
    """In CI 10,000 of them take half a minute; what they leave in memory does not grow with their number."""
    counter = itertools.count(1)
    seen: dict[bytes, int] = {}

    @settings(max_examples=10_000 * SCALE, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(raw=requests())
    def send(raw: bytes) -> None:
        next(counter)
        status = status_of(exchange(gateway.port, raw))
        assert status in ANSWERS, (status, raw[:500])
        seen[status] = seen.get(status, 0) + 1

    await asyncio.to_thread(exchange, gateway.port, b"GET /live HTTP/1.1\r\n\r\n")
    before = gateway.resident_bytes()
    await asyncio.to_thread(send)
    assert next(counter) > 2_000
    assert {b"400", b"401", b"404"} <= seen.keys()
    assert gateway.resident_bytes() - before < 40 * MIB
    assert await talk(gateway.port, b"GET /ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")


@pytest.mark.parametrize(
    "head, endless",
    [
        pytest.param(b"POST /webhooks/sendgrid HTTP/1.1\r\nx: ", b"x" * 65536, id="a header without end"),
        pytest.param(b"POST /webhooks/sendgrid HTTP/1.1\r\n", b"x: y\r\n" * 10_000, id="headers without end"),
        pytest.param(b"POST /", b"x" * 65536, id="a path without end"),
        pytest.param(b"", b"\r\n" * 30_000, id="empty lines"),
        pytest.param(b"", b"GET /live HTTP/1.1\r\nhost: x\r\n\r\n" * 2000, id="pipelined requests"),
        pytest.param(
            b"POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n",
            bytes(65536),
            id="unwanted body",
        ),
        pytest.param(
            b"POST /webhooks/sendgrid HTTP/1.1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
            b"10000\r\n" + bytes(65536) + b"\r\n",
            id="chunks without end",
        ),
        pytest.param(
            b"POST /webhooks/sendgrid HTTP/1.1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
            b"1;" + b"x" * 65536,
            id="a chunk's extension without end",
        ),
        pytest.param(
            b"POST /webhooks/sendgrid HTTP/1.1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
            b"0\r\n",
            b"x: y\r\n" * 10_000,
            id="trailers without end",
        ),
    ],
)
async def test_what_never_ends_is_ended(gateway: GatewayProcess, head: bytes, endless: bytes) -> None:
    """Ten at once, of which each would send up to 100 MB."""
    before = gateway.resident_bytes()

    async def pour() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        sent = 0
        try:
            writer.write(head)
            async with asyncio.timeout(PATIENCE):
                while sent < 100 * MIB:
                    writer.write(endless)
                    await writer.drain()
                    sent += len(endless)
                    if reader.at_eof():
                        break
                    # What comes back has to be taken, or the other side would wait for us.
                    if len(reader._buffer) > 1000:  # type: ignore[attr-defined]
                        await reader.read(65536)
        except ConnectionError:
            pass  # which is what should happen
        finally:
            writer.close()
        return sent

    sent = await asyncio.gather(*(pour() for _ in range(10)))
    assert max(sent) < 40 * MIB  # with what the kernel's buffers took
    assert gateway.resident_bytes() - before < 60 * MIB
    assert (await talk(gateway.port, b"GET /live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).startswith(
        b"HTTP/1.1 200"
    )
