"""A certificate authority of a test's own."""

from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def name_of(text: str) -> x509.Name:
    """Return a common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """Issues certificates.

    Args:
        now: in the middle of their time.
        key: its own; None: a new one.
        name: its own.
        issuer: None: it signs its own certificate.
    """

    def __init__(
        self, now: datetime, key: Any = None, name: str = "Authority", issuer: "Authority | None" = None
    ) -> None:
        self._now = now
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.name = name_of(name)
        above = issuer or self
        builder = self._builder(self.key.public_key(), self.name, above, 365)
        usage = dict.fromkeys(
            (
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, **usage), critical=True
        )
        self.certificate = builder.sign(above.key, hashes.SHA256())

    def issue(self, key: Any, name: str, alternative: tuple[str, ...] = (), days: float = 1.0) -> x509.Certificate:
        """Return a certificate that is valid for so many days around now."""
        builder = self._builder(key, name_of(name), self, days)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        if alternative:
            names = x509.SubjectAlternativeName([x509.DNSName(one) for one in alternative])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def _builder(self, key: Any, name: x509.Name, above: "Authority", days: float) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder(above.name, name, key, x509.random_serial_number())
        span = timedelta(days=days)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(above.key.public_key())
        builder = builder.not_valid_before(self._now - span).not_valid_after(self._now + span)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        return builder.add_extension(identifier, critical=False)
