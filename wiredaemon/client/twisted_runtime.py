"""The client in Twisted's reactor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IHandshakeListener, IPushProducer
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer

from wiredaemon.client.errors import SilentError
from wiredaemon.client.failures import cause_of, describe
from wiredaemon.client.runtime import Tls
from wiredaemon.net import tls
from wiredaemon.net.write_now import send_at_once, write_now

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from twisted.internet.interfaces import IStreamClientEndpoint
    from twisted.python.failure import Failure

    from wiredaemon.client.address import Address
    from wiredaemon.client.errors import ClientError
    from wiredaemon.client.options import ClientOptions
    from wiredaemon.client.runtime import Cancellable, Receiver, Stream, Waiter


class _Waiter(Deferred[None]):
    """A wait as a Deferred."""

    def wake(self) -> None:
        if not self.called:
            self.callback(None)


class _Timer:
    """A delayed call that may be cancelled when it is over."""

    __slots__ = ("_call",)

    def __init__(self, call: Any) -> None:  # noqa: ANN401 zope interfaces do not intersect
        self._call = call

    def cancel(self) -> None:
        if self._call.active():
            self._call.cancel()


class TwistedRuntime:
    """Twisted's reactor."""

    cancelled = CancelledError

    def __init__(self, reactor: Any) -> None:  # noqa: ANN401 zope interfaces do not intersect
        """Run in a reactor."""
        self._reactor = reactor

    def now(self) -> float:
        """Return the reactor's time."""
        seconds: float = self._reactor.seconds()
        return seconds

    def call_later(self, seconds: float, function: Callable[[], object]) -> Cancellable:
        """Call a function after some time."""
        return _Timer(self._reactor.callLater(seconds, function))

    def call_soon(self, function: Callable[[], object]) -> object:
        """Call a function in the reactor's next turn."""
        return self._reactor.callLater(0, function)

    def waiter(self) -> Waiter:
        """Return a new wait."""
        return _Waiter()

    def run(
        self, coroutine: Coroutine[Any, Any, None], on_done: Callable[[BaseException | None], None]
    ) -> Cancellable:
        """Run a coroutine beside others."""
        running = Deferred.fromCoroutine(coroutine)
        running.addCallbacks(lambda _: on_done(None), lambda failure: on_done(cause_of(failure)))
        return running

    async def open(
        self,
        address: Address,
        receiver: Receiver,
        options: ClientOptions,
        protocols: Sequence[bytes] = (),
    ) -> Stream:
        """Connect, with the TLS handshake where the address asks for TLS."""
        protocol = _StreamProtocol(address, receiver)
        connecting: Deferred[Any] | None = None

        def give_up() -> None:
            text = f"{address} did not answer within {options.connect_seconds:g} s"
            protocol.fail(SilentError(text))
            if connecting is not None:
                connecting.cancel()

        late = self._reactor.callLater(options.connect_seconds, give_up)
        try:
            endpoint = self._endpoint(address, options, protocols)
            connecting = endpoint.connect(Factory.forProtocol(lambda: protocol))
            await connecting
            await protocol.ready
        except BaseException as error:
            protocol.abort()
            if isinstance(error, Exception):
                raise protocol.failure or describe(error, address) from error
            raise
        finally:
            if late.active():
                late.cancel()
        return protocol

    def _endpoint(
        self, address: Address, options: ClientOptions, protocols: Sequence[bytes]
    ) -> IStreamClientEndpoint:
        endpoint: IStreamClientEndpoint
        seconds = options.connect_seconds
        if address.scheme.is_unix:
            endpoint = UNIXClientEndpoint(self._reactor, address.host, timeout=seconds)
            return endpoint
        endpoint = HostnameEndpoint(self._reactor, address.host, address.port, timeout=seconds)
        if not address.scheme.is_secure:
            return endpoint
        creator = tls.client_options(
            address.host,
            authorities=_path(options.authorities),
            trusts_anybody=options.trusts_anybody,
            certificate=_path(options.certificate),
            private_key=_path(options.private_key),
            protocols=() if address.scheme.is_http else protocols,
        )
        endpoint = wrapClientTLS(creator, endpoint)
        return endpoint


def _path(file: Path | str | None) -> Path | None:
    return None if file is None else Path(file)


@implementer(IHandshakeListener, IPushProducer)
class _StreamProtocol(Protocol):
    """One connection: feeds its receiver, and pauses it while the transport holds enough."""

    transport: Any

    def __init__(self, address: Address, receiver: Receiver) -> None:
        self._address = address
        self._receiver = receiver
        self._is_connected = False
        self.ready: Deferred[None] = Deferred()
        """Fires when bytes can be sent, or fails with Twisted's error."""
        self.failure: ClientError | None = None
        """The error that counts, where Twisted has one of its own."""

    @property
    def chosen_protocol(self) -> bytes | None:
        return getattr(self.transport, "negotiatedProtocol", None)

    @property
    def tls(self) -> Tls | None:
        if not (self._is_connected and self._address.scheme.is_secure):
            return None
        version, cipher, certificate = tls.describe_connection(self.transport)
        return Tls(version=version, cipher=cipher, certificate=certificate)

    # --- Twisted's side ----------------------------------------------------------------------

    def connectionMade(self) -> None:
        self._is_connected = True
        send_at_once(self.transport)
        self.transport.registerProducer(self, True)  # noqa: FBT003 Twisted's signature
        if not self._address.scheme.is_secure:
            self.ready.callback(None)

    def handshakeCompleted(self) -> None:
        # Older versions of Twisted call this after a refused certificate as well.
        if not self.transport.disconnecting and not self.ready.called:
            self.ready.callback(None)

    def dataReceived(self, data: bytes) -> None:
        self._receiver.receive_data(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # Twisted always gives it
        self._is_connected = False
        if self.ready.called:
            self._receiver.receive_end(describe(cause_of(reason), self._address))
        else:
            self.ready.errback(reason)

    def fail(self, error: ClientError) -> None:
        """Fail the connection that is being made."""
        self.failure = error
        if self._is_connected and not self.ready.called:
            self.ready.errback(error)

    def pauseProducing(self) -> None:
        self._receiver.pause_output()

    def resumeProducing(self) -> None:
        self._receiver.resume_output()

    def stopProducing(self) -> None:
        self._receiver.resume_output()

    # --- as the stream -----------------------------------------------------------------------

    def write(self, parts: Sequence[bytes]) -> None:
        if self._is_connected:
            write_now(self.transport, parts)

    def pause_input(self) -> None:
        if self._is_connected:
            self.transport.pauseProducing()

    def resume_input(self) -> None:
        if self._is_connected:
            self.transport.resumeProducing()

    def close(self) -> None:
        if self._is_connected:
            # TLS does not end while a paused producer is there.
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def abort(self) -> None:
        if self._is_connected:
            self.transport.abortConnection()
