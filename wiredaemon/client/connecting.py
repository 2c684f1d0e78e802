"""Connecting by URL, over any of the transports."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from wiredaemon.client.address import parse_url
from wiredaemon.client.credentials import Password, check_secrecy, from_netrc
from wiredaemon.client.errors import NotOfferedError, UrlError
from wiredaemon.client.framed import FramedConnection
from wiredaemon.client.http import HttpConnection
from wiredaemon.client.options import DEFAULT_OPTIONS
from wiredaemon.client.requests import name_bytes
from wiredaemon.wire.encodings import DECODERS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from wiredaemon.client.address import Address
    from wiredaemon.client.call import Call, Observer
    from wiredaemon.client.description import Description
    from wiredaemon.client.options import ClientOptions
    from wiredaemon.client.outgoing_data import Data
    from wiredaemon.client.runtime import Runtime, Tls
    from wiredaemon.commands import Permission
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.values import Value


class Connection(Protocol):
    """A connection to a server, over any transport."""

    @property
    def dialect(self) -> Dialect:
        """The framing that is spoken."""

    @property
    def tls(self) -> Tls | None:
        """The version, the cipher and the server's certificate; None without TLS."""

    @property
    def has_session(self) -> bool:
        """The server keeps a session: calls are cancelled one by one. Never over HTTP."""

    def call(  # noqa: PLR0913 all that a call is made of
        self,
        command: bytes | str,
        arguments: Mapping[bytes, Value] | Mapping[str, Value] | None = None,
        *,
        data: Data | None = None,
        permission: Permission | Literal["ro", "rw"] | None = None,
        observer: Observer | None = None,
        timeout: float | None = None,
    ) -> Call:
        """Call a command; the request is sent at once, and every failure is the call's.

        Args:
            command: The name of the command.
            arguments: Its arguments by name; dialect 0002 takes only bytes.
            data: Command data, for a command that takes it.
            permission: The permission in HTTP's URL; by default the one that the server says the
                command needs. Other transports have none.
            observer: Receives text and progress; without one the server is asked for neither.
            timeout: Seconds until the call fails with a `DeadlineError`. The server is told, and
                stops the command by itself. None takes that of the options.
        """

    async def describe(self) -> Description | None:
        """Return the server's description of its commands; None if it gives none."""

    async def close(self) -> None:
        """Close the connection; calls without a complete response fail, and are stopped."""

    async def __aenter__(self) -> Self:
        """Return itself."""

    async def __aexit__(self, *_: object) -> None:
        """Close the connection."""


async def connect(
    reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
    url: str,
    options: ClientOptions = DEFAULT_OPTIONS,
) -> Connection:
    """Connect to a server in Twisted's reactor, and learn what it offers.

    Args:
        reactor: Makes connections and timers.
        url: ``http://``, ``https://``, ``hgrpc://`` (frames over TCP), ``hgrpcs://`` (over TLS);
            its path names a repository, and ``user:password@`` in front of the host logs in. Or
            ``unix:/path/of/socket``, with ``:/repository`` at its end where needed.
        options: Dialect, encodings, login, trust, times and limits.

    Raises:
        ClientError: The server cannot be reached, or does not offer what the options ask for.
    """
    # Here: scripts need none of Twisted, which takes most of the time in which they start.
    from wiredaemon.client.twisted_runtime import TwistedRuntime  # noqa: PLC0415

    return await open_connection(TwistedRuntime(reactor), url, options)


async def open_connection(runtime: Runtime, url: str, options: ClientOptions) -> Connection:
    """Connect to a server in an event loop.

    Raises:
        ClientError: The server cannot be reached, or does not offer what the options ask for.
    """
    address = parse_url(url)
    # Before anything is sent: a server that chose an unknown one would only be found out by its
    # answer.
    named = [*options.content_encodings, *options.data_encodings]
    unknown = [name for name in map(name_bytes, named) if name not in DECODERS]
    if unknown:
        known = ", ".join(sorted(name.decode() for name in DECODERS))
        shown = unknown[0].decode("ascii", "backslashreplace")
        raise NotOfferedError(f"there is no content encoding {shown!r}; there are: {known}")
    options = _with_login(options, address)
    connection: FramedConnection | HttpConnection
    if address.scheme.is_http:
        connection = HttpConnection(runtime, address, options)
    else:
        connection = FramedConnection(runtime, address, options)
    await connection.open()
    return connection


def _with_login(options: ClientOptions, address: Address) -> ClientOptions:
    """Return the options with the login of the URL or of netrc, where they have none of their own.

    Raises:
        UrlError: There is a user without a password, or others could read it on the way.
    """
    credentials = options.credentials
    if credentials is None and address.password is not None and address.user is not None:
        credentials = Password(address.user, address.password)
    if credentials is None and options.netrc is not None:
        credentials = from_netrc(options.netrc, address)
    if credentials is None and address.user is not None:
        raise UrlError(f"there is no password for the user {address.user!r}")
    if credentials is not None and not options.sends_plainly:
        check_secrecy(address)
    return replace(options, credentials=credentials)
