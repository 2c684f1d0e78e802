r"""Endpoint strings: Twisted's, with what is wrong with them in one line, and whole PROXY headers.

Twisted's ``haproxy:`` drops connections that begin with ``PROXY UNKNOWN\r\n``, which is how HAProxy
connects for itself, and those whose header comes in pieces.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.protocols.haproxy import proxyEndpoint
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IListeningPort, IProtocolFactory

BACKLOG: Final = 128
"""Connections that may wait to be accepted, where the endpoint string does not say how many.

Twisted has 50, which one burst of clients fills. What the system allows may be less (Linux:
``net.core.somaxconn``)."""
_WITH_BACKLOG: Final = ("tcp:", "tcp6:", "ssl:", "unix:")
_HAPROXY: Final = "haproxy:"
_SYSTEMD: Final = "systemd:"
_UNKNOWN: Final = b"PROXY UNKNOWN\r\n"
_LONG_UNKNOWN: Final = b"PROXY UNKNOWN \r\n"
_BARE_COLONS: Final = re.compile(r"interface=[0-9a-fA-F]*::")
_BINARY: Final = b"\r\n\r\n\0\r\nQUIT\n"
"""The signature of version 2."""
_BINARY_HEAD: Final = 16
"""Bytes of version 2 in front of the addresses; the last two are their length."""
_LONGEST_LINE: Final = 107
"""Bytes of a header of version 1."""


class EndpointError(ValueError):
    """An endpoint string is wrong; the text says how."""


def server_endpoint(reactor: Any, description: str) -> Any:  # noqa: ANN401 zope interfaces are no types
    """Return the endpoint that a string describes.

    Raises:
        EndpointError: It describes none.
    """
    if description.startswith(_HAPROXY):
        inner = server_endpoint(reactor, description.removeprefix(_HAPROXY))
        return proxyEndpoint(_WholeHeaders(inner))
    if _BARE_COLONS.search(description):
        raise EndpointError(r"colons of an IPv6 address are written \: in an endpoint string")
    try:
        return _from_string(reactor, description)
    except LookupError as error:
        if description.startswith(_SYSTEMD):
            raise EndpointError(_describe_systemd()) from error
        raise EndpointError(str(error)) from error
    except (AttributeError, ValueError, TypeError, OSError) as error:
        raise EndpointError(str(error)) from error


def _from_string(reactor: Any, description: str) -> Any:  # noqa: ANN401 the same
    if description.startswith(_WITH_BACKLOG) and "backlog=" not in description:
        # Where its third value, by place, is the backlog.
        with suppress(TypeError):
            return serverFromString(reactor, f"{description}:backlog={BACKLOG}")
    return serverFromString(reactor, description)


def _describe_systemd() -> str:
    count, names = (os.environ.get(name) for name in ("LISTEN_FDS", "LISTEN_FDNAMES"))
    if not count:
        return "systemd has passed no socket: LISTEN_FDS is not set for this process"
    return (
        f"systemd has passed no such socket: there are {count} (LISTEN_FDS), and their names are"
        f" {names or 'unknown (LISTEN_FDNAMES)'}"
    )


@implementer(IStreamServerEndpoint)
class _WholeHeaders:
    """An endpoint whose connections begin with a whole PROXY header in one read."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401 the same
        self._inner = inner

    def listen(self, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen on the endpoint."""
        wrapping: Any = _Wrapping(factory)
        listening: Deferred[IListeningPort] = self._inner.listen(wrapping)
        return listening


class _WholeHeader(ProtocolWrapper):
    """Keeps what comes until the header is complete."""

    _kept: bytes | None = b""
    """The beginning of the header; None after it."""

    def dataReceived(self, data: bytes) -> None:
        """Receive bytes."""
        if self._kept is None:
            super().dataReceived(data)
            return
        self._kept += data
        if _is_whole(self._kept):
            data, self._kept = self._kept, None
            if data.startswith(_UNKNOWN):
                data = _LONG_UNKNOWN + data[len(_UNKNOWN) :]
            super().dataReceived(data)


class _Wrapping(WrappingFactory):
    protocol = _WholeHeader
    # Twisted would log the start and the stop of each listener.
    noisy = False


def _is_whole(data: bytes) -> bool:
    """Return whether a connection begins with a whole header, or with none at all."""
    if data[: len(_BINARY)] == _BINARY[: len(data)]:
        if len(data) < _BINARY_HEAD:
            return False
        return len(data) >= _BINARY_HEAD + int.from_bytes(data[14:16], "big")
    return b"\n" in data or len(data) > _LONGEST_LINE or not b"PROXY ".startswith(data[:6])
