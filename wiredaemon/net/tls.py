"""TLS for listeners: the server's certificate and the protocol versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from OpenSSL import SSL, crypto
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
        pem = certificate.read_bytes()
        key = crypto.load_privatekey(crypto.FILETYPE_PEM, private_key.read_bytes())
        blocks = pem.split(b"-----BEGIN CERTIFICATE-----")[1:]
        own, *chain = (
            crypto.load_certificate(crypto.FILETYPE_PEM, b"-----BEGIN CERTIFICATE-----" + block)
            for block in blocks
        )
        options = CertificateOptions(
            privateKey=key,
            certificate=own,
            extraCertChain=chain,
            raiseMinimumTo=TLSVersion.TLSv1_2,
        )
        options.getContext()
    except (OSError, ValueError, crypto.Error, SSL.Error) as error:
        message = f"{certificate} and {private_key} cannot be used: {error}"
        raise TlsError(message) from error
    return options


def over_tls(factory: IProtocolFactory, options: CertificateOptions) -> TLSMemoryBIOFactory:
    """Give the factory that speaks TLS in front of another one."""
    return TLSMemoryBIOFactory(options, False, factory)  # noqa: FBT003 Twisted's signature: a server
