"""Private keys as files hold them (PEM, without a password)."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key


def pem(key: PrivateKeyTypes) -> bytes:
    """Return a private key as PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def read_pem(text: bytes) -> PrivateKeyTypes:
    """Return a private key.

    Raises:
        ValueError: if it is none, or has a password.
    """
    try:
        return load_pem_private_key(text, password=None)
    except (ValueError, TypeError) as error:
        raise ValueError("no private key without a password (PEM)") from error
