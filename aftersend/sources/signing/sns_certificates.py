"""The certificates that Amazon SNS signs with: fetched once, kept while they are valid."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from aftersend.sources.webhook import SignatureError

#: SNS uses one or two at a time in each region.
_MAX_KEPT: Final = 64
#: More at the same time are no provider's doing.
_MAX_FETCHES: Final = 8
#: Seconds after a failure before the same address is asked again.
_PAUSE: Final = 10.0
_MIN_KEY_BITS: Final = 2048

_HOST: Final = re.compile(r"sns\.[a-z0-9-]{1,40}\.amazonaws\.com(?:\.cn)?")
_PATH: Final = re.compile(r"/SimpleNotificationService-[A-Za-z0-9]{1,64}\.pem")

T = TypeVar("T")


class Certificate(NamedTuple):
    """What is kept of a certificate."""

    key: RSAPublicKey
    #: When it is valid, seconds since 1970.
    not_before: float
    not_after: float


class _Failure(NamedTuple):
    until: float
    why: str


class Certificates:
    """The keys of SNS by the addresses of their certificates.

    Args:
        fetch: GETs an https address; raises OSError.
    """

    def __init__(self, fetch: Callable[[str], Awaitable[bytes]]) -> None:
        self._fetch = fetch
        self._kept: dict[str, Certificate] = {}
        self._failures: dict[str, _Failure] = {}
        self._fetches: dict[str, asyncio.Task[Certificate]] = {}

    async def key(self, url: str, now: float) -> RSAPublicKey:
        """Return the public key of the certificate at an address.

        Args:
            url: `SigningCertURL` of a message.
            now: seconds since 1970.

        Raises:
            SignatureError: if the address is not SNS's, or the certificate is not valid now.
            OSError: if it can't be fetched now.
        """
        check_address(url, _PATH)
        certificate = self._kept.get(url) or await self._wait_for(url, now)
        if not certificate.not_before <= now <= certificate.not_after:
            raise SignatureError("the certificate that it was signed with is not valid now")
        return certificate.key

    async def _wait_for(self, url: str, now: float) -> Certificate:
        """Return a certificate that is not there yet; all who want it at the same time wait for one fetch."""
        failure = self._failures.get(url)
        if failure is not None and now < failure.until:
            raise OSError(failure.why)
        task = self._fetches.get(url)
        if task is None:
            if len(self._fetches) >= _MAX_FETCHES:
                raise OSError("too many certificates are being fetched")
            task = self._fetches[url] = asyncio.create_task(self._load(url, now))
            task.add_done_callback(lambda done: self._forget(url, done))
        # Whoever gives up waiting must not end the fetch for the others.
        return await asyncio.shield(task)

    def _forget(self, url: str, task: asyncio.Task[Certificate]) -> None:
        del self._fetches[url]
        if not task.cancelled():
            task.exception()  # everybody may have given up waiting: then nobody has asked for it

    async def _load(self, url: str, now: float) -> Certificate:
        try:
            certificate = _read(await self._fetch(url))
        except OSError as error:
            message = f"the certificate can't be fetched: {error}"
            _keep(self._failures, url, _Failure(now + _PAUSE, message))
            raise OSError(message) from error
        _keep(self._kept, url, certificate)
        return certificate


def check_address(url: str, path: re.Pattern[str]) -> None:
    """Check that an address is SNS's own: nothing else in a message says whose certificate it names.

    Args:
        url: as the message has it.
        path: what its path has to be.

    Raises:
        SignatureError: if it is not.
    """
    # Python strips some characters from an address before it takes it apart; none of them belongs there.
    plain = url.isascii() and url.isprintable() and not any(c in url for c in " \\")
    try:
        parts = urlsplit(url) if plain else None
    except ValueError:  # half an IPv6 address
        parts = None
    if (
        parts is None
        or parts.scheme != "https"
        or not _HOST.fullmatch(parts.netloc)
        or not path.fullmatch(parts.path)
        or parts.fragment
    ):
        raise SignatureError(f"not an address of Amazon SNS: {url[:200]!r}")


def _read(pem: bytes) -> Certificate:
    """Return a certificate.

    Raises:
        OSError: if it is none: what answered was not SNS.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        key = certificate.public_key()
    except ValueError as error:
        raise OSError("what came is no certificate") from error
    if not isinstance(key, RSAPublicKey) or key.key_size < _MIN_KEY_BITS:
        raise OSError(f"the certificate has no RSA key of {_MIN_KEY_BITS} bits")
    return Certificate(key, certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp())


def _keep(kept: dict[str, T], url: str, value: T) -> None:
    """Keep a value, and not too many of them: the oldest goes."""
    kept.pop(url, None)
    kept[url] = value
    if len(kept) > _MAX_KEPT:
        del kept[next(iter(kept))]
