"""Suppression checks: answers in order, and no answer if one of them is uncertain."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from aftersend.console.api.app import Api
from aftersend.console.api.routes import MAX_BODY
from aftersend.console.errors import STATUSES
from aftersend.sandbox.embedded.ports import pick_free
from aftersend.services.answers import MAX_ADDRESSES
from tests.patience import PATIENCE
from tests.unit.console.factories import KNOWN, VIEWER, Answer, Memory, api, ask

CHECK = "/api/v1/suppression/check"
JSON = {"content-type": "application/json"}


async def check(of: Api, question: Any, **more: Any) -> Answer:
    body = question if isinstance(question, bytes) else json.dumps(question).encode()
    return await ask(of, CHECK, method="POST", body=body, headers=JSON | more.pop("headers", {}), **more)


async def test_answers_are_in_the_order_of_the_addresses() -> None:
    spellings = [
        "JANE@Example.com ",
        "nobody@example.com",
        "no address",
        "<jane@example.com>",
        "x" * 600 + "@a.example",
    ]
    answer = await check(api(Memory()), {"addresses": spellings, "message_type": "campaign"})

    assert 200 == answer.status
    results = answer.body["results"]
    assert spellings == [one["address"] for one in results]
    assert [KNOWN, "nobody@example.com", "", KNOWN, ""] == [one["recipient"] for one in results]
    assert ["bounced", None, "invalid", "bounced", "invalid"] == [one.get("reason") for one in results]
    assert {"address", "recipient", "may_be_mailed"} == set(results[1])
    assert "previously_bounced" == results[0]["not_sent"]
    assert [{"reason": "bounced", "since": "2025-09-14T12:00:00.000Z"}] == results[0]["objections"]
    assert 1 == answer.body["may_be_mailed"]


async def test_each_value_is_read_as_exactly_one_address() -> None:
    spellings = [
        f'"Jane" <{KNOWN}>',
        f"mailto:{KNOWN}",
        f"\ufeff{KNOWN},",
        f"{KNOWN}, nobody@example.com",
        f"Team: {KNOWN};",
        "nobody@example",
    ]
    answer = await check(api(Memory()), {"addresses": spellings})

    results = answer.body["results"]
    assert spellings == [one["address"] for one in results]
    assert [KNOWN] * 3 + [""] * 3 == [one["recipient"] for one in results]
    assert ["bounced"] * 3 + ["invalid"] * 3 == [one["reason"] for one in results]
    assert 0 == answer.body["may_be_mailed"]


async def test_an_answer_is_valid_for_the_document() -> None:
    of = api(Memory())
    document = (await ask(of, "/api/v1/openapi.json")).body
    operation = document["paths"]["/suppression/check"]["post"]
    question = {"addresses": [KNOWN, "nobody@example.com", ""]}
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    jsonschema.validate(question, {**schema, "components": document["components"]})

    for made in (question, {"addresses": 5}):
        answer = await check(of, made)
        schema = operation["responses"][str(answer.status)]["content"]["application/json"]["schema"]
        jsonschema.validate(answer.body, {**schema, "components": document["components"]})


async def test_no_addresses_have_an_empty_answer() -> None:
    answer = await check(api(Memory()), {"addresses": []})

    assert (200, {"may_be_mailed": 0, "results": []}) == (answer.status, answer.body)


async def test_the_number_of_addresses_is_limited() -> None:
    memory = Memory()
    addresses = [f"person{number}@example.com" for number in range(MAX_ADDRESSES - 1)]
    answer = await check(api(memory), {"addresses": [*addresses, KNOWN]})

    assert (200, MAX_ADDRESSES - 1) == (answer.status, answer.body["may_be_mailed"])
    assert [*addresses, KNOWN] == [one["recipient"] for one in answer.body["results"]]
    assert 4 == len(memory.requested), "once for each partition"


@pytest.mark.parametrize(
    "question, status, code",
    [
        ({"addresses": ["a@example.com"] * (MAX_ADDRESSES + 1)}, 400, "invalid_body"),
        ({"addresses": [5]}, 400, "invalid_body"),
        ({"addresses": [KNOWN], "message_type": "letter"}, 400, "invalid_body"),
        ({"addresses": [KNOWN], "type": "campaign"}, 400, "invalid_body"),
        ({}, 400, "invalid_body"),
        ([KNOWN], 400, "invalid_body"),
        (b"", 400, "invalid_body"),
        (b'{"addresses": ["\xff@example.com"]}', 400, "invalid_body"),
        (b"[" * 100_000, 400, "invalid_body"),
        (b" " * (MAX_BODY + 1), 413, "content_too_large"),
    ],
)
async def test_an_invalid_body_is_an_error(question: Any, status: int, code: str) -> None:
    answer = await check(api(Memory()), question)

    assert (status, code) == (answer.status, answer.code)


@pytest.mark.parametrize(
    "headers", [{"content-type": "text/plain"}, {"content-type": ""}, JSON | {"content-encoding": "gzip"}]
)
async def test_only_uncompressed_json_is_accepted(headers: dict[str, str]) -> None:
    """A page in a browser can post a form or text to anywhere, but not JSON."""
    answer = await ask(api(Memory()), CHECK, method="POST", body=b'{"addresses": []}', headers=headers)

    assert (415, "unsupported_media_type", "close") == (answer.status, answer.code, answer.headers["connection"])


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
async def test_only_post_is_allowed(method: str) -> None:
    answer = await ask(api(Memory()), CHECK, method=method)

    assert (405, "POST") == (answer.status, answer.headers["allow"])


async def test_without_a_token_nothing_is_read() -> None:
    answer = await check(api(Memory()), b" " * (MAX_BODY + 1), token=None)

    assert 401 == answer.status


async def test_a_viewer_sees_no_address() -> None:
    answer = await check(api(Memory()), {"addresses": ["Jane@Example.com", "junk"]}, token=VIEWER)

    results = answer.body["results"]
    assert ["***", "***"] == [results[0]["address"], results[0]["recipient"]]
    assert [False, False] == [one["may_be_mailed"] for one in results]
    assert b"ane" not in answer.raw


@pytest.mark.parametrize("attribute, value", [("here", False), ("moved", True)])
async def test_one_unavailable_partition_makes_the_answer_unavailable(attribute: str, value: bool) -> None:
    memory = Memory()
    setattr(memory, attribute, value)
    answer = await check(api(memory), {"addresses": [KNOWN]})

    assert (503, "partition_moving", "2") == (answer.status, answer.code, answer.headers["retry-after"])


async def test_a_forwarded_request_is_not_forwarded_again() -> None:
    memory = Memory()
    memory.here, memory.url = False, "http://127.0.0.1:1"
    answer = await check(api(memory), {"addresses": [KNOWN]}, headers={"aftersend-forwarded": "1"})

    assert (503, "partition_moving") == (answer.status, answer.code)


async def test_too_many_concurrent_requests_are_rejected() -> None:
    memory = Memory()
    gate = asyncio.Event()
    look_up = memory.check_suppression

    async def slowly(*args: Any) -> Any:
        await gate.wait()
        return await look_up(*args)

    memory.check_suppression = slowly  # type: ignore[assignment, method-assign]
    of = api(memory)
    asking = [asyncio.create_task(check(of, {"addresses": [KNOWN]})) for _ in range(17)]
    await asyncio.wait(asking, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    gate.set()
    statuses = sorted(answer.status for answer in await asyncio.gather(*asking))

    assert [200] * 16 + [503] == statuses
    assert 200 == (await check(of, {"addresses": [KNOWN]})).status, "none of them is still counted"


# Two workers.


async def served(answer: Callable[[web.Request], Any]) -> tuple[web.AppRunner, str]:
    """Serve the answers of another worker; return the server and its URL."""
    app = web.Application(client_max_size=MAX_BODY)
    app.router.add_route("*", CHECK, answer)
    runner = web.AppRunner(app)
    await runner.setup()
    (port,) = pick_free(1)
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner, f"http://127.0.0.1:{port}"


def split(memory: Memory, url: str) -> None:
    """Assign the even partitions to the worker, and the others to another one."""
    memory.url = url
    memory.is_here = lambda recipient: memory.partition(recipient) % 2 == 0  # type: ignore[method-assign]


async def test_other_owners_get_one_request_each() -> None:
    other, forwarded = Memory(), []

    async def elsewhere(request: web.Request) -> web.Response:
        forwarded.append(request.headers["aftersend-forwarded"])
        given = {"aftersend-forwarded": "1"}
        answer = await check(api(other), await request.read(), headers=given)
        return web.Response(status=answer.status, body=answer.raw, content_type="application/json")

    memory = Memory()
    runner, url = await served(elsewhere)
    split(memory, url)
    of = api(memory)
    addresses = [f"Person{number}@example.com" for number in range(200)] + [KNOWN]
    try:
        answer = await check(of, {"addresses": addresses})
    finally:
        await of.close()
        await runner.cleanup()

    assert (200, 200, ["1"]) == (answer.status, answer.body["may_be_mailed"], forwarded)
    assert addresses == [one["address"] for one in answer.body["results"]]
    assert "bounced" == answer.body["results"][-1]["reason"]
    for held, rest in ((memory, 0), (other, 1)):
        assert {rest} == {memory.partition(one) % 2 for recipients in held.requested for one in recipients}
    assert 201 == sum(len(recipients) for recipients in (*memory.requested, *other.requested))


@pytest.mark.parametrize(
    "status, body, code",
    [
        (503, b'{"error": {"code": "overloaded", "message": "busy"}}', "overloaded"),
        (503, b'{"error": {"code": "of next year", "message": "?"}}', "owner_unreachable"),
        (404, b'{"error": {"code": "not_found", "message": "an older version"}}', "owner_unreachable"),
        (200, b'{"may_be_mailed": 0, "results": []}', "owner_unreachable"),
        (200, b"<html>", "owner_unreachable"),
        (401, b"{}", "owner_unreachable"),
    ],
)
async def test_an_error_of_an_owner_makes_the_answer_unavailable(status: int, body: bytes, code: str) -> None:
    async def elsewhere(_request: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    memory = Memory()
    runner, url = await served(elsewhere)
    split(memory, url)
    of = api(memory)
    try:
        answer = await check(of, {"addresses": [f"person{number}@example.com" for number in range(20)]})
    finally:
        await of.close()
        await runner.cleanup()

    assert (503, code, "2") == (answer.status, answer.code, answer.headers["retry-after"])


@settings(max_examples=500)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.builds(lambda texts: json.dumps({"addresses": texts}).encode(), st.lists(st.text(st.characters()))),
    )
)
async def test_no_body_is_ever_a_server_error(body: bytes) -> None:
    answer = await check(api(Memory()), body)

    assert answer.status in {200, *STATUSES.values()} - {503}
    if answer.status == 200:
        jsonschema.validate(answer.body["may_be_mailed"], {"type": "integer"})
