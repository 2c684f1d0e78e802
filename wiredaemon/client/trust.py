"""TLS of the clients that use the standard library's: whom they trust, and what went wrong."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

from wiredaemon.client.errors import ClientError, ConnectError, UntrustedError
from wiredaemon.client.first_bytes import url_prefix

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wiredaemon.client.address import Address
    from wiredaemon.client.options import ClientOptions

_WRONG_NAME: Final = (
    62,  # X509_V_ERR_HOSTNAME_MISMATCH
    64,  # X509_V_ERR_IP_ADDRESS_MISMATCH
)

_NO_TLS: Final = ("wrong version number", "packet length too long", "http request", "record layer")
"""OpenSSL's words for an answer that is no TLS, from 1.1 to 3.5."""
_NO_FRAMES: Final = ("alert internal error", "alert no application protocol")
"""Its words for a server that knows none of the names of ALPN."""
_OURS: Final = ("unknown ca", "certificate")
"""Its words in alerts about the client's certificate: we send those about the server's."""


class Trust:
    """The TLS contexts of one client: reading the system's authorities takes 10 to 30 ms."""

    def __init__(self) -> None:
        """Begin with no context."""
        self._known: dict[object, ssl.SSLContext] = {}

    def context(self, options: ClientOptions, protocols: Sequence[bytes]) -> ssl.SSLContext:
        """Return the context for connections with these options and names for ALPN.

        Raises:
            ConnectError: A file cannot be read or used.
        """
        key = (
            options.authorities,
            options.trusts_anybody,
            options.certificate,
            options.private_key,
            tuple(protocols),
        )
        context = self._known.get(key)
        if context is None:
            context = self._known[key] = _make(options, protocols)
        return context


def _make(options: ClientOptions, protocols: Sequence[bytes]) -> ssl.SSLContext:
    if options.trusts_anybody:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context = _trusting(options.authorities)
    # 1.0 and 1.1 were withdrawn in 2021 (RFC 8996).
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if protocols:
        context.set_alpn_protocols([name.decode() for name in protocols])
    if options.certificate is not None:
        key = options.private_key or options.certificate
        try:
            context.load_cert_chain(options.certificate, key)
        except (OSError, ValueError) as error:
            files = dict.fromkeys((str(options.certificate), str(key)))
            reason = _text(error)
            if reason.startswith("[SSL] PEM lib"):
                reason = "a certificate or its private key is not there"
            text = f"{' and '.join(files)} cannot be used: {reason}"
            raise ConnectError(text) from error
    return context


def _trusting(authorities: Path | str | None) -> ssl.SSLContext:
    if authorities is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cafile=str(authorities))
    except (OSError, ValueError) as error:
        raise ConnectError(f"{authorities} cannot be used: {_text(error)}") from error


def describe_tls(error: ssl.SSLError, address: Address) -> ClientError:
    """Return the client's error for a failure of TLS."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = (
            "it is for another host"
            if error.verify_code in _WRONG_NAME
            else "no authority that is trusted vouches for it, or it is not valid now"
        )
        return UntrustedError(f"the certificate of {address} is not trusted: {reason}")
    return failed_tls(_text(error), address)


def failed_tls(reason: str, address: Address) -> ConnectError:
    """Return the error for TLS that failed, with a likely cause.

    Args:
        reason: The text of OpenSSL.
        address: The server's address.
    """
    scheme, hint = address.scheme, ""
    if any(text in reason for text in _NO_TLS):
        prefix = url_prefix(scheme, is_http=scheme.is_http, is_secure=False)
        hint = f": if it speaks no TLS, the URL must begin with {prefix}"
    elif not scheme.is_http and any(text in reason for text in _NO_FRAMES):
        hint = f": if it speaks HTTP, the URL must begin with {url_prefix(scheme, is_http=True)}"
    elif "alert" in reason and any(text in reason for text in _OURS):
        hint = ": the server wants a certificate of ours, and none that it trusts was shown"
    return ConnectError(f"TLS with {address} failed: {reason}{hint}")


def _text(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    if reason:
        return str(reason).replace("_", " ").lower()
    return str(getattr(error, "strerror", None) or error)
