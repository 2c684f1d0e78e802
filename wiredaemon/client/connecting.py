"""Connecting by URL: one way in, whichever the transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from wiredaemon.client.address import parse_url
from wiredaemon.client.errors import NotOfferedError
from wiredaemon.client.framed import connect_framed
from wiredaemon.client.http import connect_http
from wiredaemon.client.options import DEFAULT_OPTIONS
from wiredaemon.wire.encodings import DECODERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.client.call import Call, Observer
    from wiredaemon.client.description import Description
    from wiredaemon.client.options import ClientOptions
    from wiredaemon.client.outgoing_data import Data
    from wiredaemon.commands import Permission
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.values import Value


class Connection(Protocol):
    """A server's commands, whatever the transport."""

    @property
    def dialect(self) -> Dialect:
        """The framing spoken."""

    def call(
        self,
        command: bytes,
        arguments: Mapping[bytes, Value] | None = None,
        *,
        data: Data | None = None,
        permission: Permission | None = None,
        observer: Observer | None = None,
    ) -> Call:
        """Call a command; it is sent at once, and whatever fails fails the call.

        Args:
            command: Its name.
            arguments: By name; dialect 0002 takes only bytes.
            data: Command data, for a command that takes it.
            permission: That HTTP asks for in its URL; by default what the server says the
                command needs. Other transports do not ask.
            observer: Is told of text and progress; without one the server is asked for neither.
        """

    async def describe(self) -> Description | None:
        """Give what the server says about its commands; None where it does not say."""

    async def close(self) -> None:
        """Close; over HTTP only what no call uses."""


async def connect(
    reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
    url: str,
    options: ClientOptions = DEFAULT_OPTIONS,
) -> Connection:
    """Connect to a server, and over HTTP learn what it offers.

    Args:
        reactor: For connections and timers.
        url: ``http://``, ``https://``, ``hgrpc://`` (frames over TCP) or ``hgrpcs://`` (over
            TLS); its path names a repository.
        options: How.

    Raises:
        ClientError: It cannot be reached, or does not offer what the options ask for.
    """
    address = parse_url(url)
    unknown = [name for name in options.content_encodings if name not in DECODERS]
    if unknown:
        known = ", ".join(sorted(name.decode() for name in DECODERS))
        shown = unknown[0].decode("ascii", "backslashreplace")
        raise NotOfferedError(f"there is no content encoding {shown!r}; there are: {known}")
    connect_by = connect_http if address.scheme.is_http else connect_framed
    return await connect_by(reactor, address, options)
