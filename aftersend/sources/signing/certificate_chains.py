"""Who issued a certificate, as far as what was served with it can show.

A certificate that is served alone can't be traced to an authority of the system's trust store: the ones between are
missing, and only the certificate itself says where they are. It is fetched over HTTPS from a host that the caller has
fixed, so the TLS connection vouches for it: whoever could serve another one there could also have a chain issued for
that host's name. Two things are still refused: a certificate that is signed with its own key, which no authority
issues, and a chain that is served with it and does not hold.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError


def names_of(certificate: x509.Certificate) -> frozenset[str]:
    """Return the DNS names that a certificate is for: of its SAN, else its common name (RFC 6125).

    Raises:
        ValueError: if its extensions can't be read.
    """
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return frozenset(str(name.value).lower() for name in common)
    except x509.DuplicateExtension as error:
        raise ValueError("an extension stands in it twice") from error
    return frozenset(name.lower() for name in alternative.get_values_for_type(x509.DNSName))


def check_issuer(chain: Sequence[x509.Certificate], name: str, now: float) -> None:
    """Check who issued a certificate.

    Args:
        chain: the certificate, and what was served with it.
        name: that the certificate is for.
        now: seconds since 1970.

    Raises:
        OSError: if nobody did, or the chain leads to no authority that the system trusts.
    """
    leaf, *others = chain
    if leaf.issuer == leaf.subject:
        raise OSError("the certificate is signed with its own key")
    if not others:
        return
    roots = system_roots()
    if not roots:
        raise OSError("the certificate comes with its issuers, and the system has no trust store to check them with")
    policy = PolicyBuilder().store(Store(roots)).time(datetime.fromtimestamp(now, UTC).replace(tzinfo=None))
    try:
        policy.build_server_verifier(x509.DNSName(name)).verify(leaf, others)
    except VerificationError as error:
        raise OSError(f"the certificate leads to no authority that the system trusts: {error}") from error


def system_roots() -> list[x509.Certificate]:
    """Return the authorities of the system's trust store, or of `SSL_CERT_FILE`, `SSL_CERT_DIR`.

    Files that can't be read are left out.
    """
    paths = ssl.get_default_verify_paths()
    files = [Path(paths.cafile)] if paths.cafile else []
    if not files and paths.capath:
        # OpenSSL looks certificates up by names such as `5cd81ad7.0`.
        files = sorted(Path(paths.capath).glob("*.[0-9]"))
    found = []
    for path in files:
        try:
            found += x509.load_pem_x509_certificates(path.read_bytes())
        except (OSError, ValueError):
            continue
    return found
