"""One connection that speaks HTTP/1.1: one exchange after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from wiredaemon.client.errors import (
    BrokenProtocolError,
    ClientError,
    ConnectionClosedError,
    as_lost,
)
from wiredaemon.client.first_bytes import instead_of_http, perhaps_other
from wiredaemon.client.http_messages import LAST_CHUNK, End, Head, ResponseReader, chunk

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.client.address import Address
    from wiredaemon.client.http_messages import Event, RequestHead
    from wiredaemon.client.runtime import Stream

_NEW_LINE: Final = b"\r\n"


class Exchange(Protocol):
    """One request and its response, as an `HttpStream` sees it."""

    def receive_head(self, head: Head) -> None:
        """Receive the response's head."""

    def receive_body(self, data: bytes) -> None:
        """Receive a piece of the response's body."""

    def receive_end(self) -> None:
        """Note that the response is complete."""

    def lost(self, error: ClientError) -> None:
        """Note that the connection has failed before the response was complete."""

    def pause_output(self) -> None:
        """Send no more of the body for now."""

    def resume_output(self) -> None:
        """Send the body again."""


class HttpStream:
    """One connection, as the receiver of its stream."""

    def __init__(
        self, address: Address, on_free: Callable[[HttpStream], None], *, is_known: bool = False
    ) -> None:
        """Begin unconnected.

        Args:
            address: The server, for the texts of errors.
            on_free: Is called when the connection may be used for another exchange, and when it is
                gone.
            is_known: The server has answered before.
        """
        self._address = address
        self._on_free = on_free
        self._reader = ResponseReader()
        self._exchange: Exchange | None = None
        self.stream: Stream | None = None
        """The bytes below; set when they are connected."""
        self.is_lost = False
        """The connection is gone, or of no further use."""
        self.failure: ClientError | None = None
        """Why the connection is gone, if it has failed."""
        self.is_full = False
        """The stream below holds enough: nothing more is to be sent for now."""
        self.is_gone = False
        """There is no connection any more."""
        self._has_received = False
        self.is_known = is_known
        """The server speaks HTTP: a head of a response was understood, here or before."""
        self._has_head = False
        """A head of a response was understood here."""
        self._is_sending = False
        """The body of a request has not ended."""
        self._is_paused = False
        """The exchange has paused reading."""

    # --- out ---------------------------------------------------------------------------------

    def begin(
        self, exchange: Exchange, head: RequestHead, content: bytes = b"", *, is_whole: bool
    ) -> None:
        """Send a request, or its beginning: more follows by `send` and `end` then.

        Args:
            exchange: Gets the response.
            head: The head of the request.
            content: Its body, or the beginning of it.
            is_whole: Nothing follows.

        Raises:
            HttpMessageError: The head cannot be written; nothing was sent.
        """
        # In one write: head and body leave together, and are one read of the server.
        content = head.encode() + (content if is_whole else chunk(content))
        self._reader.begin()
        self._exchange = exchange
        self._is_sending = not is_whole
        self._write(content)

    def send(self, content: bytes) -> None:
        """Send a piece of the request's body."""
        if self._is_sending and not self.is_lost:
            self._write(chunk(content))

    def end(self) -> None:
        """Send the end of the request."""
        if self._is_sending and not self.is_lost:
            self._is_sending = False
            self._write(LAST_CHUNK)

    def _write(self, data: bytes) -> None:
        if data and self.stream is not None:
            self.stream.write([data])

    # --- in ----------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Receive bytes of the response."""
        if self.is_lost:
            return
        if not self._has_received:
            self._has_received = True
            other = instead_of_http(data, self._address.scheme)
            if other:
                text = f"{self._address} does not speak HTTP: {other}"
                self._fail(BrokenProtocolError(text))
                return
        # Also a part of one: whoever came next would take it for its own.
        if self._exchange is None and data.strip(_NEW_LINE):
            text = f"{self._address} does not speak HTTP: a response that nobody asked for"
            self._fail(BrokenProtocolError(text))
            return
        for event in self._reader.receive_data(data):
            self._on_event(event)
        if self._reader.error is not None and not self.is_lost:
            # Of use for nothing but bodies: what is no head may be anything.
            more = f": {self._reader.error}" if self._has_head else ""
            self._fail(BrokenProtocolError(f"{self._address} does not speak HTTP{more}"))

    def _on_event(self, event: Event) -> None:
        exchange = self._exchange
        if exchange is None:
            return  # aborted by its last event; or after its end, so that the connection is closed
        if isinstance(event, bytes):
            exchange.receive_body(event)
        elif isinstance(event, Head):
            self._has_head = self.is_known = True
            exchange.receive_head(event)
        else:
            # What it has paused was its own response, and whoever comes next waits for another one.
            if self._is_paused:
                self.resume_input()
            # Free first: whoever waited for the response may ask for the next one at once.
            self._exchange = None
            self._finish(keeps_connection=event.keeps_connection)
            exchange.receive_end()

    def _finish(self, *, keeps_connection: bool) -> None:
        """Make the connection free once request and response are complete; close it if it must."""
        # Bytes after the response belong to no request: whoever came next would take them for its
        # own answer. And a response that came first leaves the rest of its request behind.
        if keeps_connection and not self._is_sending and not self._reader.has_surplus:
            self._on_free(self)
        else:
            self._close()

    # --- the end -----------------------------------------------------------------------------

    def receive_end(self, error: ClientError) -> None:
        """Note that the stream is gone."""
        self.is_gone = True
        if self.is_lost:
            self._on_free(self)
            return
        if self._exchange is not None and isinstance(error, ConnectionClosedError):
            # A response without a length ends with its connection, if that has ended in order.
            if self._reader.ends_with_connection:
                self._on_event(End(keeps_connection=False))
                return
            is_known = self._has_received or self.is_known
            other = "" if is_known else perhaps_other(self._address.scheme)
            more = f" without a word{other}" if other else ""
            error = ConnectionClosedError(f"{self._address} closed the connection{more}")
        self._fail(as_lost(error) if self._has_received else error)

    def _fail(self, error: ClientError) -> None:
        self.failure = error
        self._close()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.lost(error)

    def _close(self) -> None:
        if not self.is_lost:
            self.is_lost = True
            if self.stream is not None:
                self.stream.close()
            self._on_free(self)

    def close(self) -> None:
        """Close a connection that no exchange uses; it counts until it is gone."""
        if self.stream is not None:
            self.stream.close()

    def abort(self) -> None:
        """Close the connection at once; its exchange is told nothing more."""
        self.is_lost = True
        self._exchange = None
        if self.stream is not None:
            self.stream.abort()
        self._on_free(self)

    def give_up(self, error: ClientError) -> None:
        """Close the connection at once, and fail its exchange."""
        exchange = self._exchange
        self.abort()
        if exchange is not None:
            exchange.lost(error)

    # --- flow control, for the stream and for the exchange ------------------------------------

    def pause_output(self) -> None:
        """Have the exchange send no more for now."""
        self.is_full = True
        if self._exchange is not None:
            self._exchange.pause_output()

    def resume_output(self) -> None:
        """Have the exchange go on."""
        self.is_full = False
        if self._exchange is not None:
            self._exchange.resume_output()

    def pause_input(self) -> None:
        """Stop reading the response."""
        self._is_paused = True
        if self.stream is not None:
            self.stream.pause_input()

    def resume_input(self) -> None:
        """Go on reading it."""
        self._is_paused = False
        if self.stream is not None:
            self.stream.resume_input()
