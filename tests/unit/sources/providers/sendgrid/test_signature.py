"""SendGrid's signatures."""

from base64 import b64encode
from typing import Final

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aftersend.sources.providers.sendgrid.signature import (
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    key_bytes,
    read_key,
    verifier,
)
from aftersend.sources.webhook import Accepted, SignatureError, WebhookOptions, WebhookRequest

NOW: Final = 1_757_675_281.0
BODY: Final = b'[{"event":"open"}]\r\n'
KEYS: Final = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]


def shown(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    """Return a key as SendGrid shows it."""
    return b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def signed(
    key: ec.EllipticCurvePrivateKey = KEYS[0], body: bytes = BODY, timestamp: str = f"{NOW:.0f}"
) -> dict[str, str]:
    """Return the headers of a request."""
    signature = key.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    return {SIGNATURE_HEADER: b64encode(signature).decode(), TIMESTAMP_HEADER: timestamp}


async def verify(
    headers: dict[str, str], *secrets: str, body: bytes = BODY, tolerance: float = 60.0, now: float = NOW
) -> Accepted:
    options = WebhookOptions(secrets=secrets or (shown(KEYS[0]),), tolerance=tolerance, fetch=_no_fetch)
    return await verifier(options)(WebhookRequest(headers, body, now))


async def _no_fetch(_url: str) -> bytes:
    raise AssertionError


async def test_a_genuine_request() -> None:
    assert Accepted() == await verify(signed())


async def test_a_key_as_pem() -> None:
    assert Accepted() == await verify(signed(), pem(KEYS[0]))


async def test_a_key_with_line_breaks() -> None:
    key = shown(KEYS[0])
    assert Accepted() == await verify(signed(), f" {key[:64]}\n{key[64:]}\n")


@pytest.mark.parametrize("key", KEYS)
async def test_two_keys_while_they_are_changed(key: ec.EllipticCurvePrivateKey) -> None:
    assert Accepted() == await verify(signed(key), *map(shown, KEYS))


async def test_a_key_that_is_not_set() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(SignatureError, match="none of the 2 keys"):
        await verify(signed(other), *map(shown, KEYS))


@pytest.mark.parametrize("body", [BODY.strip(), BODY + b" ", b""])
async def test_a_body_that_was_changed(body: bytes) -> None:
    with pytest.raises(SignatureError, match="wrong"):
        await verify(signed(), body=body)


async def test_a_timestamp_that_was_changed() -> None:
    with pytest.raises(SignatureError, match="wrong"):
        await verify(signed() | {TIMESTAMP_HEADER: f"{NOW + 1:.0f}"})


@pytest.mark.parametrize("off", [-61, 61])
async def test_a_timestamp_too_far_away(off: int) -> None:
    with pytest.raises(SignatureError, match="61 s"):
        await verify(signed(timestamp=f"{NOW + off:.0f}"))


async def test_the_future_is_for_clocks_that_differ_however_long_the_past_is() -> None:
    day = 25 * 3600.0
    assert Accepted() == await verify(signed(timestamp=f"{NOW + 299:.0f}"), tolerance=day)
    assert Accepted() == await verify(signed(timestamp=f"{NOW - day + 1:.0f}"), tolerance=day)
    with pytest.raises(SignatureError, match="301 s from now, more than 300 s"):
        await verify(signed(timestamp=f"{NOW + 301:.0f}"), tolerance=day)


async def test_without_a_tolerance_the_age_is_not_asked() -> None:
    assert Accepted() == await verify(signed(timestamp="a day"), tolerance=0.0)


@pytest.mark.parametrize("timestamp", ["soon", "-1", "1e9", "9" * 20, "\uff11\uff12", "1757675281.5"])
async def test_a_timestamp_that_is_none(timestamp: str) -> None:
    with pytest.raises(SignatureError, match="no number of seconds"):
        await verify(signed(timestamp=timestamp))


@pytest.mark.parametrize("missing", [SIGNATURE_HEADER, TIMESTAMP_HEADER])
@pytest.mark.parametrize("there", [True, False])
async def test_a_header_that_is_missing(missing: str, there: bool) -> None:
    headers = {name: value for name, value in signed().items() if name != missing}
    with pytest.raises(SignatureError, match="the request has no"):
        await verify(headers | ({missing: ""} if there else {}))


@pytest.mark.parametrize("signature", ["?", "é", "a", "YQ==" * 100])
async def test_a_signature_that_is_no_base64(signature: str) -> None:
    with pytest.raises(SignatureError, match="no base64"):
        await verify(signed() | {SIGNATURE_HEADER: signature})


@pytest.mark.parametrize("secret", ["", "incorrect", "-----BEGIN PUBLIC KEY-----", b64encode(b"no key").decode(), "é"])
def test_a_secret_that_is_no_key(secret: str) -> None:
    with pytest.raises(ValueError, match="key 2 is no public key") as raised:
        read_key(secret, 2)
    assert not secret or secret not in str(raised.value)


@pytest.mark.parametrize(
    "key", [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())], ids=["RSA", "P-384"]
)
def test_a_key_of_another_kind(key: ec.EllipticCurvePrivateKey) -> None:
    with pytest.raises(ValueError, match="P-256"):
        read_key(shown(key))


def test_a_key_is_the_same_however_it_is_written() -> None:
    assert 1 == len({key_bytes(shown(KEYS[0])), key_bytes(pem(KEYS[0])), key_bytes(f"{pem(KEYS[0])}\n")})
    assert key_bytes(shown(KEYS[0])) != key_bytes(shown(KEYS[1]))


def test_no_key_at_all() -> None:
    with pytest.raises(ValueError, match="none is set"):
        verifier(WebhookOptions(fetch=_no_fetch))
