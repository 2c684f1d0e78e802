"""One connection that speaks HTTP/1.1: one exchange after the other, by h11."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import h11

from wiredaemon.client.errors import BrokenProtocolError, ClientError, ConnectionClosedError
from wiredaemon.wire.frames import HEADER_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wiredaemon.client.address import Address
    from wiredaemon.client.runtime import Stream

_LARGEST_HEAD: Final = 65536
"""The most bytes of a response's head."""
# Some servers send an alert of TLS to whoever speaks something else, Twisted's just close.
_SAID_NOTHING: Final = " without a word: if it speaks TLS, the URL must begin with https://"
_TLS_ALERT: Final = b"\x15\x03"
_ERROR_FRAME: Final = 5
"""The number of a frame with an error, which raw listeners answer HTTP with."""


class Head(NamedTuple):
    """The head of a response."""

    status: int
    reason: bytes
    headers: Sequence[tuple[bytes, bytes]]

    def header(self, name: bytes) -> bytes:
        """Return the first value of a header, whose name is in lower case; empty without one."""
        return next((value for key, value in self.headers if key == name), b"")


class RequestHead(NamedTuple):
    """The head of a request."""

    method: bytes
    target: bytes
    headers: Sequence[tuple[bytes, bytes]]


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

    def __init__(self, address: Address, on_free: Callable[[HttpStream], None]) -> None:
        """Begin unconnected.

        Args:
            address: The server, for the texts of errors.
            on_free: Is called when the connection may be used for another exchange, and when it is
                gone.
        """
        self._address = address
        self._on_free = on_free
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_HEAD)
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
        self._has_head = False
        """A head of a response was understood."""
        self._has_ended = False
        """No further byte comes."""
        self._is_reading = False

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
        """
        self._exchange = exchange
        method, target, headers = head
        parts = [self._http.send(h11.Request(method=method, target=target, headers=list(headers)))]
        if content:
            parts.append(self._http.send(h11.Data(data=content)))
        if is_whole:
            parts.append(self._http.send(h11.EndOfMessage()))
        # In one write: head and body are one packet, and one read of the server.
        self._write(b"".join(part for part in parts if part))

    def send(self, content: bytes) -> None:
        """Send a piece of the request's body."""
        if content and not self.is_lost and self._http.our_state is h11.SEND_BODY:
            self._write(self._http.send(h11.Data(data=content)))

    def end(self) -> None:
        """Send the end of the request."""
        if not self.is_lost and self._http.our_state is h11.SEND_BODY:
            self._write(self._http.send(h11.EndOfMessage()))
            self._finish_cycle()

    def _write(self, data: bytes | None) -> None:
        if data and self.stream is not None:
            self.stream.write([data])

    # --- in ----------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Receive bytes of the response."""
        if self.is_lost:
            return
        if not self._has_received:
            self._has_received = True
            other = _other_protocol(data)
            if other:
                text = f"{self._address} does not speak HTTP{other}"
                self._fail(BrokenProtocolError(text))
                return
        self._http.receive_data(data)
        self._read()

    def _read(self) -> None:
        # The events of an exchange may make the next one begin.
        if self._is_reading:
            return
        self._is_reading = True
        try:
            while not self.is_lost:
                event = self._http.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    break
                self._on_event(event)
        except h11.RemoteProtocolError as error:
            self._fail(self._broken(error))
        finally:
            self._is_reading = False

    def _broken(self, error: h11.RemoteProtocolError) -> ClientError:
        if self._has_ended:
            more = "" if self._has_received or self._address.scheme.is_secure else _SAID_NOTHING
            return ConnectionClosedError(f"{self._address} closed the connection{more}")
        # h11's words show the bytes of a head, and are of use for nothing but bodies.
        more = f": {error}" if self._has_head else ""
        return BrokenProtocolError(f"{self._address} does not speak HTTP{more}")

    def _on_event(self, event: object) -> None:
        exchange = self._exchange
        match event:
            case h11.Response():
                if exchange is None:
                    raise h11.RemoteProtocolError("a response that nobody asked for")
                self._has_head = True
                headers = event.headers.raw_items()
                lowered = [(name.lower(), value) for name, value in headers]
                exchange.receive_head(Head(event.status_code, event.reason, lowered))
            case h11.Data() if exchange is not None:
                exchange.receive_body(bytes(event.data))
            case h11.EndOfMessage() if exchange is not None:
                # Free first: whoever waited for the response may ask for the next one at once.
                self._exchange = None
                self._finish_cycle()
                exchange.receive_end()
            case h11.ConnectionClosed():
                self._close()
            case _:
                pass  # heads in front of the response proper, such as "100 Continue"

    def _finish_cycle(self) -> None:
        """Make the connection free once request and response are complete; close it if it must."""
        http = self._http
        if self.is_lost or self._exchange is not None:
            return
        # Bytes behind the response belong to no request: whoever came next would take them for its
        # own answer.
        is_clean = not http.trailing_data[0]
        if http.our_state is h11.DONE and http.their_state is h11.DONE and is_clean:
            http.start_next_cycle()
            self._on_free(self)
        elif http.their_state in {h11.DONE, h11.MUST_CLOSE, h11.CLOSED}:
            # The response came first, or the server keeps no connections.
            self._close()

    # --- the end -----------------------------------------------------------------------------

    def receive_end(self, error: ClientError) -> None:
        """Note that the stream is gone."""
        self.is_gone = True
        if self.is_lost:
            self._on_free(self)
            return
        # A response without a length ends with its connection, if that has ended in order.
        if self._exchange is not None and isinstance(error, ConnectionClosedError):
            self._has_ended = True
            self._http.receive_data(b"")
            self._read()
        if not self.is_lost:
            self._fail(error)

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
        if self.stream is not None:
            self.stream.pause_input()

    def resume_input(self) -> None:
        """Go on reading it."""
        if self.stream is not None:
            self.stream.resume_input()


def _other_protocol(data: bytes) -> str:
    """Return what a server speaks whose first bytes are no HTTP, as the end of an error."""
    if data.startswith(_TLS_ALERT):
        return ": it speaks TLS, so the URL must begin with https://"
    if len(data) >= HEADER_SIZE and data[HEADER_SIZE - 1] >> 4 == _ERROR_FRAME:
        return ": it speaks frames, so the URL must begin with hgrpc://"
    return ""
