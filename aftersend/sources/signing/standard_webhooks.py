"""Signatures as Standard Webhooks has them: HMAC-SHA256 of id, timestamp and body (version 1).

Source: the specification at standardwebhooks.com. For sources that are the installation's own systems, since they sign
as they are told to; libraries for it exist in most languages.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Final

from aftersend.sources.webhook import Accepted, SignatureError, Verifier, WebhookOptions, WebhookRequest, check_age

ID_HEADER: Final = "webhook-id"
TIMESTAMP_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"

#: How far a signature's time may be from ours, seconds, as the specification recommends.
TOLERANCE: Final = 300.0

_PREFIX: Final = "whsec_"
_VERSION: Final = "v1"
#: The specification's bounds for a secret, bytes.
_MIN_SECRET: Final = 24
_MAX_SECRET: Final = 64
#: Headers that are longer than this have nothing to say: an id, and a signature for each of some keys.
_MAX_HEADER: Final = 2_048
_MAX_DIGITS: Final = 12


def verifier(options: WebhookOptions) -> Verifier:
    """Return the check of requests for an installation's secrets.

    Raises:
        ValueError: if there is no secret, or one that is none of the specification's.
    """
    if not options.secrets:
        raise ValueError("requests are checked with a shared secret, and none is set")
    keys = [read_secret(secret, place) for place, secret in enumerate(options.secrets, 1)]
    tolerance = options.tolerance

    async def verify(request: WebhookRequest) -> Accepted:
        ident = _header(request, ID_HEADER)
        timestamp = _header(request, TIMESTAMP_HEADER)
        if tolerance:
            check_age(_seconds(timestamp), request.received_at, tolerance)
        given = _signatures(_header(request, SIGNATURE_HEADER))
        signed = f"{ident}.{timestamp}.".encode() + request.body
        for key in keys:
            right = b64encode(hmac.digest(key, signed, sha256))
            # All are compared, and each in constant time: nothing takes longer for a better guess.
            if any([hmac.compare_digest(right, one) for one in given]):  # noqa: C419 - not to stop at the first
                return Accepted()
        raise SignatureError(
            f"the signature fits none of the {len(keys)} secrets" if len(keys) > 1 else "the signature is wrong"
        )

    return verify


def sign(secret: str, ident: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of a signed request.

    Args:
        secret: as it is set.
        ident: of the message; the same when it is sent again.
        timestamp: of this attempt, seconds since 1970.
        body: the bytes that are sent.

    Raises:
        ValueError: if the secret is none.
    """
    signature = b64encode(hmac.digest(read_secret(secret), f"{ident}.{timestamp}.".encode() + body, sha256)).decode()
    return {ID_HEADER: ident, TIMESTAMP_HEADER: str(timestamp), SIGNATURE_HEADER: f"{_VERSION},{signature}"}


def read_secret(secret: str, place: int = 1) -> bytes:
    """Return the key of a secret: base64, with or without `whsec_` before it.

    Args:
        secret: as it is set.
        place: its number in the setting, for the error's text; the secret itself is not shown.

    Raises:
        ValueError: if it is no base64 of 24 to 64 bytes.
    """
    try:
        key = b64decode(secret.strip().removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(
            f"secret {place} is no base64 (`whsec_` and base64 of {_MIN_SECRET} to {_MAX_SECRET} random bytes)"
        ) from error
    if not _MIN_SECRET <= len(key) <= _MAX_SECRET:
        raise ValueError(f"secret {place} has {len(key)} bytes, not {_MIN_SECRET} to {_MAX_SECRET}")
    return key


def _header(request: WebhookRequest, name: str) -> str:
    value = request.headers.get(name, "")
    if not value or len(value) > _MAX_HEADER:
        raise SignatureError(f"the header {name} is missing" if not value else f"the header {name} is too long")
    return value


def _signatures(header: str) -> list[bytes]:
    """Return the signatures of our version, of which there may be several while a secret is being changed."""
    pairs = [part.partition(",") for part in header.split(" ")]
    found = [signature.encode() for version, _, signature in pairs if version == _VERSION]
    if not found:
        raise SignatureError(f"the header {SIGNATURE_HEADER} holds no signature of version {_VERSION}")
    return found


def _seconds(timestamp: str) -> int:
    """Return the seconds since 1970 that a header holds."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _MAX_DIGITS):
        raise SignatureError(f"the header {TIMESTAMP_HEADER} is no number of seconds")
    return int(timestamp)
