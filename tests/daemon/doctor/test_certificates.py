"""Certificates of trustme's authorities, and some of cryptography that trustme would not make."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from wiredaemon.daemon.certificate import development_certificate
from wiredaemon.daemon.config import Config, Data, Listen, Tls
from wiredaemon.daemon.doctor.certificates import examine_certificates
from wiredaemon.daemon.doctor.finding import Finding, Level

if TYPE_CHECKING:
    from pathlib import Path

NOW: Final = datetime.now(UTC)


def config_of(file: Path, *, client_ca: Path | None = None) -> Config:
    tls = Tls(certificate=file, private_key=file, client_ca=client_ca)
    return Config(data=Data(folder=file.parent), tls=tls)


def found_in(
    file: Path, *, now: datetime = NOW, known: list[x509.Certificate] | None = None
) -> list[Finding]:
    return list(examine_certificates(config_of(file), now, authorities=known or []))


def texts(found: list[Finding], level: Level) -> list[str]:
    return [each.text for each in found if each.level is level]


def loaded(authority: trustme.CA) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(authority.cert_pem.bytes())


def issued(file: Path, authority: trustme.CA, *names: str, expires: datetime | None = None) -> Path:
    made = authority.issue_cert(*names, not_after=expires)
    file.write_bytes(b"".join(part.bytes() for part in made.cert_chain_pems))
    return file


def test_a_certificate_of_a_known_authority_is_fine(tmp_path: Path) -> None:
    authority = trustme.CA()
    file = issued(tmp_path / "c.pem", authority, "hg.example", "192.0.2.1")
    found = found_in(file, known=loaded(authority))
    assert {each.level for each in found} == {Level.FINE}
    assert f"{file} is for hg.example, 192.0.2.1" in texts(found, Level.FINE)
    assert f"{file}: the chain leads to an authority that this system trusts" in texts(
        found, Level.FINE
    )


def test_an_intermediate_authority_in_the_file_completes_the_chain(tmp_path: Path) -> None:
    root = trustme.CA()
    middle = root.create_child_ca()
    file = issued(tmp_path / "c.pem", middle, "hg.example")
    assert {each.level for each in found_in(file, known=loaded(root))} == {Level.FINE}


def test_a_chain_without_its_intermediate_authority_is_incomplete(tmp_path: Path) -> None:
    root = trustme.CA()
    made = root.create_child_ca().issue_cert("hg.example")
    file = tmp_path / "c.pem"
    file.write_bytes(made.cert_chain_pems[0].bytes())
    (found,) = [each for each in found_in(file, known=loaded(root)) if each.level != Level.FINE]
    assert found.level is Level.WARNING
    assert found.text.startswith(f"{file}: the chain is incomplete: ")
    assert "fullchain.pem" in found.remedy


def test_what_belongs_to_no_chain_is_named(tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA(organization_name="Stranger")
    file = issued(tmp_path / "c.pem", authority, "hg.example")
    file.write_bytes(file.read_bytes() + stranger.cert_pem.bytes())
    (text,) = texts(found_in(file, known=loaded(authority)), Level.WARNING)
    assert "Stranger" in text
    assert text.endswith("is no part of the chain of the first certificate")


def test_a_certificate_that_vouches_for_itself_is_one_that_clients_need(tmp_path: Path) -> None:
    files = development_certificate(tmp_path, now=NOW)
    (text,) = texts(found_in(files.certificate), Level.WARNING)
    assert text.endswith("CN=wiredaemon development, which this system does not trust")


@pytest.mark.parametrize(
    ("days", "level", "words"),
    [
        (-1, Level.ERROR, "expired on"),
        (0, Level.ERROR, "expired on"),
        (29, Level.WARNING, "in 29 days"),
        (31, Level.FINE, "is valid until"),
    ],
)
def test_the_end_of_a_certificate_is_told_in_time(
    tmp_path: Path, days: int, level: Level, words: str
) -> None:
    authority = trustme.CA()
    end = NOW.replace(microsecond=0) + timedelta(days=400)
    file = issued(tmp_path / "c.pem", authority, "hg.example", expires=end)
    found = found_in(file, now=end - timedelta(days=days), known=loaded(authority))
    first = found[0]
    assert (first.area, first.level) == ("tls.certificate", level)
    assert words in first.text
    assert ("SIGHUP" in first.remedy) == (level is not Level.FINE)


def made_by_hand(begin: datetime) -> bytes:
    """A certificate without subjectAltName."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hg.example")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM)


def test_a_certificate_that_is_not_valid_yet_and_names_no_host_is_told_both(
    tmp_path: Path,
) -> None:
    file = tmp_path / "c.pem"
    file.write_bytes(made_by_hand(NOW + timedelta(days=2)))
    early, nameless = texts(found_in(file), Level.ERROR)
    assert "(CN=hg.example) is valid from" in early
    assert nameless == f"{file} names no host: clients look at subjectAltName only"


def test_an_authority_of_clients_that_has_expired_is_found(tmp_path: Path) -> None:
    file, own = tmp_path / "ca.pem", tmp_path / "c.pem"
    file.write_bytes(made_by_hand(NOW - timedelta(days=366)))
    found = list(examine_certificates(config_of(own, client_ca=file), NOW, authorities=[]))
    assert [(each.area, each.level) for each in found] == [("tls.client_ca", Level.ERROR)]


def test_without_a_certificate_the_development_certificate_is_named(tmp_path: Path) -> None:
    config = Config(data=Data(folder=tmp_path), listen=Listen(https=("tcp:0",)))
    (found,) = examine_certificates(config, NOW)
    assert found.level is Level.FINE
    assert "development certificate" in found.text
    assert list(tmp_path.iterdir()) == []


def test_the_authorities_of_the_system_are_read(tmp_path: Path) -> None:
    file = issued(tmp_path / "c.pem", trustme.CA(), "hg.example")
    (text,) = texts(list(examine_certificates(config_of(file), NOW)), Level.WARNING)
    assert "is neither in the file nor among the authorities of this system" in text
