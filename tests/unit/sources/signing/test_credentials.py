"""Credentials in the Authorization header."""

from base64 import b64encode

import pytest

from aftersend.sources.signing.credentials import MIN_LENGTH, basic, verifier
from aftersend.sources.webhook import Accepted, SignatureError, WebhookOptions, WebhookRequest

FIRST = "hook:a-long-password"
SECOND = "hook:another-password"


async def nothing(url: str) -> bytes:
    raise OSError(url)


def options(*secrets: str) -> WebhookOptions:
    return WebhookOptions(secrets=secrets, fetch=nothing)


def request(authorization: str | None) -> WebhookRequest:
    headers = {} if authorization is None else {"authorization": authorization}
    return WebhookRequest(headers, b"{}", 0.0)


def coded(secret: str) -> str:
    return b64encode(secret.encode()).decode()


@pytest.mark.parametrize(
    "authorization",
    [
        f"Basic {coded(FIRST)}",
        f"Basic {coded(SECOND)}",
        f"basic  {coded(FIRST)} ",
        f"Bearer {FIRST}",
        f"BEARER {SECOND}",
        basic(FIRST)["Authorization"],
    ],
)
async def test_every_secret_that_is_set_is_accepted(authorization: str) -> None:
    assert Accepted() == await verifier(options(FIRST, SECOND))(request(authorization))


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        f"Basic {coded(FIRST)[:-2]}",
        f"Basic {coded('hook:')}",
        f"Basic {coded(FIRST + 'x')}",
        f"Basic {FIRST}",
        "Basic !!!!",
        "Basic ÿ",
        f"Bearer {coded(FIRST)}",
        f"Digest {FIRST}",
        FIRST,
        "Bearer 名",
    ],
)
async def test_anything_else_is_refused(authorization: str | None) -> None:
    with pytest.raises(SignatureError, match="missing or wrong"):
        await verifier(options(FIRST, SECOND))(request(authorization))


@pytest.mark.parametrize(
    "secrets, words", [((), "none are set"), (("short:one",), str(MIN_LENGTH)), ((FIRST, "x"), str(MIN_LENGTH))]
)
def test_secrets_that_can_not_be_some(secrets: tuple[str, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        verifier(options(*secrets))
    assert not any(secret in str(caught.value) for secret in secrets)
