"""How SendGrid signs its Event Webhook: ECDSA over P-256 with SHA-256, of the timestamp and the body as it came.

Source: Twilio SendGrid, "Getting Started with the Event Webhook Security Features".
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from aftersend.sources.webhook import Accepted, SignatureError, Verifier, WebhookOptions, WebhookRequest, check_age

SIGNATURE_HEADER: Final = "x-twilio-email-event-webhook-signature"
TIMESTAMP_HEADER: Final = "x-twilio-email-event-webhook-timestamp"

#: Longer than any DER signature over P-256 in base64 (72 octets).
_MAX_SIGNATURE: Final = 128

_ALGORITHM: Final = ECDSA(SHA256())


def verifier(options: WebhookOptions) -> Verifier:
    """Return the check of requests for an installation's keys.

    Raises:
        ValueError: if there is no key, or one that is not SendGrid's.
    """
    if not options.secrets:
        raise ValueError("SendGrid's requests are checked with its public key, and none is set")
    keys = [read_key(secret, place) for place, secret in enumerate(options.secrets, 1)]
    tolerance = options.tolerance

    async def verify(request: WebhookRequest) -> Accepted:
        signature = _signature(request.headers.get(SIGNATURE_HEADER, ""))
        timestamp = request.headers.get(TIMESTAMP_HEADER, "")
        if not timestamp:
            raise SignatureError("the request has no timestamp")
        if tolerance:
            check_age(_seconds(timestamp), request.received_at, tolerance)
        # A signature is checked, not compared: nothing here takes longer for a better guess.
        signed = timestamp.encode() + request.body
        for key in keys:
            try:
                key.verify(signature, signed, _ALGORITHM)
            except InvalidSignature:
                continue
            return Accepted()
        raise SignatureError(
            f"the signature fits none of the {len(keys)} keys" if len(keys) > 1 else "the signature is wrong"
        )

    return verify


def read_key(secret: str, place: int = 1) -> EllipticCurvePublicKey:
    """Return a public key: base64 of DER, as SendGrid shows it, or PEM.

    Args:
        secret: the key's text.
        place: its number in the setting, for the error's text; the key itself is not shown.

    Raises:
        ValueError: if it is no public key on the curve P-256.
    """
    text = secret.strip()
    try:
        if text.startswith("-----BEGIN"):
            key = load_pem_public_key(text.encode())
        else:
            key = load_der_public_key(b64decode("".join(text.split()), validate=True))
    except ValueError as error:  # binascii.Error is one, and so is what cryptography raises
        raise ValueError(f"key {place} is no public key (base64 of DER, as SendGrid shows it, or PEM)") from error
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise ValueError(f"key {place} is no ECDSA key on the curve P-256, which SendGrid signs with")  # noqa: TRY004 - what is wrong is a setting
    return key


def key_bytes(secret: str) -> bytes:
    """Return a public key in the one form that it has (DER).

    Raises:
        ValueError: if it is no public key on the curve P-256.
    """
    return read_key(secret).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _signature(text: str) -> bytes:
    if not text:
        raise SignatureError("the request has no signature")
    try:
        if len(text) <= _MAX_SIGNATURE:
            return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        pass  # raised below, as for one that is too long
    raise SignatureError("the signature is no base64")


def _seconds(timestamp: str) -> int:
    """Return the seconds since 1970 that a header holds."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):  # noqa: PLR2004 - year 33658
        raise SignatureError("the timestamp is no number of seconds")
    return int(timestamp)
