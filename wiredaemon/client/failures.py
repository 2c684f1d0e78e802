"""Conversion of Twisted's connection failures to this client's errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectError as TwistedConnectError
from twisted.internet.error import ConnectionDone, ConnectionLost, DNSLookupError

from wiredaemon.client.errors import (
    ClientError,
    ConnectError,
    ConnectionClosedError,
    ConnectionLostError,
    UntrustedError,
)
from wiredaemon.client.trust import failed_tls
from wiredaemon.net import tls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.python.failure import Failure

    from wiredaemon.client.address import Address


def describe(error: BaseException, address: Address) -> ClientError:
    """Return the client's error for a failure of a connection.

    Args:
        error: The exception, as Twisted raised it.
        address: The server's address, for the text.
    """
    known = _describe_known(error, address)
    if known is not None:
        return known
    return ConnectionLostError(f"the connection to {address} failed: {_text(error)}")


def cause_of(failure: Failure) -> BaseException:
    """Return the exception in a failure, with its type."""
    return cast("BaseException", failure.value)


def _describe_known(cause: BaseException, address: Address) -> ClientError | None:
    if isinstance(cause, ClientError):
        return cause
    # Before other errors of TLS: distrust is one of them, and has an option that helps.
    distrust = tls.distrust(cause)
    if distrust is not None:
        return UntrustedError(f"the certificate of {address} is not trusted: {distrust}")
    if tls.is_tls_error(cause):
        return failed_tls(tls.describe_error(cause), address)
    for kinds, make, text in _TEXTS:
        if isinstance(cause, kinds):
            return make(text.format(address=address, cause=_text(cause)))
    return None


_TEXTS: Final[Sequence[tuple[tuple[type[BaseException], ...], type[ClientError], str]]] = (
    ((tls.TlsError,), ConnectError, "{cause}"),
    ((DNSLookupError,), ConnectError, "cannot connect to {address}: no such host"),
    ((TwistedConnectError,), ConnectError, "cannot connect to {address}: {cause}"),
    ((ConnectionDone,), ConnectionClosedError, "{address} closed the connection"),
    ((ConnectionLost,), ConnectionLostError, "the connection to {address} was lost"),
    ((CancelledError,), ConnectionLostError, "the call was cancelled"),
)
"""Twisted's exceptions and the errors that they become; the first match counts."""


def _text(error: BaseException) -> str:
    return str(error).rstrip(".") or type(error).__name__
