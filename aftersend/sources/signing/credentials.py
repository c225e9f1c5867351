"""Credentials in the Authorization header: `Basic` with `user:password` (RFC 7617), or `Bearer` (RFC 6750).

For sources that sign nothing: whoever has the secret may post. The secret is the text that stands behind the scheme,
decoded in the case of `Basic`.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode, b64encode
from typing import Final

from aftersend.sources.webhook import Accepted, SignatureError, Verifier, WebhookOptions, WebhookRequest

HEADER: Final = "authorization"

#: A secret that is shown, not used to sign, must be too long to be guessed, characters.
MIN_LENGTH: Final = 16

_ACCEPTED: Final = Accepted()
_BASIC, _BEARER = "basic", "bearer"


def verifier(options: WebhookOptions) -> Verifier:
    """Return the check of requests for an installation's secrets; all of them count.

    Raises:
        ValueError: if there is no secret, or one that is too short.
    """
    if not options.secrets:
        raise ValueError("requests are checked by their credentials, and none are set")
    if any(len(secret) < MIN_LENGTH for secret in options.secrets):
        raise ValueError(f"a secret has less than {MIN_LENGTH} characters")
    return check_of(options.secrets)


def check_of(secrets: tuple[str, ...]) -> Verifier:
    """Return the check of requests for some secrets, whatever their length."""
    wanted = [secret.encode() for secret in secrets]

    async def verify(request: WebhookRequest) -> Accepted:
        scheme, _, given = request.headers.get(HEADER, "").partition(" ")
        shown = _shown(scheme.lower(), given.strip())
        # All are compared, each in constant time: nothing takes longer for a better guess.
        if sum([hmac.compare_digest(shown, secret) for secret in wanted]):
            return _ACCEPTED
        raise SignatureError("the Authorization header is missing or wrong")

    return verify


def basic(secret: str) -> dict[str, str]:
    """Return the header that shows a secret (`user:password`) by the scheme `Basic`."""
    return {"Authorization": f"Basic {b64encode(secret.encode()).decode()}"}


def _shown(scheme: str, given: str) -> bytes:
    """Return the secret that a request shows, empty if it shows none."""
    if scheme == _BEARER:
        return given.encode("latin-1", "replace")
    if scheme == _BASIC:
        try:
            return b64decode(given, validate=True)
        except (binascii.Error, ValueError):
            return b""
    return b""
