from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from wiredaemon.daemon.certificate import (
    LIFETIME,
    RENEWAL,
    CertificateError,
    CertificateFiles,
    check_pair,
    development_certificate,
)

if TYPE_CHECKING:
    from pathlib import Path

NOW: Final = datetime.now(UTC)


def contents(files: CertificateFiles) -> tuple[bytes, bytes]:
    return files.certificate.read_bytes(), files.private_key.read_bytes()


def test_it_is_made_with_its_folder(tmp_path: Path) -> None:
    files = development_certificate(tmp_path / "a" / "b", now=NOW)
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == [
        "development-certificate.pem",
        "development-key.pem",
    ]
    check_pair(files)


def test_its_key_is_for_the_owner_and_its_certificate_for_everybody(tmp_path: Path) -> None:
    files = development_certificate(tmp_path, now=NOW)
    assert stat.S_IMODE(files.private_key.stat().st_mode) == 0o600
    assert stat.S_IMODE(files.certificate.stat().st_mode) == 0o644


def test_it_names_loopback_and_lasts_a_year(tmp_path: Path) -> None:
    certificate = check_pair(development_certificate(tmp_path, now=NOW))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert certificate.not_valid_before_utc <= NOW
    assert certificate.not_valid_after_utc > NOW + timedelta(days=365)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_a_strict_client_that_trusts_it_accepts_it(tmp_path: Path, name: str) -> None:
    files = development_certificate(tmp_path, now=NOW)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.certificate, files.private_key)
    client = ssl.create_default_context(cafile=files.certificate)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    while ends:
        for end in list(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            ends.remove(end)


def test_it_is_kept_while_it_lasts(tmp_path: Path) -> None:
    before = contents(development_certificate(tmp_path, now=NOW))
    later = NOW + LIFETIME - RENEWAL - timedelta(days=2)
    assert contents(development_certificate(tmp_path, now=later)) == before


@pytest.mark.parametrize("when", [LIFETIME, LIFETIME - RENEWAL, timedelta(days=-30)])
def test_it_is_made_again_when_it_has_expired_is_about_to_or_does_not_begin_yet(
    tmp_path: Path, when: timedelta
) -> None:
    before = contents(development_certificate(tmp_path, now=NOW))
    files = development_certificate(tmp_path, now=NOW + when)
    after = contents(files)
    assert before[0] != after[0]
    assert before[1] != after[1]
    certificate = check_pair(files)
    assert certificate.not_valid_before_utc <= NOW + when < certificate.not_valid_after_utc


def test_it_is_made_again_when_a_stop_left_half_of_it(tmp_path: Path) -> None:
    files = development_certificate(tmp_path, now=NOW)
    other = development_certificate(tmp_path / "other", now=NOW)
    other.private_key.replace(files.private_key)
    check_pair(development_certificate(tmp_path, now=NOW))


def test_nothing_is_left_behind_when_it_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "development-key.pem").mkdir()
    with pytest.raises(OSError, match="development-key"):
        development_certificate(tmp_path, now=NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["development-key.pem"]


@pytest.fixture
def issued(tmp_path: Path) -> CertificateFiles:
    """A pair of another authority's making, with its chain."""
    made = trustme.CA().issue_cert("example.org")
    files = CertificateFiles(certificate=tmp_path / "c.pem", private_key=tmp_path / "k.pem")
    files.certificate.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
    files.private_key.write_bytes(made.private_key_pem.bytes())
    return files


def test_a_pair_that_fits_gives_its_certificate(issued: CertificateFiles) -> None:
    certificate = check_pair(issued)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["example.org"]


def test_a_missing_file_is_named(issued: CertificateFiles) -> None:
    issued.private_key.unlink()
    with pytest.raises(CertificateError, match=r"k\.pem cannot be read: No such file"):
        check_pair(issued)


def test_a_file_that_is_not_pem_is_named(issued: CertificateFiles) -> None:
    issued.private_key.write_bytes(b"\0")
    with pytest.raises(CertificateError, match=r"k\.pem holds no PEM private key"):
        check_pair(issued)
    issued.certificate.write_bytes(b"\0")
    with pytest.raises(CertificateError, match=r"c\.pem holds no PEM certificate"):
        check_pair(issued)


def test_a_pair_that_does_not_fit_is_an_error(issued: CertificateFiles) -> None:
    issued.private_key.write_bytes(trustme.CA().issue_cert("a.org").private_key_pem.bytes())
    with pytest.raises(CertificateError, match=r"c\.pem does not belong to .*k\.pem"):
        check_pair(issued)


def test_an_encrypted_key_is_an_error(issued: CertificateFiles) -> None:
    key = serialization.load_pem_private_key(issued.private_key.read_bytes(), None)
    issued.private_key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(CertificateError, match=r"k\.pem is encrypted"):
        check_pair(issued)
