"""Webhooks of a source: limits of a request, and the check of its signature or credentials.

The gateway uses nothing else of a source: it stores a body in Kafka unchanged and does not parse it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Final

import msgspec

#: How far in the future a signature's time may be, seconds: clocks that are set by NTP differ by less than a second,
#: those that are set by hand by minutes.
MAX_FUTURE_SECONDS: Final = 300.0


class SignatureError(ValueError):
    """A request is not genuine, or too old. The message says why, without anything secret."""


class WebhookRequest(msgspec.Struct, frozen=True):
    """One request, as it came."""

    #: Names in lower case.
    headers: Mapping[str, str]
    #: Not parsed, not changed: signatures are over these bytes.
    body: bytes
    #: When it came, seconds since 1970.
    received_at: float
    #: Path and query of the request's line, as they came. Only for sources whose requests prove nothing else: a
    #: secret may be in there. Never logged.
    target: str = ""


class Accepted(msgspec.Struct, frozen=True):
    """What the gateway has to do with a request that is genuine, besides storing it."""

    #: An address to GET once the body is stored, such as the confirmation of a subscription; "": none.
    confirm_url: str = ""


#: Checks a request. Raises `SignatureError` if it is not genuine, and `OSError` if that can't be decided now because a
#: certificate could not be fetched: then the answer has to be a 5xx, for the provider to retry (some take a 4xx as
#: final, `Webhook.final_statuses`). It may await nothing but `WebhookOptions.fetch`.
Verifier = Callable[[WebhookRequest], Awaitable[Accepted]]


class WebhookOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What an installation sets for a source's webhooks."""

    #: Keys that signatures are checked with, in the provider's own form; two while they are being rotated. Where the
    #: provider signs with certificates of its own, what a message may come from, such as topic ARNs.
    secrets: tuple[str, ...] = ()
    #: How old a signed timestamp may be (`check_age`), where the scheme has one, seconds; 0: any.
    #: Providers may keep the first timestamp when they try again.
    tolerance: float = 0.0
    #: GETs an https address and returns the body; raises OSError. Only for addresses that the source has checked.
    fetch: Callable[[str], Awaitable[bytes]]
    #: Addresses whose certificates `fetch` reads from files of the installation: no authority has to have issued them.
    own_certificates: frozenset[str] = frozenset()


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """The endpoint of one source."""

    #: Media types that a body may have, lower case, without parameters; empty: any.
    content_types: frozenset[str] = frozenset()
    #: The longest body that the provider sends, bytes.
    max_bytes: int
    #: The provider gives up waiting for an answer after so many seconds.
    answer_within: float
    #: Makes the check for an installation's options; raises ValueError where the secrets can't be keys.
    verifier: Callable[[WebhookOptions], Verifier]
    #: What the secrets are and where the provider shows them, for the settings' documentation and error messages.
    secrets_help: str
    #: How old a signed timestamp may be unless the installation says otherwise, seconds.
    tolerance: float = 0.0
    #: Returns what a secret stands for, so that two ways to write one key are one secret; raises ValueError where it
    #: can't be one.
    secret_identity: Callable[[str], Hashable] = str.strip
    #: Whether requests are signed by nobody and show credentials instead (`aftersend.sources.signing.credentials`). The
    #: same secret as the last part of the path is enough then.
    by_credentials: bool = False
    #: HTTP statuses of answers after which the provider does not send the request again. All others from 300 on make it
    #: retry.
    final_statuses: frozenset[int] = frozenset()


def check_age(signed_at: float, received_at: float, tolerance: float) -> None:
    """Check the time of a signature against that of the request, both in seconds since 1970.

    The past is as long as the provider retries. The future is for clocks that differ only, whatever the scheme: a
    signature from tomorrow could be used until tomorrow and the whole tolerance after it.

    Args:
        signed_at: the signature's time.
        received_at: the request's time.
        tolerance: how old the signature may be, seconds. It may be no further in the future, and no further than
            `MAX_FUTURE_SECONDS`.

    Raises:
        SignatureError: if it is older, or too far in the future.
    """
    age = received_at - signed_at
    if age > tolerance:
        raise SignatureError(f"it was signed {age:.0f} s ago, more than {tolerance:.0f} s")
    future = min(tolerance, MAX_FUTURE_SECONDS)
    if -age > future:
        raise SignatureError(f"it was signed {-age:.0f} s from now, more than {future:.0f} s")
