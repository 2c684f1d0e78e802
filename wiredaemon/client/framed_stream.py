"""One raw connection: the stream of bytes below, and the calls that share it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.client.call import Call
from wiredaemon.client.calls import ClientCalls
from wiredaemon.client.errors import (
    CLOSED,
    BrokenProtocolError,
    ClientError,
    ConnectionLostError,
    LoginRefusedError,
    NotOfferedError,
    SilentError,
    as_lost,
)
from wiredaemon.client.first_bytes import instead_of_frames, perhaps_other
from wiredaemon.client.idle_timer import IdleTimer
from wiredaemon.client.requests import Request
from wiredaemon.commands import CommandError, ServerError
from wiredaemon.wire.dialects import ResponseForm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.client.address import Address
    from wiredaemon.client.options import ClientOptions
    from wiredaemon.client.runtime import Cancellable, Runtime, Stream, Tls, Waiter
    from wiredaemon.wire.dialects import Dialect

_STAY: Final = 10.0
"""Seconds between signs of life while nothing is read; servers ask after 60 by default."""


class FramedStream:
    """One raw connection, as `Receiver` of its stream and as `Wire` of its calls."""

    def __init__(
        self,
        runtime: Runtime,
        address: Address,
        dialect: Dialect,
        options: ClientOptions,
        *,
        is_known: bool = False,
    ) -> None:
        """Begin unconnected."""
        self._runtime = runtime
        self._address = address
        self._dialect = dialect
        self._options = options
        self._stream: Stream | None = None
        self._has_received = False
        self.is_known = is_known
        """The server speaks frames: it has sent some, here or before."""
        self._is_leaving = False
        """No further call is started; the connection closes when it is idle."""
        self._is_closed = False
        """It is closed by us."""
        self._is_pinging = False
        self._staying: Cancellable | None = None
        """Tells the server from time to time that we are there, while we read nothing."""
        self._closed: list[Waiter] = []
        self.is_lost = False
        """The connection is gone."""
        self.calls = ClientCalls(self, dialect, options, runtime)
        self.calls.on_go_away = self._go_away
        self._idle = IdleTimer(runtime, self._ask_for_life)

    @property
    def is_usable(self) -> bool:
        """Further calls may be started."""
        is_over = self.is_lost or self._is_leaving or self.calls.writer.is_over
        return self._stream is not None and not is_over

    @property
    def tls(self) -> Tls | None:
        """The TLS of the connection; None without."""
        return None if self._stream is None else self._stream.tls

    # --- opening -----------------------------------------------------------------------------

    async def open(self) -> object:
        """Connect, log in, and ask the server for its commands.

        Returns:
            The result of ``capabilities``; None where the server does not say.

        Raises:
            ClientError: The connection fails, or cannot serve what the options ask for.
        """
        wanted = [self._dialect.media_type]
        self._stream = await self._runtime.open(self._address, self, self._options, wanted)
        chosen = self._stream.chosen_protocol
        # None where the server knows no ALPN: it then speaks its listener's dialect, which the
        # caller has to know.
        if chosen is not None and chosen != self._dialect.media_type:
            self.abort()
            shown = chosen.decode("ascii", "backslashreplace")
            raise NotOfferedError(f"{self._address} wants to speak {shown}")
        late = self._runtime.call_later(self._options.connect_seconds, self._late)
        try:
            described = await self._greet()
        except BaseException:
            self.abort()
            raise
        finally:
            late.cancel()
        if self.calls.has_session:
            self._idle.set(self._options.keep_alive_seconds)
        return described

    def _late(self) -> None:
        seconds = self._options.connect_seconds
        self.calls.fail(SilentError(f"{self._address} did not answer within {seconds:g} s"))

    async def _greet(self) -> object:
        """Log in, and find out whether the server understands us, before anything else is asked."""
        if self.calls.failure is not None:  # the server has spoken first
            raise self.calls.failure
        credentials = self._options.credentials
        if credentials is not None:
            try:
                await self._ask(Request(b"login", credentials.arguments()))
            except (CommandError, ServerError) as error:
                text = f"{self._address} refuses the login: {error}"
                raise LoginRefusedError(text) from None
        if self._dialect.response is ResponseForm.TEXT:
            return None
        path = None if self._address.path == b"/" else self._address.path
        try:
            return await self._ask(Request(b"capabilities", {}, path=path))
        # A server without the command, or without the right to it, can still be called: without
        # types, arguments are bytes.
        except (CommandError, ServerError):
            return None

    def _ask(self, request: Request) -> Call:
        call = Call(self._runtime)
        self.calls.start(call, request)
        return call

    # --- as the receiver of the stream -------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Feed received bytes to the calls."""
        self._idle.touch()
        self._is_pinging = False
        if not self._has_received:
            self._has_received = True
            scheme, limits = self._address.scheme, self._options.limits
            other = instead_of_frames(data, scheme, self._dialect, limits)
            if other:
                self.calls.fail(BrokenProtocolError(f"{self._address} {other}"))
                return
            self.is_known = True
        self.calls.receive_data(data)
        if self._is_leaving and self.calls.is_idle:
            self.close()

    def receive_end(self, error: ClientError) -> None:
        """Fail the calls without a complete response."""
        self.is_lost = True
        self._idle.set(None)
        if self._staying is not None:
            self._staying.cancel()
        other = "" if self.is_known or self._has_received else perhaps_other(self._address.scheme)
        if self._is_closed:
            self.calls.fail(ConnectionLostError(CLOSED))
        elif other:
            self.calls.fail(type(error)(f"{error} without a word{other}"))
        else:
            self.calls.receive_end(as_lost(error) if self._has_received else error)
        waiting, self._closed = self._closed, []
        for waiter in waiting:
            waiter.wake()

    def pause_output(self) -> None:
        """Make senders of data wait."""
        self.calls.flow_control.pause()

    def resume_output(self) -> None:
        """Let senders of data go on."""
        self.calls.flow_control.resume()

    # --- as the wire of the calls ------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """The stream is open."""
        return self._stream is not None

    def write(self, parts: Sequence[bytes]) -> None:
        """Send frames."""
        if self._stream is not None and not self.is_lost:
            self._stream.write(parts)

    def pause_input(self) -> None:
        """Pause reading; the silence is ours then, and the server is not asked for life."""
        if self._stream is not None and not self.is_lost:
            self._idle.set(None)
            self._stream.pause_input()
            self._stay()

    def resume_input(self) -> None:
        """Resume reading."""
        if self._stream is not None and not self.is_lost:
            self._stream.resume_input()
            if self._staying is not None:
                self._staying.cancel()
                self._staying = None
            if self.calls.has_session:
                self._idle.set(self._options.keep_alive_seconds)

    def abort(self) -> None:
        """Close the connection at once."""
        if self._stream is not None and not self.is_lost:
            self._stream.abort()

    # --- keeping alive, and the end ----------------------------------------------------------

    def _ask_for_life(self) -> None:
        """Ask a silent server for a sign of life, and give it up if none comes."""
        if self._is_pinging:
            self._is_pinging = False
            seconds = self._options.keep_alive_seconds
            text = f"{self._address} gave no sign of life for {seconds:g} s after it was asked"
            self.calls.fail(SilentError(text))
            return
        self._is_pinging = True
        self.calls.writer.ping()
        self._idle.set(self._options.keep_alive_seconds)

    def _stay(self) -> None:
        """Send something, because pings of the server are not read for now."""
        if self.calls.has_session and not self.is_lost:
            if self._staying is not None:
                self.calls.writer.ping()
            self._staying = self._runtime.call_later(_STAY, self._stay)

    def _go_away(self, _: str) -> None:
        """Start no further call here, because the server has said that it would refuse it."""
        self._is_leaving = True

    def close(self) -> None:
        """Send what was written, then close; commands that run are stopped."""
        self._is_leaving = self._is_closed = True
        if self._stream is None or self.is_lost:
            return
        # The end of a connection alone may mean that its client still reads: commands would go on.
        self.calls.cancel_all()
        # Over TLS an orderly close waits for the server to close as well, which a server with a
        # long response to send does late. An abort is seen by the server, but on Unix sockets.
        if self.calls.is_idle or self._address.scheme.is_unix:
            self._stream.close()
        else:
            self._stream.abort()

    async def wait_closed(self) -> None:
        """Return when the connection is gone."""
        if self._stream is not None and not self.is_lost:
            waiter = self._runtime.waiter()
            self._closed.append(waiter)
            await waiter
