"""The client in asyncio's event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from wiredaemon.client.errors import ConnectionClosedError, ConnectionLostError, SilentError
from wiredaemon.client.runtime import Tls
from wiredaemon.client.sockets import (
    HEAD_START,
    describe_failure,
    describe_loss,
    reset_when_closed,
)
from wiredaemon.client.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from wiredaemon.client.address import Address
    from wiredaemon.client.options import ClientOptions
    from wiredaemon.client.runtime import Cancellable, Receiver, Stream, Waiter


class _Waiter(asyncio.Future[None]):
    """A wait as a Future."""

    def wake(self) -> None:
        if not self.done():
            self.set_result(None)


class AioRuntime:
    """An event loop of asyncio."""

    cancelled = asyncio.CancelledError

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run in a loop."""
        self._loop = loop
        self._trust = Trust()
        self._running: set[asyncio.Task[None]] = set()
        """The coroutines that run; the loop alone would forget them."""

    def now(self) -> float:
        """Return the loop's time."""
        return self._loop.time()

    def call_later(self, seconds: float, function: Callable[[], object]) -> Cancellable:
        """Call a function after some time."""
        return self._loop.call_later(seconds, function)

    def call_soon(self, function: Callable[[], object]) -> object:
        """Call a function in the loop's next turn."""
        return self._loop.call_soon(function)

    def waiter(self) -> Waiter:
        """Return a new wait."""
        return _Waiter(loop=self._loop)

    def run(
        self, coroutine: Coroutine[Any, Any, None], on_done: Callable[[BaseException | None], None]
    ) -> Cancellable:
        """Run a coroutine beside others."""
        task = self._loop.create_task(coroutine)
        self._running.add(task)

        def done(_: object) -> None:
            self._running.discard(task)
            on_done(asyncio.CancelledError() if task.cancelled() else task.exception())

        task.add_done_callback(done)
        return task

    async def open(
        self,
        address: Address,
        receiver: Receiver,
        options: ClientOptions,
        protocols: Sequence[bytes] = (),
    ) -> Stream:
        """Connect, with the TLS handshake where the address asks for TLS."""
        protocol = _StreamProtocol(address, receiver)
        try:
            await asyncio.wait_for(
                self._connect(protocol, address, options, protocols), options.connect_seconds
            )
        except TimeoutError:
            text = f"{address} did not answer within {options.connect_seconds:g} s"
            raise SilentError(text) from None
        except Exception as error:
            raise describe_failure(error, address) from error
        return protocol

    async def _connect(
        self,
        protocol: _StreamProtocol,
        address: Address,
        options: ClientOptions,
        protocols: Sequence[bytes],
    ) -> None:
        if address.scheme.is_unix:
            await self._loop.create_unix_connection(lambda: protocol, address.host)
            return
        context = None
        if address.scheme.is_secure:
            context = self._trust.context(options, () if address.scheme.is_http else protocols)
        await self._loop.create_connection(
            lambda: protocol,
            address.host,
            address.port,
            ssl=context,
            server_hostname=address.host if context is not None else None,
            happy_eyeballs_delay=HEAD_START,
        )


class _StreamProtocol(asyncio.Protocol):
    """One connection, as the stream of its receiver."""

    def __init__(self, address: Address, receiver: Receiver) -> None:
        self._address = address
        self._receiver = receiver
        self._transport: asyncio.Transport | None = None
        self._is_aborted = False
        self.data_received = receiver.receive_data  # type: ignore[method-assign]  # a call less for each read

    # --- asyncio's side ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 the type is wider
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if exc is not None:
            error = describe_loss(exc, self._address)
        elif self._is_aborted:
            error = ConnectionLostError(f"the connection to {self._address} was lost")
        else:
            error = ConnectionClosedError(f"{self._address} closed the connection")
        self._receiver.receive_end(error)

    def pause_writing(self) -> None:
        self._receiver.pause_output()

    def resume_writing(self) -> None:
        self._receiver.resume_output()

    # --- as the stream -----------------------------------------------------------------------

    @property
    def chosen_protocol(self) -> bytes | None:
        connection = self._transport and self._transport.get_extra_info("ssl_object")
        chosen = connection.selected_alpn_protocol() if connection else None
        return chosen.encode() if chosen else None

    @property
    def tls(self) -> Tls | None:
        connection = self._transport and self._transport.get_extra_info("ssl_object")
        if not connection:
            return None
        try:
            certificate = connection.getpeercert(binary_form=True)
        except ValueError:  # an alert has ended TLS, and with it soon the connection
            return None
        return Tls(
            version=connection.version(),
            cipher=connection.cipher()[0],
            certificate=certificate or b"",
        )

    def write(self, parts: Sequence[bytes]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(parts))

    def pause_input(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_input(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        self._is_aborted = True
        if self._transport is not None:
            connection = self._transport.get_extra_info("socket")
            if connection is not None:
                reset_when_closed(connection)
            self._transport.abort()
