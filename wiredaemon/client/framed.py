"""Frames on a connection of their own: TCP or TLS, full duplex, calls side by side.

The repository is chosen by each request: the key ``path`` of its map, where the URL has one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IHandshakeListener, ITCPTransport
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer

from wiredaemon.client.call import Call
from wiredaemon.client.calls import ClientCalls
from wiredaemon.client.description import Description, read_description
from wiredaemon.client.errors import ClientError, LoginRefusedError, NotOfferedError
from wiredaemon.client.failures import cause_of, describe, within
from wiredaemon.client.options import CLOSE_SECONDS
from wiredaemon.commands import CommandError, ServerError
from wiredaemon.net import tls
from wiredaemon.wire.dialects import DIALECTS, RequestForm, ResponseForm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twisted.internet.interfaces import IStreamClientEndpoint
    from twisted.python.failure import Failure

    from wiredaemon.client.address import Address
    from wiredaemon.client.call import Observer
    from wiredaemon.client.credentials import Credentials
    from wiredaemon.client.options import ClientOptions
    from wiredaemon.client.outgoing_data import Data
    from wiredaemon.commands import Permission
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.frames import EncodedFrame
    from wiredaemon.wire.values import Value

_DEFAULT_DIALECT: Final = DIALECTS["0006"]


@implementer(IHandshakeListener)
class FramedClientProtocol(Protocol):
    """The protocol of one raw connection: feeds its calls, and sends their frames."""

    transport: Any

    def __init__(
        self,
        address: Address,
        dialect: Dialect,
        options: ClientOptions,
        reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
    ) -> None:
        """Begin unconnected."""
        self.reactor = reactor
        self._address = address
        self._dialect = dialect
        self._is_connected = False
        self._sending = 0
        """The number of calls whose data is being sent."""
        self.calls = ClientCalls(self, dialect, options, reactor)
        self.ready: Deferred[None] = Deferred(lambda _: self.abort())
        """Fires when requests can be sent, or fails with a `ClientError`."""
        self.lost: Deferred[None] = Deferred()
        """Fires when the connection is gone."""

    # --- Twisted's side ----------------------------------------------------------------------

    def connectionMade(self) -> None:
        """Become ready, or wait for the TLS handshake."""
        self._is_connected = True
        # Nagle's algorithm would hold a small request until the one before is acknowledged.
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        if not self._address.scheme.is_secure:
            self._be_ready()

    def handshakeCompleted(self) -> None:
        """Become ready, unless TLS negotiated another dialect."""
        if self.transport.disconnecting:
            # Older versions of Twisted call this behind a refused certificate as well.
            return
        chosen = self.transport.negotiatedProtocol
        # None where the server knows no ALPN: it then speaks its listener's dialect, which the
        # caller has to know.
        if chosen is None or chosen == self._dialect.media_type:
            self._be_ready()
            return
        shown = chosen.decode("ascii", "backslashreplace")
        self._fail(NotOfferedError(f"{self._address} wants to speak {shown}"))

    def dataReceived(self, data: bytes) -> None:
        """Feed received bytes to the calls."""
        self.calls.receive_data(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # Twisted always gives it
        """Fail the calls without a complete response."""
        self._is_connected = False
        error = describe(cause_of(reason), self._address)
        if not self.ready.called:
            self.ready.errback(error)
        self.calls.receive_end(error)
        self.lost.callback(None)

    def _be_ready(self) -> None:
        if not self.ready.called:
            self.ready.callback(None)

    def _fail(self, error: ClientError) -> None:
        if not self.ready.called:
            self.ready.errback(error)
        self.abort()

    # --- as the Wire of the calls ---------------------------------------------------------------

    def write_frames(self, frames: Sequence[EncodedFrame]) -> None:
        """Send frames."""
        self.transport.writeSequence([part for frame in frames for part in frame])

    def pause_input(self) -> None:
        """Pause reading."""
        if self._is_connected:
            self.transport.pauseProducing()

    def resume_input(self) -> None:
        """Resume reading."""
        if self._is_connected:
            self.transport.resumeProducing()

    def abort(self) -> None:
        """Close the connection at once."""
        if self._is_connected:
            self.transport.abortConnection()

    def close(self) -> None:
        """Send what was written, then close, without waiting for incomplete responses."""
        # Over TLS an orderly close waits for the server to close as well, which a server with a
        # long response to send does late.
        if self._is_connected and self.calls.is_idle:
            self.transport.loseConnection()
        else:
            self.abort()

    # --- the connection's side ---------------------------------------------------------------

    def send_data(self, request_id: int, data: Data) -> None:
        """Send command data as fast as the transport takes it; a failure is the call's."""
        # Registered no longer than needed: TLS does not end while a paused producer is there.
        if not self._sending:
            self.transport.registerProducer(self.calls.flow_control, True)  # noqa: FBT003 Twisted's signature
        self._sending += 1
        self.calls.send_data(request_id, data).addBoth(self._sent)

    def _sent(self, _: object) -> None:
        self._sending -= 1
        if not self._sending and self._is_connected:
            self.transport.unregisterProducer()


class FramedConnection:
    """A raw connection that is ready for calls."""

    def __init__(self, protocol: FramedClientProtocol, address: Address, dialect: Dialect) -> None:
        """Wrap a protocol that is ready."""
        self.dialect = dialect
        self._protocol = protocol
        self._path = address.path
        self._description: Description | None = None

    def call(
        self,
        command: bytes,
        arguments: Mapping[bytes, Value] | None = None,
        *,
        data: Data | None = None,
        permission: Permission | None = None,  # noqa: ARG002 HTTP has it in its URLs
        observer: Observer | None = None,
    ) -> Call:
        """Call a command; if it cannot be sent, the call fails."""
        call = Call(observer)
        calls = self._protocol.calls
        # A raw connection has no URL: only a key of the request can name the repository.
        extra: dict[bytes, Value] = {} if self._path == b"/" else {b"path": self._path}
        try:
            request_id = calls.start(
                call, command, arguments or {}, has_data=data is not None, extra=extra
            )
        except ClientError as error:
            call.fail(error)
        else:
            if data is not None:
                self._protocol.send_data(request_id, data)
        return call

    async def describe(self) -> Description | None:
        """Ask once for the server's description of its commands; None if it gives none."""
        if self.dialect.response is ResponseForm.TEXT:
            return None
        if self._description is None:
            try:
                self._description = read_description(await self.call(b"capabilities").result())
            # A server without the command, or without the right to it, can still be called: without
            # types, arguments are bytes.
            except (CommandError, ServerError):
                return None
        return self._description

    async def close(self) -> None:
        """Close the connection; calls without a complete response fail."""
        protocol = self._protocol
        protocol.close()
        await protocol.lost.addTimeout(
            CLOSE_SECONDS, protocol.reactor, onTimeoutCancel=lambda *_: protocol.abort()
        )


async def connect_framed(
    reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
    address: Address,
    options: ClientOptions,
) -> FramedConnection:
    """Connect, and complete the TLS handshake if there is one.

    Raises:
        ClientError: The connection fails, or cannot serve what the options ask for.
    """
    dialect = options.dialect or _DEFAULT_DIALECT
    if dialect.request is not RequestForm.MAP and address.path != b"/":
        raise NotOfferedError(
            f"dialect {dialect.name} cannot name a repository: the URL must not have a path"
        )
    protocol = FramedClientProtocol(address, dialect, options, reactor)
    try:
        endpoint = _endpoint(reactor, address, dialect, options)
        await endpoint.connect(Factory.forProtocol(lambda: protocol))
        await within(protocol.ready, address, options.connect_seconds, reactor)
    except Exception as error:
        raise describe(error, address) from error
    connection = FramedConnection(protocol, address, dialect)
    if options.credentials is not None:
        await _log_in(connection, options.credentials, address)
    return connection


async def _log_in(connection: FramedConnection, credentials: Credentials, address: Address) -> None:
    """Log in, before anything else is sent.

    Raises:
        ClientError: The server refuses the login, or knows none.
    """
    try:
        await connection.call(b"login", credentials.arguments()).result()
    except (CommandError, ServerError) as error:
        await connection.close()
        raise LoginRefusedError(f"{address} refuses the login: {error}") from None
    except BaseException:
        await connection.close()
        raise


def _endpoint(
    reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
    address: Address,
    dialect: Dialect,
    options: ClientOptions,
) -> IStreamClientEndpoint:
    plain = HostnameEndpoint(reactor, address.host, address.port, timeout=options.connect_seconds)
    if not address.scheme.is_secure:
        return plain
    creator = tls.client_options(
        address.host,
        authorities=options.authorities,
        trusts_anybody=options.trusts_anybody,
        certificate=options.certificate,
        private_key=options.private_key,
        protocols=[dialect.media_type],
    )
    secure: IStreamClientEndpoint = wrapClientTLS(creator, plain)
    return secure
