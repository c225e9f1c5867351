"""The certificates that Amazon SNS signs with: fetched once, kept while they are valid."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from aftersend.sources.signing.certificate_chains import check_issuer, names_of
from aftersend.sources.signing.sns_topics import TopicOrigin
from aftersend.sources.webhook import SignatureError

#: SNS uses one or two at a time in each region.
_MAX_KEPT: Final = 64
#: More at the same time are no provider's doing.
_MAX_FETCHES: Final = 8
#: Seconds after a failure before the same address is asked again.
_PAUSE: Final = 10.0
_MIN_KEY_BITS: Final = 2048

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
        own: addresses whose certificates are the installation's own: nobody has to have issued those.
    """

    def __init__(self, fetch: Callable[[str], Awaitable[bytes]], own: frozenset[str] = frozenset()) -> None:
        self._fetch = fetch
        self._own = own
        self._kept: dict[str, Certificate] = {}
        self._failures: dict[str, _Failure] = {}
        self._fetches: dict[str, asyncio.Task[Certificate]] = {}

    async def key(self, url: str, origin: TopicOrigin, now: float) -> RSAPublicKey:
        """Return the public key of the certificate at an address.

        Args:
            url: `SigningCertURL` of a message.
            origin: of the message's topic. One address has one, since its host is in it.
            now: seconds since 1970.

        Raises:
            SignatureError: if the address is not that of a certificate at the topic's host, or the certificate is not
                valid now.
            OSError: if it can't be fetched now, or what comes is not a certificate of SNS's.
        """
        check_address(url, origin.host, _PATH)
        certificate = self._kept.get(url) or await self._wait_for(url, origin, now)
        if not certificate.not_before <= now <= certificate.not_after:
            raise SignatureError("the certificate that it was signed with is not valid now")
        return certificate.key

    async def _wait_for(self, url: str, origin: TopicOrigin, now: float) -> Certificate:
        """Return a certificate that is not there yet; all who want it at the same time wait for one fetch."""
        failure = self._failures.get(url)
        if failure is not None and now < failure.until:
            raise OSError(failure.why)
        task = self._fetches.get(url)
        if task is None:
            if len(self._fetches) >= _MAX_FETCHES:
                raise OSError("too many certificates are being fetched")
            task = self._fetches[url] = asyncio.create_task(self._load(url, origin, now))
            task.add_done_callback(lambda done: self._forget(url, done))
        # Whoever gives up waiting must not end the fetch for the others.
        return await asyncio.shield(task)

    def _forget(self, url: str, task: asyncio.Task[Certificate]) -> None:
        del self._fetches[url]
        if not task.cancelled():
            task.exception()  # everybody may have given up waiting: then nobody has asked for it

    async def _load(self, url: str, origin: TopicOrigin, now: float) -> Certificate:
        try:
            pem = await self._fetch(url)
            # The system's trust store may have to be read.
            certificate = await asyncio.to_thread(_read, pem, origin, now, is_own=url in self._own)
        except OSError as error:
            message = f"the certificate can't be fetched: {error}"
            _keep(self._failures, url, _Failure(now + _PAUSE, message))
            raise OSError(message) from error
        _keep(self._kept, url, certificate)
        return certificate


def check_address(url: str, host: str, rest: re.Pattern[str]) -> None:
    """Check that an address is SNS's own: nothing else in a message says whose certificate it names.

    The whole text is compared, so that no parser's view of it matters: nothing fits in between, neither user nor port
    nor query nor fragment, but for what `rest` has.

    Args:
        url: as the message has it.
        host: where it has to be.
        rest: what has to follow.

    Raises:
        SignatureError: if it is not.
    """
    start = f"https://{host}"
    if not url.startswith(start) or not rest.fullmatch(url, len(start)):
        raise SignatureError(f"not an address of Amazon SNS at {host}: {url[:200]!r}")


def _read(pem: bytes, origin: TopicOrigin, now: float, *, is_own: bool) -> Certificate:
    """Return a certificate, checked.

    Raises:
        OSError: if it is none of SNS's: what answered was not SNS. A provider takes a refusal for final, and this one
            is not its fault.
    """
    try:
        chain = x509.load_pem_x509_certificates(pem)
        key = chain[0].public_key()
        names = names_of(chain[0])
    except ValueError as error:
        raise OSError("what came is no certificate") from error
    if not isinstance(key, RSAPublicKey) or key.key_size < _MIN_KEY_BITS:
        raise OSError(f"the certificate has no RSA key of {_MIN_KEY_BITS} bits")
    if not names & origin.certificate_names:
        raise OSError(f"the certificate is not that of {origin.host}, but of {', '.join(sorted(names))[:200]!r}")
    if not is_own:
        check_issuer(chain, min(names & origin.certificate_names), now)
    valid = chain[0].not_valid_before_utc.timestamp(), chain[0].not_valid_after_utc.timestamp()
    return Certificate(key, *valid)


def _keep(kept: dict[str, T], url: str, value: T) -> None:
    """Keep a value, and not too many of them: the oldest goes."""
    kept.pop(url, None)
    kept[url] = value
    if len(kept) > _MAX_KEPT:
        del kept[next(iter(kept))]
