"""Frames on a connection of their own: TCP, TLS or a Unix socket, full duplex, calls side by side.

The repository is chosen by each request: the key ``path`` of its map, where the URL has one. A
connection that is lost is made anew for the next call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from wiredaemon.client.call import Call
from wiredaemon.client.description import Description, read_description
from wiredaemon.client.errors import (
    CLOSED,
    PASSED,
    ClientError,
    ConnectionLostError,
    DeadlineError,
    NotOfferedError,
)
from wiredaemon.client.framed_stream import FramedStream
from wiredaemon.client.options import CLOSE_SECONDS
from wiredaemon.client.outgoing_data import checked_data
from wiredaemon.client.reconnecting import connect_again
from wiredaemon.client.requests import Request, granted, moment_of, name_bytes, named_arguments
from wiredaemon.commands import Permission
from wiredaemon.wire.dialects import DIALECTS, RequestForm, ResponseForm

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from wiredaemon.client.address import Address
    from wiredaemon.client.call import Observer
    from wiredaemon.client.options import ClientOptions
    from wiredaemon.client.outgoing_data import Data
    from wiredaemon.client.runtime import Cancellable, Runtime, Tls, Waiter
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.values import Value

_DEFAULT_DIALECT: Final = DIALECTS["0006"]


class FramedConnection:
    """A raw connection that is ready for calls."""

    def __init__(self, runtime: Runtime, address: Address, options: ClientOptions) -> None:
        """Begin unconnected; `open` connects."""
        self.dialect: Dialect = options.dialect or _DEFAULT_DIALECT
        self._runtime = runtime
        self._address = address
        self._options = options
        # A raw connection has no URL: only a key of the request can name the repository.
        self._path = None if address.path == b"/" else address.path
        self._streams: list[FramedStream] = []
        """The connections that are there: besides the current one those that a server has taken
        leave of, until their calls are answered."""
        self._stream = self._new_stream()
        self._description: Description | None = None
        self._reading: set[bytes] = set()
        """The names of the commands that only read, as the server has told."""
        self._waiting: list[tuple[Call, Request, Cancellable | None]] = []
        """Calls that wait for a connection or their turn, with the timers of their deadlines."""
        self._connecting: Cancellable | None = None
        """Connects again."""
        self._is_closed = False
        self._closing: list[Waiter] = []
        """Wait until nothing connects any more."""

    def _new_stream(self) -> FramedStream:
        is_known = any(one.is_known for one in self._streams)
        stream = FramedStream(
            self._runtime, self._address, self.dialect, self._options, is_known=is_known
        )
        stream.calls.data_turns.on_room = self._serve_waiting
        self._streams = [one for one in self._streams if not one.is_lost]
        self._streams.append(stream)
        return stream

    @property
    def tls(self) -> Tls | None:
        """The TLS of the connection; None without."""
        return self._stream.tls

    @property
    def has_session(self) -> bool:
        """Calls are cancelled one by one, and the server is asked for signs of life."""
        return self._stream.calls.has_session

    async def open(self) -> None:
        """Connect for the first time.

        Raises:
            ClientError: The connection fails, or cannot serve what the options ask for.
        """
        if self.dialect.request is not RequestForm.MAP and self._address.path != b"/":
            raise NotOfferedError(
                f"dialect {self.dialect.name} cannot name a repository: the URL must not have a "
                "path"
            )
        self._learn(await self._stream.open())

    def _learn(self, described: object) -> None:
        if described is not None:
            self._description = read_description(described)
            commands = self._description.commands.items()
            self._reading = {name for name, one in commands if one.permission is Permission.RO}

    # --- calls -------------------------------------------------------------------------------

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
        """Call a command; if it cannot be sent, the call fails."""
        call = Call(self._runtime, observer)
        seconds = self._options.timeout if timeout is None else timeout
        try:
            if permission is not None:
                granted(permission)  # HTTP has it in its URLs
            deadline = None if seconds is None else moment_of(seconds, self._runtime.now())
            request = Request(
                name_bytes(command),
                named_arguments(arguments),
                None if data is None else checked_data(data),
                self._path,
                deadline,
            )
            if self._stream.is_usable and (data is None or self._has_room(request)):
                self._start(call, request)
            else:
                self._wait_for_stream(call, request)
        except ClientError as error:
            call.fail(error)
        return call

    def _start(self, call: Call, request: Request) -> None:
        # A request may be sent twice if it only reads, and nothing of it is lost.
        if request.command in self._reading and request.is_repeatable and self._options.retries:
            call.recovery = _Repetition(self, request, self._options.retries)
        self._stream.calls.start(call, request)

    def repeat(self, call: Call, request: Request) -> bool:
        """Make a call once more, on another connection; return whether that can be."""
        if self._is_closed:
            return False
        self._wait_for_stream(call, request)
        return True

    # --- connecting again --------------------------------------------------------------------

    def _wait_for_stream(self, call: Call, request: Request) -> None:
        """Start a call as soon as there is a connection with room for it.

        Raises:
            ConnectionLostError: The connection was closed by its owner.
        """
        if self._is_closed:
            raise ConnectionLostError(CLOSED)
        timer = None
        if request.deadline is not None:
            left = max(request.deadline - self._runtime.now(), 0.0)
            timer = self._runtime.call_later(left, lambda: _expire(call))
        self._waiting.append((call, request, timer))
        self._connect_for_waiting()

    async def _reconnect(self) -> None:
        """Connect anew, several times with growing pauses."""
        seconds = self._options.connect_seconds
        await connect_again(self._runtime, seconds, self._open_another, lambda: not self._is_closed)

    async def _open_another(self) -> None:
        stream = self._new_stream()
        self._learn(await stream.open())
        self._stream = stream

    def _reconnected(self, error: BaseException | None) -> None:
        self._connecting = None
        waiting, self._waiting = self._waiting, []
        if self._is_closed:
            error = ConnectionLostError(CLOSED)
            for waiter in self._closing:
                waiter.wake()
        for call, request, timer in waiting:
            if error is None:
                self._waiting.append((call, request, timer))
                continue
            if timer is not None:
                timer.cancel()
            call.recovery = None
            call.fail(error)
        self._serve_waiting()

    def _has_room(self, request: Request) -> bool:
        """Return whether a request may begin now: those with data are few at the same time."""
        return request.data is None or self._stream.calls.data_turns.has_room

    def _serve_waiting(self) -> None:
        """Start the calls that may begin now, and connect for them where that is needed."""
        waiting, self._waiting = self._waiting, []
        for call, request, timer in waiting:
            if not call.is_over and not (self._stream.is_usable and self._has_room(request)):
                self._waiting.append((call, request, timer))
                continue
            if timer is not None:
                timer.cancel()
            if call.is_over:
                continue
            try:
                if call.recovery is None:
                    self._start(call, request)
                else:  # once more: its retries count on
                    self._stream.calls.start(call, request)
            except ClientError as refused:
                call.fail(refused)
        self._connect_for_waiting()

    def _connect_for_waiting(self) -> None:
        is_needed = self._waiting and not (self._stream.is_usable or self._is_closed)
        if is_needed and self._connecting is None:
            self._connecting = self._runtime.run(self._reconnect(), self._reconnected)

    # --- the rest ----------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection."""
        await self.close()

    async def describe(self) -> Description | None:
        """Return the server's description of its commands; None if it gives none."""
        if self.dialect.response is ResponseForm.TEXT:
            return None
        return self._description

    async def close(self) -> None:
        """Close the connection; calls without a complete response fail."""
        self._is_closed = True
        if self._connecting is None:
            self._reconnected(None)  # fails those that wait for their turn
        else:
            waiter = self._runtime.waiter()
            self._closing.append(waiter)
            self._connecting.cancel()
            await waiter
        for stream in self._streams:
            stream.close()
            late = self._runtime.call_later(CLOSE_SECONDS, stream.abort)
            try:
                await stream.wait_closed()
            finally:
                late.cancel()


class _Repetition:
    """Makes a call once more when its connection is lost, a number of times."""

    __slots__ = ("_connection", "_left", "_request")

    def __init__(self, connection: FramedConnection, request: Request, most: int) -> None:
        self._connection = connection
        self._request = request
        self._left = most

    def recover(self, call: Call, error: BaseException) -> bool:
        if self._left <= 0 or not isinstance(error, ConnectionLostError):
            return False
        self._left -= 1
        return self._connection.repeat(call, self._request)


def _expire(call: Call) -> None:
    call.recovery = None
    call.fail(DeadlineError(PASSED))
