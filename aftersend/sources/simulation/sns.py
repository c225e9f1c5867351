"""Signs requests as Amazon SNS does, with a key and a certificate of our own.

Source: Amazon SNS Developer Guide, "Verifying the signatures of Amazon SNS messages".
"""

from __future__ import annotations

import uuid
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any, Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from aftersend.sources.simulation.keys import pem, read_pem
from aftersend.sources.simulation.simulator import KeyMaterial, Request, Sign

#: Where simulated messages of SNS say that their certificate is. There is no such region, so no genuine certificate has
#: this address, and one that is pinned to it (AFTERSEND_GATEWAY_CERTIFICATES) is valid for the simulation only.
CERTIFICATE_URL: Final = "https://sns.simulation.amazonaws.com/SimpleNotificationService-simulation.pem"
TOPIC_ARN: Final = "arn:aws:sns:simulation:123456789012:aftersend"
_NAMESPACE: Final = uuid.UUID("6f0d7c1e-5b44-4f0a-9a53-0d5f7a2d1c11")
_CERTIFICATE_DAYS: Final = 365

_encode: Final = msgspec.json.Encoder().encode


def make_key() -> KeyMaterial:
    """Make an RSA key and its certificate, signed with itself."""
    key = generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.simulation.amazonaws.com")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_CERTIFICATE_DAYS))
    )
    return KeyMaterial(pem(key), TOPIC_ARN, builder.sign(key, SHA256()).public_bytes(Encoding.PEM))


def signer(private: bytes, subject: str) -> Sign:
    """Return what signs with a key (PEM): with SHA-1 (version 1) and SHA-256 (version 2) in turn.

    Args:
        private: the key.
        subject: of the messages, as the service that publishes them sets it.

    Raises:
        ValueError: if it is no RSA key.
    """
    key = read_pem(private)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("no private RSA key, which SNS signs with")  # noqa: TRY004 - what is wrong is a file
    versions = cycle("21")

    def sign(events: list[bytes]) -> Request:
        (event,) = events  # SNS sends one message at a time
        return _signed(key, event.decode(), subject, next(versions))

    return sign


def _signed(key: RSAPrivateKey, event: str, subject: str, version: str) -> Request:
    """Return an event as a request, signed now."""
    ident = str(uuid.uuid5(_NAMESPACE, event))  # the same event comes again with the same id
    message: dict[str, Any] = {
        "Type": "Notification",
        "MessageId": ident,
        "TopicArn": TOPIC_ARN,
        "Subject": subject,
        "Message": event + "\n",
        "Timestamp": _now(),
    }
    names = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
    signed = "".join(f"{name}\n{message[name]}\n" for name in names).encode()
    signature = key.sign(signed, PKCS1v15(), SHA1() if version == "1" else SHA256())  # noqa: S303 - as SNS
    message |= {
        "SignatureVersion": version,
        "Signature": b64encode(signature).decode(),
        "SigningCertURL": CERTIFICATE_URL,
        "UnsubscribeURL": f"https://sns.simulation.amazonaws.com/?Action=Unsubscribe&SubscriptionArn={TOPIC_ARN}",
    }
    headers = {
        "Content-Type": "text/plain; charset=UTF-8",
        "User-Agent": "Amazon Simple Notification Service Agent",
        "x-amz-sns-message-type": "Notification",
        "x-amz-sns-message-id": ident,
        "x-amz-sns-topic-arn": TOPIC_ARN,
    }
    return Request(headers, _encode(message), 1)


def _now() -> str:
    """Return the time as SNS writes it, in milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
