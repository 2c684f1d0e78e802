"""TLS for listeners: the server's certificate and the protocol versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificates
from OpenSSL import SSL
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.protocols.tls import TLSMemoryBIOFactory

if TYPE_CHECKING:
    from pathlib import Path

    from twisted.internet.interfaces import IProtocolFactory


class TlsError(Exception):
    """The certificate or the key cannot be used."""


def server_options(certificate: Path, private_key: Path) -> CertificateOptions:
    """Give the options of a TLS server: 1.2 and 1.3.

    Args:
        certificate: PEM, the server's own first, then those that vouch for it.
        private_key: PEM.

    Raises:
        TlsError: A file cannot be read or used, or they do not belong together.
    """
    try:
        # Twisted declares pyOpenSSL's own types; pyOpenSSL itself warns of them by now.
        key: Any = load_pem_private_key(private_key.read_bytes(), password=None)
        certificates: list[Any] = [*load_pem_x509_certificates(certificate.read_bytes())]
        options = CertificateOptions(
            privateKey=key,
            certificate=certificates[0],
            extraCertChain=certificates[1:],
            raiseMinimumTo=TLSVersion.TLSv1_2,
        )
        # Made now, for it is here that a key of another certificate is found out.
        options.getContext()
    except (OSError, ValueError, TypeError, SSL.Error) as error:
        message = f"{certificate} and {private_key} cannot be used: {error}"
        raise TlsError(message) from error
    return options


def over_tls(factory: IProtocolFactory, options: CertificateOptions) -> TLSMemoryBIOFactory:
    """Give the factory that speaks TLS in front of another one."""
    return TLSMemoryBIOFactory(options, False, factory)  # noqa: FBT003 Twisted's signature: a server
