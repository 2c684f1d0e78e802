"""Examines the certificates: dates, names, and the chain to an authority that clients know.

That a certificate belongs to its key is examined by ``daemon.check``.
"""

from __future__ import annotations

import ssl
import warnings
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from wiredaemon.daemon.doctor.finding import error, fine, warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from wiredaemon.daemon.config import Config
    from wiredaemon.daemon.doctor.finding import Finding

SOON: Final = timedelta(days=30)
"""Time before its end in which a certificate should have been renewed: as certbot does it."""
LARGEST_FILE: Final = 4 * 1024 * 1024
"""Bytes of a file of certificates: 20 times those of all public authorities' names."""

_AREA: Final = "tls.certificate"
_END: Final = b"-----END CERTIFICATE-----"


def examine_certificates(
    config: Config, now: datetime, *, authorities: Sequence[x509.Certificate] | None = None
) -> Iterator[Finding]:
    """Yield what is to be said of the certificates of the TLS listeners. Blocks.

    Files that cannot be read or used are left out: ``daemon.check`` reports them.

    Args:
        config: The configuration.
        now: The present, with its time zone.
        authorities: Those that clients trust; None stands for those of this system.
    """
    tls = config.tls
    if tls.client_ca is not None:
        yield from _dates("tls.client_ca", tls.client_ca, _read(tls.client_ca), now)
    if tls.certificate is not None:
        certificates = _read(tls.certificate)
        yield from _dates(_AREA, tls.certificate, certificates, now)
        if certificates:
            yield from _names(tls.certificate, certificates[0])
            known = _system_authorities() if authorities is None else authorities
            yield from _chain(tls.certificate, certificates, known)
    elif config.listen.needs_tls:
        yield fine(
            _AREA,
            "none is named: the daemon makes a development certificate for localhost, which no"
            " client trusts by itself",
        )


def _read(file: Path) -> list[x509.Certificate]:
    with suppress(OSError, ValueError), file.open("rb") as opened:
        return x509.load_pem_x509_certificates(opened.read(LARGEST_FILE))
    return []


def _dates(
    area: str, file: Path, certificates: Sequence[x509.Certificate], now: datetime
) -> Iterator[Finding]:
    renew = "renew it, put the new one in its place and send the daemon SIGHUP"
    for number, certificate in enumerate(certificates, start=1):
        which = f"certificate {number} of {file} ({_subject(certificate)})"
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if now < begin:
            clock = f"wait, or set the clock of this machine, which says {now:%Y-%m-%d %H:%M} UTC"
            yield error(area, f"{which} is valid from {begin:%Y-%m-%d %H:%M} UTC on only", clock)
        elif now >= end:
            yield error(area, f"{which} expired on {end:%Y-%m-%d}", renew)
        elif now >= end - SOON:
            days = (end - now).days
            yield warning(area, f"{which} expires on {end:%Y-%m-%d}, in {days} days", renew)
        else:
            yield fine(area, f"{which} is valid until {end:%Y-%m-%d}")


def _names(file: Path, certificate: x509.Certificate) -> Iterator[Finding]:
    names: list[str] = []
    with suppress(x509.ExtensionNotFound, ValueError):
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [
            *found.get_values_for_type(x509.DNSName),
            *map(str, found.get_values_for_type(x509.IPAddress)),
        ]
    if names:
        yield fine(_AREA, f"{file} is for {', '.join(names)}")
    else:
        yield error(
            _AREA,
            f"{file} names no host: clients look at subjectAltName only",
            "have one made with the names of this server in subjectAltName",
        )


def _chain(
    file: Path, certificates: Sequence[x509.Certificate], known: Sequence[x509.Certificate]
) -> Iterator[Finding]:
    """Follow the issuers from the first certificate on, first in the file, then among the known."""
    last, rest = certificates[0], list(certificates[1:])
    while not _issued(last, last):
        issuer = next((each for each in rest if _issued(each, last)), None)
        if issuer is None:
            break
        rest.remove(issuer)
        last = issuer
    for stranger in rest:
        yield warning(
            _AREA,
            f"{file}: {_subject(stranger)} is no part of the chain of the first certificate",
            "leave in the file the server's own certificate first, then its issuer, and so on",
        )
    if any(last == each or _issued(each, last) for each in known):
        yield fine(_AREA, f"{file}: the chain leads to an authority that this system trusts")
    elif _issued(last, last):
        yield warning(
            _AREA,
            f"{file}: the chain ends at {_subject(last)}, which this system does not trust",
            "give it to all clients (web.cacerts of hg, --ca of wiredaemon call), or take a"
            " certificate of a public authority",
        )
    else:
        yield warning(
            _AREA,
            f"{file}: the chain is incomplete: {_name(last.issuer)} is neither in the file nor"
            " among the authorities of this system",
            "append the certificate of the issuer (certbot: fullchain.pem, not cert.pem); if it is"
            " an authority of your own, give it to all clients",
        )


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    if issuer.subject != certificate.issuer:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _subject(certificate: x509.Certificate) -> str:
    return _name(certificate.subject) or f"serial number {certificate.serial_number:x}"


def _name(name: x509.Name) -> str:
    return name.rfc4514_string()


def _system_authorities() -> list[x509.Certificate]:
    """Return what OpenSSL of this system trusts: one file, or a folder of files."""
    paths = ssl.get_default_verify_paths()
    files = [Path(paths.cafile)] if paths.cafile else []
    if paths.capath and not files:
        files = [file for file in sorted(Path(paths.capath).iterdir()) if file.suffix == ".pem"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old authorities, which are not ours to mend
        return [certificate for file in files for certificate in _each(file)]


def _each(file: Path) -> Iterator[x509.Certificate]:
    """Yield the certificates of a file that can be read, whatever the others are like."""
    content = b""
    with suppress(OSError), file.open("rb") as opened:
        content = opened.read(LARGEST_FILE)
    for part in content.split(_END)[:-1]:
        with suppress(ValueError):
            yield x509.load_pem_x509_certificate(part + _END)
