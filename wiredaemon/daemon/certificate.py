"""Certificates: making the development certificate, and checking a pair of files.

Owns files in PEM form. TLS itself is set up in ``net``.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from datetime import datetime

LIFETIME: Final = timedelta(days=397)
"""The development certificate's lifetime; some clients refuse longer ones."""
RENEWAL: Final = timedelta(days=7)
"""A certificate with less than this left is made again, for a daemon runs on for days."""


class CertificateError(Exception):
    """A certificate or its private key cannot be used; the text says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFiles:
    """A certificate and its private key, both PEM."""

    certificate: Path
    private_key: Path


def development_certificate(folder: Path, *, now: datetime) -> CertificateFiles:
    """Return the self-signed certificate for localhost in ``folder``; make it if none is usable.

    Args:
        folder: The folder of the files; it is made when it is missing.
        now: The time, with its time zone.

    Raises:
        OSError: the folder or a file cannot be written.
    """
    files = CertificateFiles(
        certificate=folder / "development-certificate.pem",
        private_key=folder / "development-key.pem",
    )
    if not _is_usable(files, now):
        folder.mkdir(parents=True, exist_ok=True)
        # P-256, which TLS 1.3 makes mandatory (RFC 8446, 9.1); a key takes 1 ms, where one of RSA
        # takes 10 to 100.
        key = ec.generate_private_key(ec.SECP256R1())
        # The key first: a stop between the two leaves a pair that does not fit, and is made again.
        _replace(files.private_key, _key_pem(key), mode=0o600)
        _replace(files.certificate, _self_signed(key, now).public_bytes(_PEM), mode=0o644)
    return files


def check_pair(files: CertificateFiles) -> x509.Certificate:
    """Return the first certificate of its file, if it belongs to the private key.

    Raises:
        CertificateError: a file cannot be read or used, or they do not belong together.
    """
    try:
        certificate = x509.load_pem_x509_certificates(_read(files.certificate))[0]
    except ValueError:
        raise CertificateError(f"{files.certificate} holds no PEM certificate") from None
    try:
        key = serialization.load_pem_private_key(_read(files.private_key), password=None)
    except TypeError:
        raise CertificateError(f"{files.private_key} is encrypted") from None
    except ValueError:
        raise CertificateError(f"{files.private_key} holds no PEM private key") from None
    if certificate.public_key() != key.public_key():
        raise CertificateError(f"{files.certificate} does not belong to {files.private_key}")
    return certificate


_PEM: Final = serialization.Encoding.PEM
_NAMES: Final = (
    x509.DNSName("localhost"),
    x509.IPAddress(ip_address("127.0.0.1")),
    x509.IPAddress(ip_address("::1")),
)


def _is_usable(files: CertificateFiles, now: datetime) -> bool:
    try:
        certificate = check_pair(files)
    # Missing, damaged, half written: whatever is wrong with a pair of our own making is mended by
    # another one.
    except CertificateError:
        return False
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - RENEWAL


def _self_signed(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "wiredaemon development")])
    public_key = key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        # A day back, for clients whose clocks are behind.
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFETIME - timedelta(days=1))
    )
    # What OpenSSL's strict checks ask of a certificate that a client trusts directly. It can sign
    # no other one: whoever takes the key cannot pass for other hosts.
    key_id = x509.SubjectKeyIdentifier.from_public_key(public_key)
    return (
        builder.add_extension(x509.SubjectAlternativeName(_NAMES), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(key_id, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id), critical=False
        )
        .sign(key, hashes.SHA256())
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateError(f"{path} cannot be read: {error.strerror}") from None


def _replace(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file as a whole or not at all."""
    # mkstemp opens with mode 0600, so the key is never readable by others, not even for a moment.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
            file.flush()
            # Before it is renamed: after a power failure there would be a name with nothing in the
            # file.
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
