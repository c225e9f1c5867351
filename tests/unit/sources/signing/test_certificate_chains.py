"""Who issued a certificate."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from aftersend.sources.signing.certificate_chains import check_issuer, names_of, system_roots
from tests.unit.sources.signing.authority import Authority

NOW: Final = datetime(2026, 3, 5, tzinfo=UTC)
NAME: Final = "signing.example.org"
ROOT: Final = Authority(NOW)
BETWEEN: Final = Authority(NOW, name="Between", issuer=ROOT)
KEY: Final = ec.generate_private_key(ec.SECP256R1()).public_key()
LEAF: Final = BETWEEN.issue(KEY, "ignored", (NAME,))


@pytest.fixture
def trust_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of the system's trust store, which holds `ROOT`."""
    path = tmp_path / "roots.pem"
    path.write_bytes(ROOT.certificate.public_bytes(Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


@pytest.mark.usefixtures("trust_store")
def test_a_chain_to_a_trusted_root_holds() -> None:
    check_issuer([LEAF, BETWEEN.certificate], NAME, NOW.timestamp())
    check_issuer([LEAF, BETWEEN.certificate, ROOT.certificate], NAME, NOW.timestamp())


@pytest.mark.usefixtures("trust_store")
def test_a_chain_to_a_root_of_its_own_is_refused() -> None:
    other = Authority(NOW)
    with pytest.raises(OSError, match="leads to no authority that the system trusts"):
        check_issuer([other.issue(KEY, NAME, (NAME,)), other.certificate], NAME, NOW.timestamp())


@pytest.mark.usefixtures("trust_store")
@pytest.mark.parametrize("name, days", [("other.example.org", 0), (NAME, 400)])
def test_a_chain_for_another_name_or_time_is_refused(name: str, days: int) -> None:
    with pytest.raises(OSError, match="leads to no authority that the system trusts"):
        check_issuer([LEAF, BETWEEN.certificate], name, NOW.timestamp() + days * 86400)


def test_a_chain_without_a_trust_store_is_refused(trust_store: Path) -> None:
    trust_store.write_text("no certificate")
    with pytest.raises(OSError, match="no trust store"):
        check_issuer([LEAF, BETWEEN.certificate], NAME, NOW.timestamp())


def test_a_certificate_alone_rests_on_the_connection_that_it_came_by(trust_store: Path) -> None:
    trust_store.unlink()
    check_issuer([LEAF], NAME, NOW.timestamp())


def test_what_is_signed_with_its_own_key_has_no_issuer() -> None:
    with pytest.raises(OSError, match="signed with its own key"):
        check_issuer([ROOT.certificate], NAME, NOW.timestamp())


def test_a_trust_store_may_be_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "5cd81ad7.0").write_bytes(ROOT.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "5cd81ad8.0").write_text("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert [ROOT.certificate] == system_roots()


def test_names() -> None:
    assert frozenset({NAME}) == names_of(LEAF)
    assert frozenset({"authority"}) == names_of(ROOT.certificate)
