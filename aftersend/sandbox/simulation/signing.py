"""Signs requests as the providers do, with keys of our own.

Sources: Twilio SendGrid, "Getting Started with the Event Webhook Security Features"; Amazon SNS Developer Guide,
"Verifying the signatures of Amazon SNS messages".
"""

from __future__ import annotations

import time
import uuid
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from aftersend.errors import UsageError
from aftersend.sources.providers.ses.simulator import timestamp

#: What simulated messages of SNS say that they come from. There is no such region, so no genuine certificate has this
#: address, and one that is pinned to it (AFTERSEND_GATEWAY_CERTIFICATES) speaks for the simulation only.
CERTIFICATE_URL: Final = "https://sns.simulation.amazonaws.com/SimpleNotificationService-simulation.pem"
TOPIC_ARN: Final = "arn:aws:sns:simulation:123456789012:aftersend"

_DAYS: Final = 365
_NAMESPACE: Final = uuid.UUID("6f0d7c1e-5b44-4f0a-9a53-0d5f7a2d1c11")
_encode: Final = msgspec.json.Encoder().encode


class Request(NamedTuple):
    """What is to be posted."""

    headers: dict[str, str]
    body: bytes
    #: Events in it.
    events: int


class SendGridSigner:
    """Puts events into requests of SendGrid's Event Webhook.

    Args:
        key: private, on the curve P-256.
    """

    def __init__(self, key: EllipticCurvePrivateKey) -> None:
        self._key = key

    @classmethod
    def read(cls, path: Path) -> SendGridSigner:
        """Return a signer with the key of a file (PEM).

        Raises:
            UsageError: if it holds none.
        """
        key = _read_key(path)
        if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
            raise UsageError(f"{path} holds no private key on the curve P-256, which SendGrid signs with")
        return cls(key)

    def request(self, events: list[bytes]) -> Request:
        """Return events as one request, signed now."""
        # SendGrid's bodies end with a line break, which is signed too.
        body = b"[" + b",\r\n".join(events) + b"]\r\n"
        at = str(int(time.time()))
        signature = self._key.sign(at.encode() + body, ECDSA(SHA256()))
        headers = {
            "Content-Type": "application/json;charset=utf-8",
            "User-Agent": "SendGrid Event API",
            "X-Twilio-Email-Event-Webhook-Signature": b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": at,
        }
        return Request(headers, body, len(events))


class SnsSigner:
    """Puts SES's events into messages of SNS, signed with SHA-1 (version 1) and SHA-256 (version 2) in turn.

    Args:
        key: private, RSA.
    """

    def __init__(self, key: RSAPrivateKey) -> None:
        self._key = key
        self._count = 0

    @classmethod
    def read(cls, path: Path) -> SnsSigner:
        """Return a signer with the key of a file (PEM).

        Raises:
            UsageError: if it holds none.
        """
        key = _read_key(path)
        if not isinstance(key, RSAPrivateKey):
            raise UsageError(f"{path} holds no private RSA key, which SNS signs with")
        return cls(key)

    def request(self, events: list[bytes]) -> Request:
        """Return one event as a request: SNS sends one message at a time.

        Raises:
            ValueError: if there is not exactly one.
        """
        (event,) = events
        self._count += 1
        version = str(1 + self._count % 2)
        ident = str(uuid.uuid5(_NAMESPACE, event.decode()))  # the same event comes again with the same id
        message: dict[str, Any] = {
            "Type": "Notification",
            "MessageId": ident,
            "TopicArn": TOPIC_ARN,
            "Subject": "Amazon SES Email Event Notification",
            "Message": event.decode() + "\n",
            "Timestamp": timestamp(time.time()),
        }
        names = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
        signed = "".join(f"{name}\n{message[name]}\n" for name in names).encode()
        signature = self._key.sign(signed, PKCS1v15(), SHA1() if version == "1" else SHA256())  # noqa: S303 - as SNS
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


def signer(provider: str, key: Path) -> SendGridSigner | SnsSigner:
    """Return what signs as a provider does.

    Args:
        provider: `sendgrid` or `ses`.
        key: a private key (PEM), or the folder that `make_keys` made.

    Raises:
        UsageError: if there is no such key.
    """
    path = files(key).private[provider] if key.is_dir() else key
    return SendGridSigner.read(path) if provider == "sendgrid" else SnsSigner.read(path)


def _read_key(path: Path) -> object:
    try:
        return load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise UsageError(
            f"--key {path} can't be read: {error.strerror or error}; `aftersend simulate --make-key DIR` makes one"
        ) from error
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path} holds no private key without a password (PEM)") from error


# ------------------------------------------------------------------------------------------------------------- making


class Keys(NamedTuple):
    """Files of a pair for each provider."""

    #: Private keys, by provider.
    private: dict[str, Path]
    #: A folder for AFTERSEND_GATEWAY_SECRETS_DIR.
    secrets: Path
    #: By address: for AFTERSEND_GATEWAY_CERTIFICATES.
    certificates: dict[str, str]


def files(folder: Path) -> Keys:
    """Return where the keys of a folder are."""
    private = {"sendgrid": folder / "sendgrid-private.pem", "ses": folder / "sns-private.pem"}
    return Keys(private, folder / "secrets", {CERTIFICATE_URL: str((folder / "sns-certificate.pem").absolute())})


def make_keys(folder: Path) -> Keys:
    """Make a pair of keys for each provider, and put what the gateway needs beside.

    Args:
        folder: where to; is made if it is not there. Keys that are there already are kept.

    Raises:
        UsageError: if the folder can't be written to.
    """
    made = files(folder)
    try:
        made.secrets.mkdir(parents=True, exist_ok=True)
        if not made.private["sendgrid"].exists():
            key = generate_private_key(SECP256R1())
            _write_key(made.private["sendgrid"], key)
            shown = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            (made.secrets / "sendgrid").write_text(b64encode(shown).decode() + "\n")
        if not made.private["ses"].exists():
            rsa_key = generate_rsa_key(public_exponent=65537, key_size=2048)
            Path(made.certificates[CERTIFICATE_URL]).write_bytes(_certificate(rsa_key))
            (made.secrets / "ses").write_text(TOPIC_ARN + "\n")
            # Last, since the key's being there says that all is.
            _write_key(made.private["ses"], rsa_key)
    except OSError as error:
        raise UsageError(f"--make-key {folder}: {error.strerror or error}") from error
    return made


def _write_key(path: Path, key: EllipticCurvePrivateKey | RSAPrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _certificate(key: RSAPrivateKey) -> bytes:
    """Return a certificate of a key, signed with itself."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.simulation.amazonaws.com")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_DAYS))
    )
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)
