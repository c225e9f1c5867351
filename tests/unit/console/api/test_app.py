"""Every kind of request is answered as the OpenAPI document describes, without a crash."""

from urllib.parse import quote

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aftersend.console.api.routes import ROUTES
from aftersend.console.errors import STATUSES
from aftersend.rules.views import VIEWS
from aftersend.services.explain.answer import ExplainOptions
from tests.unit.console.factories import KNOWN, VIEWER, Memory, api, ask

ROW = f"/api/v1/deliveries/sale/recipients/{KNOWN}"


@pytest.mark.parametrize(
    "target, status, code",
    [
        ("/api/v1/deliveries?limit=0", 400, "invalid_parameter"),
        ("/api/v1/deliveries?limit=201", 400, "invalid_parameter"),
        ("/api/v1/deliveries?limit=1&limit=2", 400, "invalid_parameter"),
        ("/api/v1/deliveries?limit=%D9%A1", 400, "invalid_parameter"),
        ("/api/v1/deliveries?sort=random", 400, "invalid_parameter"),
        ("/api/v1/deliveries?after=xyz", 400, "invalid_parameter"),
        ("/api/v1/deliveries?after=WzFlOTk5LCJ4Il0", 400, "invalid_parameter"),
        ("/api/v1/deliveries?verbose=1", 400, "invalid_parameter"),
        ("/api/v1/deliveries?limit=%FF", 400, "invalid_encoding"),
        ("/api/v1/deliveries/%FF", 400, "invalid_encoding"),
        ("/api/v1/deliveries/%00", 400, "invalid_delivery"),
        ("/api/v1/deliveries/" + "x" * 513, 400, "invalid_delivery"),
        ("/api/v1/deliveries/" + "x" * 5000, 414, "uri_too_long"),
        ("/api/v1/deliveries/none", 404, "unknown_delivery"),
        ("/api/v1/deliveries/", 404, "unknown_delivery"),
        ("/api/v1/deliveries/sale/recipients/a%09b", 400, "invalid_address"),
        ("/api/v1/deliveries/sale/recipients/" + "x" * 513, 400, "invalid_address"),
        ("/api/v1/deliveries/sale/recipients/nobody@example.com", 404, "unknown_row"),
        ("/api/v1/deliveries//recipients/jane@example.com", 404, "unknown_row"),
        ("/api/v1/recipients/nobody@example.com", 404, "unknown_recipient"),
        (f"{ROW}/explanation?raw=perhaps", 400, "invalid_parameter"),
        (f"{ROW}/explanation?view=efs,nonsense", 400, "invalid_parameter"),
        (f"{ROW}/explanation?view=", 400, "invalid_parameter"),
        (f"{ROW}/explanation?as_of=yesterday", 400, "invalid_parameter"),
        (f"{ROW}/explanation?as_of=2026-01-01T12:00:00", 400, "invalid_parameter"),
        (f"{ROW}/explanation?as_of=9999999999999", 400, "invalid_parameter"),
        (f"{ROW}/explanation?as_of=%D9%A1", 400, "invalid_parameter"),
        (f"{ROW}/explanation?as_of=" + "9" * 400, 400, "invalid_parameter"),
        (f"{ROW}/", 404, "not_found"),
        ("/api/v1/", 404, "not_found"),
        ("/api/v2/deliveries", 404, "not_found"),
    ],
)
async def test_an_invalid_request_is_an_error(target: str, status: int, code: str) -> None:
    answer = await ask(api(Memory()), target)

    assert (status, code) == (answer.status, answer.code)
    assert "application/json" == answer.headers["content-type"]


async def test_only_get_is_allowed() -> None:
    answer = await ask(api(Memory()), "/api/v1/deliveries", method="POST")

    assert (405, "GET, HEAD") == (answer.status, answer.headers["allow"])


async def test_head_has_no_body() -> None:
    answer = await ask(api(Memory()), ROW, method="HEAD")

    assert (200, b"") == (answer.status, answer.raw)


async def test_an_encoded_id_may_have_any_character() -> None:
    answer = await ask(api(Memory()), f"/api/v1/deliveries/{quote('a/b?c#d%', safe='')}")

    assert "unknown_delivery" == answer.code


async def test_an_address_is_found_in_any_spelling() -> None:
    answer = await ask(api(Memory()), "/api/v1/recipients/%3CJANE%40Example.COM%3E")

    assert KNOWN == answer.body["recipient"]


async def test_times_are_iso_8601_and_missing_values_are_omitted() -> None:
    answer = await ask(api(Memory()), ROW)

    assert "2025-09-14T12:00:00.500Z" == answer.body["updated_at"]
    assert "2025-09-14T12:00:00.000Z" == answer.body["failure"]["at"]
    assert "opened_at" not in answer.body
    assert "schema" not in answer.body


async def test_rates_have_their_numerator_and_denominator() -> None:
    answer = await ask(api(Memory()), "/api/v1/deliveries/sale")

    rate = answer.body["rates"]["open_rate"]
    assert {"value", "numerator", "numerator_name", "denominator", "denominator_name"} == set(rate)
    assert (0.0, 0, 2, "delivered") == (rate["value"], rate["numerator"], rate["denominator"], rate["denominator_name"])


# Personal data.


@pytest.mark.parametrize("target", [ROW, f"/api/v1/recipients/{KNOWN}", f"{ROW}/explanation"])
async def test_a_viewer_sees_no_address_and_no_diagnostic(target: str) -> None:
    """A viewer may request an address that it knows."""
    answer = await ask(api(Memory()), target, token=VIEWER)

    assert 200 == answer.status
    assert b"jane" not in answer.raw.lower()
    assert "***" == answer.body["recipient"]


async def test_an_operator_sees_all() -> None:
    answer = await ask(api(Memory()), ROW)

    assert "<jane@example.com> unknown" == answer.body["failure"]["diagnostic"]


async def test_raw_records_are_for_operators() -> None:
    viewer = await ask(api(Memory()), f"{ROW}/explanation?raw=true", token=VIEWER)
    operator = await ask(api(Memory()), f"{ROW}/explanation?raw=true")

    assert ((403, "forbidden"), 200) == ((viewer.status, viewer.code), operator.status)


async def test_an_explanation_has_a_time_and_views() -> None:
    memory = Memory()
    for query in ("", "?as_of=1767225600.5&view=creatio,efs", "?as_of=2026-01-01T02:00:00%2B02:00&view=all"):
        assert 200 == (await ask(api(memory), f"{ROW}/explanation{query}")).status

    assert [
        ExplainOptions(),
        ExplainOptions(1767225600.5, ("efs", "creatio")),
        ExplainOptions(1767225600.0, tuple(VIEWS)),
    ] == memory.explain_options


# A partition that moves.


@pytest.mark.parametrize("target", [ROW, f"/api/v1/recipients/{KNOWN}", f"{ROW}/explanation"])
async def test_a_partition_without_an_owner_is_unavailable(target: str) -> None:
    memory = Memory()
    memory.here = False

    answer = await ask(api(memory), target)

    assert (503, "partition_moving", "2") == (answer.status, answer.code, answer.headers["retry-after"])


@pytest.mark.parametrize("target", [ROW, f"/api/v1/recipients/{KNOWN}", f"{ROW}/explanation"])
async def test_a_partition_that_is_revoked_while_it_is_read_is_unavailable(target: str) -> None:
    memory = Memory()
    memory.moved = True

    answer = await ask(api(memory), target)

    assert (503, "partition_moving") == (answer.status, answer.code)


async def test_a_forwarded_request_is_not_forwarded_again() -> None:
    """Two workers that each take the other for the owner must not forward requests forever."""
    memory = Memory()
    memory.here, memory.url = False, "http://127.0.0.1:1"

    answer = await ask(api(memory), ROW, headers={"aftersend-forwarded": "1"})

    assert (503, "partition_moving") == (answer.status, answer.code)


async def test_an_owner_that_does_not_answer_is_unreachable() -> None:
    memory = Memory()
    memory.here, memory.url = False, "http://127.0.0.1:1"
    of = api(memory)
    try:
        answer = await ask(of, ROW)
    finally:
        await of.close()

    assert (503, "owner_unreachable", "2") == (answer.status, answer.code, answer.headers["retry-after"])


# Anything at all.

_API = api(Memory())
_bytes = st.binary(max_size=60)
_segments = st.one_of(
    _bytes.map(lambda raw: quote(raw, safe="").encode()),
    _bytes.map(lambda raw: raw.replace(b"?", b"")),
    st.text(max_size=20).map(lambda text: quote(text.encode("utf-8", "replace"), safe="").encode()),
    st.sampled_from(
        [b"deliveries", b"recipients", b"explanation", b"openapi.json", b"sale", KNOWN.encode(), b"", b".."]
    ),
)
_paths = st.lists(_segments, max_size=6).map(b"/".join)
_queries = st.one_of(
    st.just(b""),
    _bytes,
    st.builds(
        lambda name, value: name + b"=" + value,
        st.sampled_from([b"limit", b"after", b"sort", b"raw"]),
        st.one_of(_bytes, _bytes.map(lambda raw: quote(raw, safe="").encode()), st.sampled_from([b"1", b"true"])),
    ),
)


@settings(max_examples=1500)
@given(_paths, _queries, st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "BREW"]), st.booleans())
async def test_no_request_is_ever_a_server_error(path: bytes, query: bytes, method: str, viewer: bool) -> None:
    token = VIEWER if viewer else None
    answer = await ask(_API, b"/api/v1/" + path + b"?" + query, method=method, token=token)

    assert answer.status in {200, *STATUSES.values()} - {503}
    if method == "GET" and answer.status != 200:
        assert STATUSES[answer.code] == answer.status  # type: ignore[index]  # a Code is a str


@given(st.text(st.characters(max_codepoint=255), max_size=200))
async def test_no_header_is_ever_a_server_error(value: str) -> None:
    answer = await ask(_API, ROW, token=None, headers={"authorization": value, "host": value})

    assert 401 == answer.status


async def test_the_document_has_every_route_and_every_schema_is_sound() -> None:
    answer = await ask(api(Memory()), "/api/v1/openapi.json", token=None)
    document = answer.body

    assert {route.path for route in ROUTES} == set(document["paths"])
    assert "1.2.3" == document["info"]["version"]
    assert "3.1.0" == document["openapi"]
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    examples = {
        "/openapi.json": "/openapi.json",
        "/deliveries": "/deliveries?limit=5",
        "/deliveries/{delivery_id}": "/deliveries/sale",
        "/deliveries/{delivery_id}/recipients/{recipient}": f"/deliveries/sale/recipients/{KNOWN}",
        "/deliveries/{delivery_id}/recipients/{recipient}/explanation": (
            f"/deliveries/sale/recipients/{KNOWN}/explanation"
        ),
        "/recipients/{recipient}": f"/recipients/{KNOWN}",
    }
    assert {route.path for route in ROUTES if route.question is None} == set(examples)
    for path, example in examples.items():
        for token in (VIEWER, "nobody's token"):
            found = await ask(api(Memory()), f"/api/v1{example}", token=token)
            described = document["paths"][path]["get"]["responses"][str(found.status)]
            schema = described["content"]["application/json"]["schema"]
            jsonschema.validate(found.body, {**schema, "components": document["components"]})
