import base64
import hashlib
import hmac
import time
from typing import Any

import msgspec
import pytest

from aftersend.config.loading import load
from aftersend.errors import SettingsError
from aftersend.gateway.endpoints import Endpoint, Endpoints
from aftersend.gateway.secrets import Secrets
from aftersend.schemas.raw import TENANT_HEADER
from aftersend.sources.base import Source
from aftersend.sources.webhook import Accepted, SignatureError, Verifier, Webhook, WebhookOptions, WebhookRequest

TOKEN = "a-token-of-the-brand"
PASSWORD = "hook:a-password-for-it"


async def nothing(url: str) -> bytes:
    raise OSError(url)


def signed_by(options: WebhookOptions) -> Verifier:
    """A provider that signs with HMAC, the plainest of all schemes."""
    if "" in options.secrets:
        raise ValueError("a key is empty")

    async def verify(request: WebhookRequest) -> Accepted:
        for secret in options.secrets:
            signature = hmac.new(secret.encode(), request.body, hashlib.sha256).hexdigest()
            if hmac.compare_digest(signature, request.headers.get("signature", "")):
                return Accepted()
        raise SignatureError("the signature is wrong")

    return verify


SIGNING = Source(
    "signing",
    40,
    "Signs",
    lambda _options: lambda _raw: [],
    Webhook(
        content_types=frozenset({"application/json"}),
        max_bytes=2000,
        answer_within=5.0,
        verifier=signed_by,
        secrets_help="the key",
    ),
)
PLAIN = Source("plain", 41, "Signs nothing", lambda _options: lambda _raw: [])


def endpoints(
    secrets: dict[tuple[str, str], tuple[str, ...]], tokens: dict[str, str] | None = None, **settings: Any
) -> Endpoints:
    settings = {"gateway_token_sources": ["plain"], **settings}
    return Endpoints(load(**settings), Secrets(secrets, tokens or {}), {"signing": SIGNING, "plain": PLAIN}, nothing)


def endpoint(found: Endpoint | None) -> Endpoint:
    assert found is not None
    return found


async def accepts(found: Endpoint | None, body: bytes = b"", **headers: str) -> bool:
    verify = endpoint(found).verify
    assert verify is not None
    try:
        await verify(WebhookRequest(headers, body, time.time()))
    except SignatureError:
        return False
    return True


def sign(key: str, body: bytes) -> str:
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def test_without_secrets_all_doors_are_closed() -> None:
    made = endpoints({})
    assert endpoint(made.find("/webhooks/signing")).verify is None
    assert endpoint(made.find("/webhooks/plain")).verify is None


async def test_an_opened_source_has_an_open_door() -> None:
    made = endpoints({}, gateway_open=["plain"])
    assert await accepts(made.find("/webhooks/plain"))
    assert endpoint(made.find("/webhooks/signing")).verify is None


@pytest.mark.parametrize(
    "path", ["", "/", "/webhooks", "/webhooks/", "/webhooks//", "/webhooks/other", "/webhooks/plain/", "signing"]
)
def test_other_paths_lead_nowhere(path: str) -> None:
    assert endpoints({("signing", ""): ("k",), ("plain", ""): (PASSWORD,)}).find(path) is None


async def test_both_keys_count_while_they_are_rotated() -> None:
    made = endpoints({("signing", ""): ("old", "new")})
    results = [await accepts(made.find("/webhooks/signing"), b"x", signature=sign(key, b"x")) for key in ("old", "new")]
    assert [True, True] == results
    assert not await accepts(made.find("/webhooks/signing"), b"x", signature=sign("other", b"x"))


async def test_a_tenant_with_keys_of_its_own_signs_with_them() -> None:
    made = endpoints({("signing", ""): ("ours",), ("signing", "shop"): ("theirs",)}, {TOKEN: "shop"})
    for path in ("/webhooks/signing/shop", f"/webhooks/signing/{TOKEN}"):
        found = endpoint(made.find(path))
        assert ((TENANT_HEADER, b"shop"),) == found.headers
        assert await accepts(found, b"x", signature=sign("theirs", b"x"))
        assert not await accepts(found, b"x", signature=sign("ours", b"x"))
    assert made.find("/webhooks/plain/shop") is None


async def test_what_is_signed_for_one_tenant_is_refused_at_the_path_of_another() -> None:
    secrets: dict[tuple[str, str], tuple[str, ...]]
    secrets = {("signing", tenant): (f"key of {tenant}",) for tenant in ("", "brand", "shop")}
    made = endpoints(secrets, {TOKEN: "shop"})
    paths = {"": "/webhooks/signing", "brand": "/webhooks/signing/brand", "shop": f"/webhooks/signing/{TOKEN}"}
    accepted = {
        (signer, path)
        for signer in paths
        for path in paths
        if await accepts(made.find(paths[path]), b"x", signature=sign(f"key of {signer}", b"x"))
    }
    assert {(tenant, tenant) for tenant in paths} == accepted


@pytest.mark.parametrize("tenants", [("brand", "shop"), ("", "shop")])
@pytest.mark.parametrize("source", ["signing", "plain"])
def test_a_secret_of_two_tenants_is_refused(source: str, tenants: tuple[str, str]) -> None:
    with pytest.raises(SettingsError, match=f"/webhooks/{source}.* and /webhooks/{source}/shop have the same secret"):
        endpoints({(source, tenant): ("a-key-of-its-own " + tenant, " 0123456789abcdef") for tenant in tenants})


def test_one_key_in_two_forms_is_one_secret() -> None:
    """The source says what a secret stands for."""
    assert SIGNING.webhook is not None
    webhook = msgspec.structs.replace(SIGNING.webhook, secret_identity=str.upper)
    secrets = Secrets({("signing", "brand"): ("key",), ("signing", "shop"): ("KEY",)}, {})
    with pytest.raises(SettingsError, match="have the same secret") as caught:
        Endpoints(load(), secrets, {"signing": msgspec.structs.replace(SIGNING, webhook=webhook)}, nothing)
    assert "KEY" not in str(caught.value)


def test_two_sources_and_one_tenant_twice_may_have_one_secret() -> None:
    endpoints({("signing", ""): (PASSWORD, PASSWORD), ("plain", ""): (PASSWORD,)})


async def test_a_tenant_without_secrets_of_its_own_has_none_of_the_source() -> None:
    made = endpoints({("signing", ""): ("k",)}, {TOKEN: "brand"})
    assert endpoint(made.find(f"/webhooks/signing/{TOKEN}")).verify is None
    assert [("signing", "brand")] == made.closed_tenants()


async def test_a_token_does_not_stand_for_a_signature() -> None:
    made = endpoints({("signing", "brand"): ("k",)}, {TOKEN: "brand"})
    assert not await accepts(made.find(f"/webhooks/signing/{TOKEN}"))
    assert endpoint(endpoints({}, {TOKEN: "brand"}).find(f"/webhooks/signing/{TOKEN}")).verify is None


async def test_a_token_is_enough_where_nothing_is_signed() -> None:
    made = endpoints({("plain", ""): (PASSWORD,)}, {TOKEN: "brand"})
    assert ((TENANT_HEADER, b"brand"),) == endpoint(made.find(f"/webhooks/plain/{TOKEN}")).headers
    assert await accepts(made.find(f"/webhooks/plain/{TOKEN}"))
    assert () == endpoint(made.find(f"/webhooks/plain/{PASSWORD}")).headers
    assert await accepts(made.find(f"/webhooks/plain/{PASSWORD}"))
    assert made.find(f"/webhooks/plain/{TOKEN}x") is None


async def test_a_token_is_not_enough_where_it_is_not_meant_for() -> None:
    """Such as for operators' orders."""
    closed = endpoints({}, {TOKEN: "brand"}, gateway_token_sources=[])
    assert endpoint(closed.find(f"/webhooks/plain/{TOKEN}")).verify is None
    guarded = endpoints({("plain", "brand"): (PASSWORD,)}, {TOKEN: "brand"}, gateway_token_sources=[])
    found = guarded.find(f"/webhooks/plain/{TOKEN}")
    assert not await accepts(found)
    assert await accepts(found, authorization=f"Bearer {PASSWORD}")


@pytest.mark.parametrize(
    "given, expected",
    [
        ("", False),
        (f"Bearer {PASSWORD}", True),
        (f"bearer  {PASSWORD} ", True),
        ("Bearer", False),
        ("Bearer hook:other", False),
        ("Bearer \xe9", False),
        ("Basic " + base64.b64encode(PASSWORD.encode()).decode(), True),
        ("Basic " + base64.b64encode(b"hook:other").decode(), False),
        ("Basic %%%", False),
        (f"Digest {PASSWORD}", False),
    ],
)
async def test_credentials_go_into_the_authorization_header(given: str, expected: bool) -> None:
    found = endpoint(endpoints({("plain", ""): ("another-long-one", PASSWORD)}).find("/webhooks/plain"))
    assert found.by_credentials
    assert expected == await accepts(found, authorization=given)


def test_the_provider_and_the_installation_both_bound_a_body() -> None:
    assert 2000 == endpoint(endpoints({}).find("/webhooks/signing")).max_bytes
    assert 1500 == endpoint(endpoints({}, gateway_max_body_bytes=1500).find("/webhooks/signing")).max_bytes


@pytest.mark.parametrize(
    "secrets, settings, words",
    [
        ({("signing", ""): ("",)}, {}, "signing: a key is empty; wanted: the key"),
        ({("plain", ""): ("short",)}, {}, "less than 16 characters"),
        ({("other", ""): ("k",)}, {}, "there is no source other"),
        ({}, {"gateway_open": ["other"]}, "there is no source other"),
        ({}, {"gateway_token_sources": ["other"]}, "gateway_token_sources.*there is no source other"),
    ],
)
def test_wrong_secrets_are_told(
    secrets: dict[tuple[str, str], tuple[str, ...]], settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        endpoints(secrets, **settings)
