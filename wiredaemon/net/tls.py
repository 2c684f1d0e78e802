"""TLS for listeners and for our client: certificates, trust and protocol versions."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificates
from OpenSSL import SSL, crypto
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    TLSVersion,
    optionsForClientTLS,
    trustRootFromCertificates,
)
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from wiredaemon.net.twisted_internals import ServerTls, VerificationError
from wiredaemon.net.write_now import write_now

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from twisted.internet.interfaces import IProtocolFactory


_DER: Final = crypto.FILETYPE_ASN1


class TlsError(Exception):
    """The certificate or the key cannot be used."""


def server_options(
    certificate: Path,
    private_key: Path,
    protocols: Sequence[bytes] = (),
    *,
    client_authorities: Path | None = None,
) -> CertificateOptions:
    """Return the options of a TLS server, which speaks 1.2 and 1.3.

    Args:
        certificate: A PEM file: the server's own certificate, then the chain that vouches for it.
        private_key: A PEM file, without a password.
        protocols: The names for ALPN, the preferred one first. Where a client offers none of them,
            none is chosen and the connection goes on; Twisted alone would close it.
        client_authorities: A PEM file of the authorities that sign clients' certificates. A client
            may do without a certificate, but one that it shows must be right, or the handshake
            fails. None asks for no certificate.

    Raises:
        TlsError: A file cannot be read or used, or they do not belong together.
    """
    more = {**_own(certificate, private_key)}
    authorities: list[crypto.X509] = []
    if client_authorities is not None:
        authorities = _certificates(client_authorities)
        more |= {"verify": True, "caCerts": authorities, "requireCertificate": False}
    try:
        options = CertificateOptions(
            # 1.0 and 1.1 were withdrawn in 2021 (RFC 8996).
            raiseMinimumTo=TLSVersion.TLSv1_2,
            # Clients that come again resume, which saves a fifth of a handshake's 0.6 ms. Keys of
            # tickets are the context's own: a new certificate or authority ends all of them.
            enableSessionTickets=True,
            **more,
        )
        # Made now, because only this finds out whether the key belongs to the certificate.
        context = options.getContext()
        if protocols:
            context.set_alpn_select_callback(
                lambda _, offered: next(
                    # Our order, not the client's, as with content encodings.
                    (one for one in protocols if one in offered),
                    SSL.NO_OVERLAPPING_PROTOCOLS,
                )
            )
        # Programs with several certificates choose one by the names of these.
        for authority in authorities:
            context.add_client_ca(authority.to_cryptography())
    except SSL.Error as error:
        raise _unusable(certificate, private_key, error) from error
    return options


def _own(certificate: Path, private_key: Path) -> dict[str, Any]:
    """Return the options of Twisted that show a certificate.

    Raises:
        TlsError: A file cannot be read.
    """
    try:
        # Twisted declares pyOpenSSL's own types; pyOpenSSL itself warns of them by now.
        key = load_pem_private_key(private_key.read_bytes(), password=None)
        own, *chain = load_pem_x509_certificates(certificate.read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise _unusable(certificate, private_key, error) from error
    if own.public_key() != key.public_key():
        raise _unusable(certificate, private_key, "they do not belong together")
    return {"privateKey": key, "certificate": own, "extraCertChain": chain}


def _unusable(certificate: Path, private_key: Path, reason: object) -> TlsError:
    files = " and ".join(dict.fromkeys((str(certificate), str(private_key))))
    return TlsError(f"{files} cannot be used: {reason}")


def check_authorities(authorities: Path) -> None:
    """Read a PEM file of authorities.

    Raises:
        TlsError: It cannot be used.
    """
    _certificates(authorities)


def over_tls(factory: IProtocolFactory, options: CertificateOptions) -> TLSMemoryBIOFactory:
    """Return a factory that adds TLS to the connections of another one."""
    made = TLSMemoryBIOFactory(options, False, factory)  # noqa: FBT003 Twisted's signature: a server
    made.protocol = _ServerTls
    return made


_RECORD: Final = 17408
"""Bytes that are read from OpenSSL at once: a record and its framing."""


class _ServerTls(ServerTls):
    """TLS on one connection, whose output leaves at once, all records of it together."""

    _records: list[bytes] | None = None
    """The records of the output that is being encrypted."""

    def write(self, data: bytes) -> None:
        """Encrypt and send output."""
        records: list[bytes] = []
        self._records = records
        super().write(data)
        self._records = None
        if records:
            write_now(self.transport, records)

    def flush_encrypted(self, connection: SSL.Connection) -> None:
        """Send what is encrypted, or keep it for the records after it."""
        size = _RECORD
        with suppress(SSL.WantReadError):  # no more is there
            while size == _RECORD:
                record = connection.bio_read(_RECORD)
                size = len(record)
                if self._records is None:
                    write_now(self.transport, [record])
                else:
                    self._records.append(record)


# --- clients ---------------------------------------------------------------------------------


def client_options(  # noqa: PLR0913 all that a client may choose
    hostname: str,
    *,
    authorities: Path | None = None,
    trusts_anybody: bool = False,
    protocols: Sequence[bytes] = (),
    certificate: Path | None = None,
    private_key: Path | None = None,
) -> IOpenSSLClientConnectionCreator:
    """Return the creator of TLS connections to one host, with version 1.2 or 1.3.

    Args:
        hostname: The name or address that the certificate must be for.
        authorities: A PEM file of the certificates to trust; None for those of the system.
        trusts_anybody: Check neither the certificate nor its host name.
        protocols: The names to offer by ALPN, the most preferred first; a server without ALPN
            chooses none.
        certificate: A PEM file of our own certificate and the chain that vouches for it; None shows
            none to the server.
        private_key: A PEM file of its key; None if it is in the certificate's file.

    Raises:
        TlsError: A file cannot be read or used.
    """
    more: dict[str, Any] = {"raiseMinimumTo": TLSVersion.TLSv1_2}
    if certificate is not None:
        more |= _own(certificate, private_key or certificate)
    if trusts_anybody:
        return _TrustingCreator(hostname, CertificateOptions(**more), protocols)
    return optionsForClientTLS(
        hostname,
        trustRoot=None if authorities is None else _trust(authorities),
        acceptableProtocols=list(protocols) or None,
        extraCertificateOptions=more,
    )


def _trust(authorities: Path) -> Any:  # noqa: ANN401 Twisted's interface is not public
    return trustRootFromCertificates([Certificate(each) for each in _certificates(authorities)])


def _certificates(authorities: Path) -> list[crypto.X509]:
    """Return the certificates of a file in pyOpenSSL's type, which Twisted needs."""
    try:
        certificates = load_pem_x509_certificates(authorities.read_bytes())
    except (OSError, ValueError) as error:
        message = f"{authorities} cannot be used: {error}"
        raise TlsError(message) from error
    return [crypto.X509.from_cryptography(certificate) for certificate in certificates]


@implementer(IOpenSSLClientConnectionCreator)
class _TrustingCreator:
    """Connects without verifying the server; every creator of Twisted verifies."""

    def __init__(
        self, hostname: str, options: CertificateOptions, protocols: Sequence[bytes]
    ) -> None:
        self._hostname = hostname
        self._options = options
        self._protocols = list(protocols)

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:  # noqa: ARG002 of the interface
        connection = SSL.Connection(self._options.getContext(), None)
        # SNI is for names only (RFC 6066, section 3).
        if not isIPAddress(self._hostname) and not isIPv6Address(self._hostname):
            connection.set_tlsext_host_name(self._hostname.encode("idna"))
        if self._protocols:
            connection.set_alpn_protos(self._protocols)
        return connection


def distrust(error: BaseException) -> str | None:
    """Return why a server's certificate was refused; None for an error about anything else."""
    if isinstance(error, VerificationError):
        return "it is for another host"
    if isinstance(error, SSL.Error) and "certificate verify failed" in describe_error(error):
        return "no authority that is trusted vouches for it, or it is not valid now"
    return None


def describe_connection(transport: Any) -> tuple[str, str, bytes]:  # noqa: ANN401 Twisted's wrapper of TLS
    """Return the version, the cipher and the peer's certificate (DER) of a connection over TLS."""
    connection = transport.getHandle()
    certificate = connection.get_peer_certificate()
    shown = b"" if certificate is None else crypto.dump_certificate(_DER, certificate)
    return connection.get_protocol_version_name(), connection.get_cipher_name() or "", shown


def is_tls_error(error: BaseException) -> bool:
    """Return whether an error is a failure of TLS, rather than of the socket below."""
    return isinstance(error, SSL.Error)


def describe_error(error: BaseException) -> str:
    """Return the text of a TLS error: the reasons in OpenSSL's error queue."""
    queue = error.args[0] if isinstance(error, SSL.Error) and error.args else None
    reasons = [entry[-1] for entry in queue] if isinstance(queue, list) else []
    return ", ".join(reasons) or str(error) or type(error).__name__
