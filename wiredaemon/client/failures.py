"""Conversion of Twisted's connection failures to this client's errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectError as TwistedConnectError
from twisted.internet.error import ConnectionDone, ConnectionLost, DNSLookupError
from twisted.python.failure import Failure

from wiredaemon.client.errors import (
    BrokenProtocolError,
    ClientError,
    ConnectError,
    ConnectionLostError,
    SilentError,
    UntrustedError,
)
from wiredaemon.net import tls
from wiredaemon.net.twisted_internals import BadResponseVersion, ParseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twisted.internet.defer import Deferred

    from wiredaemon.client.address import Address

_T = TypeVar("_T")


def describe(error: BaseException, address: Address) -> ClientError:
    """Return the client's error for a failure of a connection.

    Args:
        error: The exception, as Twisted raised it.
        address: The server's address, for the text.
    """
    # Deepest first: Twisted wraps the reason of a failed request in errors of its own, which say no
    # more than that it failed.
    for cause in _causes(error):
        known = _describe_cause(cause, address)
        if known is not None:
            return known
    return ConnectionLostError(f"the connection to {address} failed: {_text(error)}")


def cause_of(failure: Failure) -> BaseException:
    """Return the exception in a failure, with its type."""
    return cast("BaseException", failure.value)


def within(
    waited: Deferred[_T],
    address: Address,
    seconds: float,
    reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
) -> Deferred[_T]:
    """Fail a Deferred with a `SilentError` when it takes too long.

    Twisted's own error would be lost in the failure of a cancelled HTTP request.
    """

    def late(_outcome: object, _seconds: float) -> Failure:
        text = f"{address} did not answer within {seconds:g} s"
        return Failure(SilentError(text))

    return waited.addTimeout(seconds, reactor, onTimeoutCancel=late)


def _describe_cause(cause: BaseException, address: Address) -> ClientError | None:
    if isinstance(cause, ClientError):
        return cause
    # Before other errors of TLS: distrust is one of them, and has an option that helps.
    distrust = tls.distrust(cause)
    if distrust is not None:
        return UntrustedError(f"the certificate of {address} is not trusted: {distrust}")
    if tls.is_tls_error(cause):
        return ConnectError(f"TLS with {address} failed: {tls.describe_error(cause)}")
    for kinds, make, text in _TEXTS:
        if isinstance(cause, kinds):
            return make(text.format(address=address, cause=_text(cause)))
    return None


_TEXTS: Final[Sequence[tuple[tuple[type[BaseException], ...], type[ClientError], str]]] = (
    ((tls.TlsError,), ConnectError, "{cause}"),
    ((DNSLookupError,), ConnectError, "cannot connect to {address}: no such host"),
    ((TwistedConnectError,), ConnectError, "cannot connect to {address}: {cause}"),
    ((ConnectionDone,), ConnectionLostError, "{address} closed the connection"),
    ((ConnectionLost,), ConnectionLostError, "the connection to {address} was lost"),
    ((CancelledError,), ConnectionLostError, "the call was cancelled"),
    ((ParseError, BadResponseVersion), BrokenProtocolError, "{address} does not speak HTTP"),
)
"""Twisted's exceptions and the errors that they become; the first match counts."""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the causes of an error, as Twisted's HTTP client keeps them, and then itself."""
    for reason in getattr(error, "reasons", ()):
        if isinstance(reason, Failure):
            yield from _causes(cause_of(reason))
    yield error


def _text(error: BaseException) -> str:
    return str(error).rstrip(".") or type(error).__name__
