"""Finds the user that a TLS client certificate names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cryptography.x509 import (
    DNSName,
    ExtensionNotFound,
    RFC822Name,
    SubjectAlternativeName,
)
from cryptography.x509.oid import NameOID
from twisted.logger import Logger

from wiredaemon.accounts.names import vouched_name_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cryptography.x509 import Certificate

_log: Final = Logger()


def certificate_user(transport: Any, part: str) -> str | None:  # noqa: ANN401 zope interfaces do not intersect
    """Return the user of a connection whose client showed a certificate; None for all others.

    The certificate was verified in the handshake. One that has the part twice could name either,
    so it names nobody.

    Args:
        transport: The transport of the connection, whose handshake is done.
        part: The part of the certificate that names the user, a key of `PARTS`.
    """
    shown = transport.getPeerCertificate() if hasattr(transport, "getPeerCertificate") else None
    if shown is None:
        return None
    try:
        names = PARTS[part](shown.to_cryptography())
    except ValueError as error:
        _log.info("a client certificate cannot be read: {error}", error=error)
        return None
    problem = vouched_name_problem(names[0]) if len(names) == 1 else f"{len(names)} are there"
    if problem is None:
        return names[0]
    _log.info(
        "a client certificate names nobody, for its {part} is no user's name: {problem}",
        part=part,
        problem=problem,
    )
    return None


def _common_names(certificate: Certificate) -> Sequence[str]:
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return [each.value for each in found if isinstance(each.value, str)]


def _alternatives(certificate: Certificate) -> SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    except ExtensionNotFound:
        return None


def _emails(certificate: Certificate) -> Sequence[str]:
    found = _alternatives(certificate)
    return [] if found is None else found.get_values_for_type(RFC822Name)


def _hosts(certificate: Certificate) -> Sequence[str]:
    found = _alternatives(certificate)
    return [] if found is None else found.get_values_for_type(DNSName)


PARTS: Final[Mapping[str, Callable[[Certificate], Sequence[str]]]] = {
    "cn": _common_names,
    "san:email": _emails,
    "san:dns": _hosts,
}
"""The parts of a certificate that may name a user: those of ``AuthConfig.certificate_user``."""
