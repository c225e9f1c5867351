"""What proves that a message of Amazon SNS is genuine.

Source: Amazon SNS Developer Guide, "Verifying the signatures of Amazon SNS messages" and "Amazon SNS raw message
delivery".
"""

from __future__ import annotations

import hmac
import re
from base64 import b64decode
from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from aftersend.sources.base import SourceError
from aftersend.sources.parsing.json_records import UNREADABLE
from aftersend.sources.parsing.times import rfc3339
from aftersend.sources.signing.sns_certificates import Certificates, check_address
from aftersend.sources.signing.sns_envelope import NOTIFICATION, SUBSCRIPTION, UNSUBSCRIPTION, Envelope, read_envelope
from aftersend.sources.signing.sns_topics import TopicOrigin, read_topic
from aftersend.sources.webhook import Accepted, SignatureError, Verifier, WebhookOptions, WebhookRequest, check_age

#: What SNS puts on requests of raw delivery, unsigned.
TOPIC_HEADER: Final = "x-amz-sns-topic-arn"

#: The fields that are signed, in this order.
_SIGNED: Final = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    SUBSCRIPTION: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    UNSUBSCRIPTION: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_OPTIONAL: Final = "Subject"

#: By `SignatureVersion`.
_HASHES: Final = {"1": SHA1(), "2": SHA256()}  # noqa: S303 - what SNS signs with unless the topic is set to 2

#: What follows the host in the address that confirms a subscription.
_CONFIRMATION: Final = re.compile(r"/?\?[A-Za-z0-9%&=:._~+/*-]+")
_RAW: Final = "raw:"
_MIN_TOKEN: Final = 16


_FIELDS: Final = dict(zip(Envelope.__struct_encode_fields__, Envelope.__struct_fields__, strict=True))


class Allowed(NamedTuple):
    """Where messages may come from."""

    #: By ARN.
    topics: dict[str, TopicOrigin]
    #: Tokens that stand for a signature in raw delivery, which has none.
    tokens: tuple[bytes, ...]


def read_secrets(secrets: Iterable[str]) -> Allowed:
    """Return what an installation allows.

    Args:
        secrets: ARNs of topics, and `raw:` with a token for each address that gets raw delivery.

    Raises:
        ValueError: if one is neither, or there is no topic.
    """
    topics = {}
    tokens = []
    for place, secret in enumerate(map(str.strip, secrets), 1):
        if secret.startswith(_RAW):
            token = secret.removeprefix(_RAW)
            if len(token) < _MIN_TOKEN:
                raise ValueError(f"entry {place}: a token for raw delivery has at least {_MIN_TOKEN} characters")
            tokens.append(token.encode())
        elif (origin := read_topic(secret)) is not None:
            topics[secret] = origin
        else:
            raise ValueError(f"entry {place} is neither the ARN of an SNS topic nor `{_RAW}` and a token")
    if not topics:
        raise ValueError("no SNS topic is allowed: anybody can have SNS sign something for a topic of his own")
    return Allowed(topics, tuple(tokens))


def verifier(options: WebhookOptions) -> Verifier:
    """Return the check of requests for an installation's topics.

    Raises:
        ValueError: if no topic is allowed, or an entry is no topic.
    """
    allowed = read_secrets(options.secrets)
    certificates = Certificates(options.fetch, options.own_certificates)

    async def verify(request: WebhookRequest) -> Accepted:
        try:
            envelope = read_envelope(request.body)
        except UNREADABLE as error:
            raise SignatureError("the body is no message of Amazon SNS") from error
        if envelope.type is None:
            _check_raw(request, allowed)
            return Accepted()
        # What costs nothing comes first, so that nobody makes us fetch certificates by guessing.
        signed = _signed_text(envelope)
        origin = allowed.topics.get(envelope.topic_arn or "")
        if origin is None:
            raise SignatureError(f"the topic is not one of those allowed: {(envelope.topic_arn or '')[:200]!r}")
        if options.tolerance:
            check_age(_signed_at(envelope), request.received_at, options.tolerance)
        algorithm = _HASHES.get(envelope.signature_version or "")
        if algorithm is None:
            raise SignatureError("the signature is of a version that is not known")
        signature = _signature(envelope)
        key = await certificates.key(envelope.signing_cert_url or "", origin, request.received_at)
        try:
            key.verify(signature, signed, PKCS1v15(), algorithm)
        except InvalidSignature as error:
            raise SignatureError("the signature is wrong") from error
        if envelope.type != SUBSCRIPTION:
            return Accepted()  # whoever ended a subscription wanted that: it is not renewed
        confirm_url = envelope.subscribe_url or ""
        check_address(confirm_url, origin.host, _CONFIRMATION)
        return Accepted(confirm_url)

    return verify


def _check_raw(request: WebhookRequest, allowed: Allowed) -> None:
    """Check a request without an envelope, and so without a signature: only a token in its address speaks for it.

    Raises:
        SignatureError: if there is none, or the wrong one, or the topic named beside it is not allowed.
    """
    _, _, query = request.target.partition("?")
    given = parse_qs(query).get("token", [""])[0].encode("utf-8", "replace")
    # Every token is compared, each in constant time.
    fits = [hmac.compare_digest(given, token) for token in allowed.tokens]
    if not any(fits):
        raise SignatureError(
            "a message without an envelope (raw delivery) has no signature, and its address no token that is set"
        )
    topic = request.headers.get(TOPIC_HEADER)
    if topic is not None and topic not in allowed.topics:
        raise SignatureError(f"the topic is not one of those allowed: {topic[:200]!r}")


def _signed_text(envelope: Envelope) -> bytes:
    """Return what is signed: each name and each value on a line of its own."""
    names = _SIGNED.get(envelope.type or "")
    if names is None:
        raise SignatureError(f"SNS sends no messages of the type {(envelope.type or '')[:100]!r}")
    lines = []
    for name in names:
        value: str | None = getattr(envelope, _FIELDS[name])
        if value is not None:
            lines += [name, value]
        elif name != _OPTIONAL:
            raise SignatureError(f"the message has no {name}")
    return ("\n".join(lines) + "\n").encode()


def _signed_at(envelope: Envelope) -> float:
    try:
        return rfc3339(envelope.timestamp or "")
    except SourceError as error:
        raise SignatureError("the message's Timestamp is no time") from error


def _signature(envelope: Envelope) -> bytes:
    try:
        return b64decode(envelope.signature or "", validate=True)
    except ValueError as error:
        raise SignatureError("the signature is no base64") from error
