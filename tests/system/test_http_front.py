"""The HTTP front of the real processes: the same requests, byte by byte, to a gateway and to a worker."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import resource
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aftersend.sandbox.embedded.ports import pick_free
from tests.patience import PATIENCE
from tests.system.chaos.installation import Installation
from tests.system.gateways import GatewayProcess, talk

KIB = 1024
SECRET = "hook:a-password-for-the-hook"
TOKEN = "operator-token-0123456789"
CLOSE = b"connection: close"
CHUNKED = b"transfer-encoding: chunked"


class Listening(NamedTuple):
    """A process that listens, and a request that it answers with 200."""

    port: int
    #: Of its operator's port, where that is another one.
    admin_port: int
    pid: int
    path: bytes
    headers: tuple[bytes, ...]
    #: A body may have any amount of white space behind it.
    body: bytes

    def head(self, *headers: bytes, host: bytes = b"host: x", version: bytes = b"HTTP/1.1") -> bytes:
        """Return a head; it is not complete: an empty line has to follow."""
        lines = [b"POST %b %b" % (self.path, version), *([host] if host else []), *self.headers, *headers]
        return b"\r\n".join([*lines, b""])

    def request(self, *headers: bytes, body: bytes | None = None, **line: bytes) -> bytes:
        """Return a request with a length."""
        body = self.body if body is None else body
        return self.head(b"content-length: %d" % len(body), *headers, **line) + b"\r\n" + body


Listen = Callable[..., Awaitable[Listening]]


@pytest.fixture(params=["gateway", "worker"])
async def listen(request: pytest.FixtureRequest, install: Callable[..., Installation]) -> AsyncIterator[Listen]:
    """Return what starts the process, given settings by name."""
    gateways: list[GatewayProcess] = []

    async def gateway(**settings: Any) -> Listening:
        installation = install()
        await installation.apply_topics()
        made = GatewayProcess(installation, gateway_secrets={"kumomta": SECRET}, **settings)
        gateways.append(made)
        await made.start()
        basic = b"authorization: Basic " + base64.b64encode(SECRET.encode())
        headers = (basic, b"content-type: application/json")
        return Listening(made.port, made.admin_port, made.pid, b"/webhooks/kumomta", headers, b"{}")

    async def worker(**settings: Any) -> Listening:
        installation = install(api_tokens={TOKEN: "operator"})
        await installation.apply_topics()
        (port,) = pick_free(1)
        made = installation.add_worker(web_port=port, **settings)
        made.start()
        await made.await_log("partitions assigned")
        assert made._process is not None
        headers = (b"authorization: Bearer " + TOKEN.encode(), b"content-type: application/json")
        path = b"/api/v1/suppression/check"
        return Listening(port, port, made._process.pid, path, headers, b'{"addresses":[]}')

    yield gateway if request.param == "gateway" else worker
    for made in gateways:
        made.close()


def chunks(*sizes: int) -> bytes:
    return b"".join(b"%x\r\n" % size + b" " * size + b"\r\n" for size in sizes) + b"0\r\n\r\n"


#: Whole requests, by what is special about them, and the statuses that are right.
CASES: dict[str, tuple[Callable[[Listening], bytes], set[int]]] = {
    "a sound one": (lambda to: to.request(CLOSE), {200}),
    "in chunks": (
        lambda to: to.head(CHUNKED, CLOSE) + b"\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(to.body), to.body),
        {200},
    ),
    "gzip, chunked": (lambda to: to.head(b"transfer-encoding: gzip, chunked") + b"\r\n" + chunks(5), {501}),
    "gzip": (lambda to: to.head(b"transfer-encoding: gzip") + b"\r\n" + chunks(5), {400, 501}),
    "identity": (lambda to: to.head(b"transfer-encoding: identity") + b"\r\n" + chunks(5), {400, 501}),
    "a coding behind chunked": (
        lambda to: to.head(b"transfer-encoding: chunked, gzip") + b"\r\n" + chunks(5),
        {400, 501},
    ),
    "chunked twice": (lambda to: to.head(CHUNKED, CHUNKED) + b"\r\n" + chunks(5), {400, 501}),
    "chunked in HTTP/1.0": (lambda to: to.head(CHUNKED, version=b"HTTP/1.0") + b"\r\n" + chunks(5), {400}),
    "chunked with a length": (lambda to: to.head(CHUNKED, b"content-length: 5") + b"\r\n" + chunks(5), {400}),
    "a length with chunked": (lambda to: to.head(b"content-length: 5", CHUNKED) + b"\r\n" + chunks(5), {400}),
    "two lengths": (lambda to: to.request(b"content-length: 3"), {400}),
    "a length twice": (lambda to: to.request(b"content-length: %d" % len(to.body)), {400}),
    "a list of lengths": (lambda to: to.head(b"content-length: 2, 2") + b"\r\n{}", {400}),
    "a length with a sign": (lambda to: to.head(b"content-length: +2") + b"\r\n{}", {400}),
    "no host": (lambda to: to.request(host=b""), {400}),
    "two hosts": (lambda to: to.request(b"Host: x"), {400}),
    "no host in HTTP/1.0": (lambda to: to.request(host=b"", version=b"HTTP/1.0"), {200}),
    "two hosts in HTTP/1.0": (lambda to: to.request(b"host: y", version=b"HTTP/1.0"), {400}),
    "HTTP/2.0": (lambda to: to.request(version=b"HTTP/2.0"), {400, 505}),
    "HTTP/0.9": (lambda _to: b"GET /live\r\n\r\n", {400, 505}),
    "a folded line": (lambda to: to.request(b"x: a\r\n b"), {400}),
    "a folded coding": (lambda to: to.head(b"transfer-encoding:\r\n chunked") + b"\r\n" + chunks(5), {400}),
    "bare line feeds": (lambda to: to.request(CLOSE).replace(b"\r\n", b"\n"), {400}),
    "a space before the colon": (lambda to: to.request(b"x : y"), {400}),
    "a NUL in a header": (lambda to: to.request(b"x: a\0b"), {400}),
    "a head of 32 kB": (
        lambda to: to.request(b"x: " + b"y" * (32 * KIB - len(to.request(b"x: ", CLOSE)) + len(to.body)), CLOSE),
        {200},
    ),
    "a head of more": (lambda to: to.request(b"x: " + b"y" * 32 * KIB, CLOSE), {431}),
    "a head of far more": (lambda to: to.request(*[b"x: y"] * 100_000), {431}),
    "a path of more": (lambda to: to.request(CLOSE).replace(to.path, to.path + b"x" * 40 * KIB, 1), {431}),
    "a length of 1 TB": (lambda to: to.head(b"content-length: 1000000000000") + b"\r\n", {413}),
    "a length beyond all numbers": (lambda to: to.head(b"content-length: " + b"9" * 40) + b"\r\n", {400, 413}),
    "9 MB in chunks": (lambda to: to.head(CHUNKED) + b"\r\n" + chunks(*[64 * KIB] * 144), {413}),
}


def status_of(heard: bytes) -> int:
    """Return the status of the only answer; 0: there is none."""
    statuses = [line.split(b" ")[1] for line in heard.splitlines() if line.startswith(b"HTTP/1.1 ")]
    assert len(statuses) < 2, heard
    return int(statuses[0]) if statuses else 0


async def test_each_request_gets_its_status(listen: Listen) -> None:
    to = await listen()
    wrong = {}
    for name, (make, expected) in CASES.items():
        heard = await talk(to.port, make(to))
        if status_of(heard) not in expected:
            wrong[name] = heard[:200]

    assert {} == wrong


async def test_white_space_at_the_end_of_a_body_or_behind_it_costs_no_answer(listen: Listen) -> None:
    to = await listen()
    whole = to.request(CLOSE, body=to.body + b" \r\n" * 30_000)
    behind = to.request() + b" "

    in_segments = await talk(to.port, whole[: -60 * KIB], whole[-60 * KIB : -2], whole[-2:], pause=0.1)
    more_than_its_length = await talk(to.port, behind + b" \r\n" * 20_000)

    assert 200 == status_of(in_segments)
    assert 200 == status_of(more_than_its_length)


async def test_what_is_too_slow_ends_and_idle_connections_do(listen: Listen) -> None:
    to = await listen(gateway_read_timeout=1.0, web_read_timeout=1.0, http_idle_timeout=1.0)
    whole = to.request()

    silent, head, body, idle = await asyncio.gather(
        talk(to.port), talk(to.port, whole[:30]), talk(to.port, whole[:-1]), talk(to.port, whole)
    )

    assert (b"", 408, 408, 200) == (silent, status_of(head), status_of(body), status_of(idle))


async def test_1200_idle_connections_keep_nobody_out(listen: Listen) -> None:
    to = await listen(gateway_max_connections=100, web_max_connections=100, gateway_read_timeout=PATIENCE)
    before = open_files(to.pid) if sys.platform == "linux" else 0
    held = []
    for _ in range(1200):
        with contextlib.suppress(OSError):
            held.append(await asyncio.open_connection("127.0.0.1", to.port))

    for path in (b"/live", b"/ready"):
        heard = await talk(to.port, b"GET %b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n" % path)
        assert 200 == status_of(heard)
    assert 200 == status_of(await talk(to.port, to.request(CLOSE)))
    if sys.platform == "linux":
        assert open_files(to.pid) < before + 130
    for _, writer in held:
        writer.close()


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="the limit of another process can be set on Linux only")
async def test_a_process_without_files_left_listens_again_when_there_are_some(listen: Listen) -> None:
    """A failed `accept` neither ends the listener nor keeps the process busy."""
    to = await listen(gateway_max_connections=1000, web_max_connections=1000)
    files = open_files(to.pid)
    old = resource.prlimit(to.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(to.pid, resource.RLIMIT_NOFILE, (files + 10, old[1]))
    held = [await asyncio.open_connection("127.0.0.1", to.port) for _ in range(100)]
    before = cpu_seconds(to.pid)
    await asyncio.sleep(2)
    used = cpu_seconds(to.pid) - before
    for _, writer in held:
        writer.close()
    resource.prlimit(to.pid, resource.RLIMIT_NOFILE, old)

    heard = await talk(to.port, to.request(CLOSE))

    assert 200 == status_of(heard)
    assert used < 1.5, "of 2 s"


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def open_files(pid: int) -> int:
    """Return the number of files that a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
