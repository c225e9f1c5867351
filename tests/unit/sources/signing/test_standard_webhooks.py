"""Signatures as Standard Webhooks has them."""

from __future__ import annotations

from base64 import b64encode
from typing import Final

import pytest

from aftersend.sources.signing.standard_webhooks import (
    ID_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    TOLERANCE,
    read_secret,
    sign,
    verifier,
)
from aftersend.sources.webhook import Accepted, SignatureError, WebhookOptions, WebhookRequest

NOW: Final = 1_757_675_281
BODY: Final = b'{"type":"planned"}\r\n'
SECRETS: Final = [f"whsec_{b64encode(bytes([number]) * 24).decode()}" for number in (1, 2)]


async def verify(
    headers: dict[str, str], *secrets: str, body: bytes = BODY, now: float = NOW, tolerance: float = TOLERANCE
) -> Accepted:
    options = WebhookOptions(secrets=secrets or (SECRETS[0],), tolerance=tolerance, fetch=_no_fetch)
    return await verifier(options)(WebhookRequest(headers, body, now))


async def _no_fetch(_url: str) -> bytes:
    raise AssertionError


async def test_the_example_of_the_specification() -> None:
    """Secret, id, timestamp, payload and signature as the reference implementations' tests have them."""
    headers = {
        ID_HEADER: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        TIMESTAMP_HEADER: "1614265330",
        SIGNATURE_HEADER: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert headers == sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert Accepted() == await verify(headers, secret, body=b'{"test": 2432232314}', now=1614265330)


@pytest.mark.parametrize("secret", SECRETS)
async def test_either_secret_while_they_are_changed(secret: str) -> None:
    assert Accepted() == await verify(sign(secret, "id", NOW, BODY), *SECRETS)


async def test_one_of_several_signatures_is_enough() -> None:
    headers = sign(SECRETS[0], "id", NOW, BODY)
    headers[SIGNATURE_HEADER] = f"v1a,other v1,{b64encode(b'wrong').decode()} {headers[SIGNATURE_HEADER]}"
    assert Accepted() == await verify(headers)


@pytest.mark.parametrize("ahead", [TOLERANCE, -TOLERANCE])
async def test_within_the_tolerance(ahead: float) -> None:
    assert Accepted() == await verify(sign(SECRETS[0], "id", NOW, BODY), now=NOW + ahead)


@pytest.mark.parametrize("ahead", [TOLERANCE + 1, -TOLERANCE - 1])
async def test_beyond_the_tolerance(ahead: float) -> None:
    with pytest.raises(SignatureError, match="more than 300 s"):
        await verify(sign(SECRETS[0], "id", NOW, BODY), now=NOW + ahead)


@pytest.mark.parametrize(
    "header, value, message",
    [
        (ID_HEADER, "other", "wrong"),
        (ID_HEADER, "", "webhook-id is missing"),
        (TIMESTAMP_HEADER, str(NOW + 1), "wrong"),
        (TIMESTAMP_HEADER, "soon", "no number"),
        (TIMESTAMP_HEADER, "٣", "no number"),
        (SIGNATURE_HEADER, "", "missing"),
        (SIGNATURE_HEADER, "v2,abc", "version v1"),
        (SIGNATURE_HEADER, "v1,", "wrong"),
        (SIGNATURE_HEADER, "v1,ä", "wrong"),
        (SIGNATURE_HEADER, "v1," + "x" * 3000, "too long"),
    ],
)
async def test_what_is_not_genuine(header: str, value: str, message: str) -> None:
    with pytest.raises(SignatureError, match=message):
        await verify(sign(SECRETS[0], "id", NOW, BODY) | {header: value})


async def test_another_body_or_secret() -> None:
    for secrets, body in (((), BODY + b" "), ((SECRETS[1],), BODY)):
        with pytest.raises(SignatureError, match="wrong"):
            await verify(sign(SECRETS[0], "id", NOW, BODY), *secrets, body=body)
    with pytest.raises(SignatureError, match="none of the 2 secrets"):
        await verify(sign(SECRETS[0], "id", NOW, BODY), *SECRETS, body=b"")


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_abc", "not base64!", b64encode(b"short").decode()])
def test_what_is_no_secret_is_said_without_showing_it(secret: str) -> None:
    with pytest.raises(ValueError, match="secret 2") as error:
        read_secret(secret, 2)
    assert not secret or secret not in str(error.value)


def test_without_a_secret_there_is_no_check() -> None:
    with pytest.raises(ValueError, match="none is set"):
        verifier(WebhookOptions(fetch=_no_fetch))
