"""The connections to one server over HTTP: kept while they can be used again, bounded in number."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from wiredaemon.client.errors import CLOSED, ClientError, ConnectionLostError
from wiredaemon.client.http_stream import HttpStream
from wiredaemon.client.reconnecting import connect_again

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.client.address import Address
    from wiredaemon.client.options import ClientOptions
    from wiredaemon.client.runtime import Cancellable, Runtime, Tls, Waiter


class HttpPool:
    """Gives each exchange a connection of its own for as long as it lasts."""

    def __init__(self, runtime: Runtime, address: Address, options: ClientOptions) -> None:
        """Begin without a connection."""
        self._runtime = runtime
        self._address = address
        self._options = options
        self._idle: list[HttpStream] = []
        self._busy: set[HttpStream] = set()
        self._connecting: dict[Wanted, Cancellable | None] = {}
        """The attempts to connect, by those for whom they are made."""
        self._open: set[HttpStream] = set()
        """All connections that are there, also those that are being closed."""
        self._waiting: deque[Wanted] = deque()
        self.tls: Tls | None = None
        """The TLS of the connection that was made last; None without."""
        self._was_reached = False
        """A connection was made before: from then on, attempts that fail are repeated."""
        self._is_known = False
        """The server has answered: it speaks HTTP."""
        self.is_closed = False
        """Nothing is connected any more."""
        self._closing: list[Waiter] = []

    def take(
        self,
        on_stream: Callable[[HttpStream], None],
        on_failure: Callable[[ClientError], None],
        *,
        is_fresh: bool = False,
    ) -> Wanted:
        """Get a connection, at once if one is free.

        Args:
            on_stream: Gets the connection.
            on_failure: Gets the error, if there is none to be had.
            is_fresh: Take none that was used before.

        Returns:
            What was asked; once its `is_over` is set nothing is given any more.
        """
        wanted = Wanted(on_stream, on_failure)
        if self.is_closed:
            on_failure(ConnectionLostError(CLOSED))
        elif self._idle and not is_fresh:
            # The one that was used last: the others may be closed for want of use.
            self._give(self._idle.pop(), wanted)
        elif self._has_room:
            self._connect(wanted)
        else:
            self._waiting.append(wanted)
        return wanted

    @property
    def _has_room(self) -> bool:
        return len(self._busy) + len(self._connecting) < self._options.most_connections

    def _give(self, stream: HttpStream, wanted: Wanted) -> None:
        self._busy.add(stream)
        try:
            wanted.on_stream(stream)
        except Exception as error:  # noqa: BLE001 a header that HTTP cannot have, for instance
            stream.abort()
            wanted.on_failure(ClientError(f"the request cannot be sent: {error}"))

    def _connect(self, wanted: Wanted) -> None:
        stream = HttpStream(self._address, self._free)

        async def connect() -> None:
            nonlocal stream
            stream = HttpStream(self._address, self._free, is_known=self._is_known)
            stream.stream = await self._runtime.open(self._address, stream, self._options)
            if stream.failure is not None:  # gone again by now, or of no use
                stream.stream.abort()
                raise stream.failure
            self._was_reached = True
            self._open.add(stream)
            self.tls = stream.stream.tls

        async def connect_or_reconnect() -> None:
            if not self._was_reached:
                await connect()
                return
            seconds = self._options.connect_seconds
            await connect_again(self._runtime, seconds, connect, lambda: not wanted.is_over)

        def connected(error: BaseException | None) -> None:
            del self._connecting[wanted]
            if self.is_closed:
                stream.abort()
                error = ConnectionLostError(CLOSED)
            if error is None:
                self._give(stream, wanted)
                return
            known = error if isinstance(error, ClientError) else ClientError(str(error))
            wanted.on_failure(known)
            self._serve_waiting()
            self._check_closed()

        self._connecting[wanted] = None
        connecting = self._runtime.run(connect_or_reconnect(), connected)
        if wanted in self._connecting:  # it may have failed at once
            self._connecting[wanted] = connecting

    def release(self, stream: HttpStream) -> None:
        """Give back a connection that was not used."""
        self._free(stream)

    def abort(self) -> None:
        """Close all connections at once."""
        for stream in list(self._open):
            stream.abort()

    def _free(self, stream: HttpStream) -> None:
        """Keep a connection whose exchange is over, or forget one that is gone."""
        self._busy.discard(stream)
        self._is_known = self._is_known or stream.is_known
        if stream.is_gone:
            self._open.discard(stream)
        if stream.is_lost:
            if stream in self._idle:
                self._idle.remove(stream)
        elif (wanted := self._next_wanted()) is not None:
            self._give(stream, wanted)
            return
        else:
            self._idle.append(stream)
        self._serve_waiting()
        self._check_closed()

    def _serve_waiting(self) -> None:
        wanted = self._next_wanted() if self._has_room else None
        if wanted is not None:
            self._connect(wanted)

    def _next_wanted(self) -> Wanted | None:
        while self._waiting:
            wanted = self._waiting.popleft()
            # In a loop: a thousand calls may have been given up meanwhile.
            if not wanted.is_over:
                return wanted
        return None

    def _check_closed(self) -> None:
        if self.is_closed and not (self._open or self._connecting):
            closing, self._closing = self._closing, []
            for waiter in closing:
                waiter.wake()

    async def close(self) -> None:
        """Close the connections, and fail the exchanges that use them; return when all are gone."""
        self.is_closed = True
        waiting, self._waiting = self._waiting, deque()
        for wanted in waiting:
            wanted.on_failure(ConnectionLostError(CLOSED))
        for stream in list(self._busy):
            stream.give_up(ConnectionLostError(CLOSED))
        for stream in self._idle:
            stream.close()
        for wanted, connecting in list(self._connecting.items()):
            wanted.is_over = True
            if connecting is not None:
                connecting.cancel()
        if self._open or self._connecting:
            waiter = self._runtime.waiter()
            self._closing.append(waiter)
            await waiter


class Wanted:
    """An exchange that wants a connection."""

    __slots__ = ("is_over", "on_failure", "on_stream")

    def __init__(
        self,
        on_stream: Callable[[HttpStream], None],
        on_failure: Callable[[ClientError], None],
    ) -> None:
        self.on_stream = on_stream
        self.on_failure = on_failure
        self.is_over = False
        """It wants none any more."""
