"""Authentication of requests."""

import pytest

from aftersend.console.auth import TokenAuth
from aftersend.console.errors import ApiError
from tests.unit.console.factories import OPERATOR, VIEWER, Memory, api, ask

TOKENS = {OPERATOR: "operator", VIEWER: "viewer"}
HOST = "127.0.0.1:6066"


@pytest.mark.parametrize("token, role", TOKENS.items())
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
def test_each_token_has_its_role(token: str, role: str, scheme: str) -> None:
    assert role == TokenAuth(TOKENS).role(f"{scheme} {token}", HOST)


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", OPERATOR, f"Basic {OPERATOR}", f"Bearer {OPERATOR}x", "Bearer \udcff"]
)
def test_a_request_without_a_valid_token_is_rejected(header: str | None) -> None:
    with pytest.raises(ApiError) as refused:
        TokenAuth(TOKENS).role(header, HOST)

    assert (401, "unauthorized") == (refused.value.status, refused.value.code)
    assert "Bearer" in refused.value.headers["WWW-Authenticate"]


async def test_without_tokens_the_api_is_off() -> None:
    answer = await ask(api(Memory(), tokens={}), "/api/v1/deliveries")

    assert (404, "api_off") == (answer.status, answer.code)


@pytest.mark.parametrize("host", ["127.0.0.1:6066", "localhost:6066", "localhost", "[::1]:6066", "LOCALHOST"])
def test_an_open_api_serves_this_machine(host: str) -> None:
    assert "operator" == TokenAuth({}, open_to_all=True).role(None, host)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:6066", "127.0.0.1.evil.example", "", None])
def test_an_open_api_rejects_requests_to_other_hosts(host: str | None) -> None:
    """DNS rebinding: a foreign name that resolves to this machine."""
    with pytest.raises(ApiError) as refused:
        TokenAuth({}, open_to_all=True).role(None, host)

    assert 403 == refused.value.status


def test_tokens_close_an_open_api() -> None:
    with pytest.raises(ApiError):
        TokenAuth(TOKENS, open_to_all=True).role(None, HOST)
