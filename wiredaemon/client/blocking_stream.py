"""One socket as a stream of bytes, in the loop of scripts."""

from __future__ import annotations

from functools import partial
from select import POLLIN, POLLOUT
from typing import TYPE_CHECKING, Final

from wiredaemon.client.errors import ConnectionClosedError, ConnectionLostError
from wiredaemon.client.sockets import describe_loss, reset_when_closed

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from wiredaemon.client.address import Address
    from wiredaemon.client.blocking_loop import BlockingLoop
    from wiredaemon.client.errors import ClientError
    from wiredaemon.client.runtime import Receiver

# As for the server (net/read_size.py): large buffers cost a small answer more than they save.
_USUAL_READ: Final = 32768
"""Bytes of one read."""
_LARGE_READ: Final = 8 * _USUAL_READ
"""Bytes of the next read, while the reads are full."""
# Those of asyncio.
_FULL: Final = 64 * 1024
"""Bytes of output that wait for the system, from which on writers are paused."""
_NEARLY_EMPTY: Final = 16 * 1024
"""Bytes of it down to which they are resumed."""


class BlockingStream:
    """A connected socket: TCP or Unix."""

    chosen_protocol = None
    tls = None

    def __init__(
        self, loop: BlockingLoop, connection: socket.socket, address: Address, receiver: Receiver
    ) -> None:
        """Begin to read.

        Args:
            loop: Watches the socket.
            connection: The socket, connected; it does not block, and is owned from now on.
            address: The address of the server, for errors.
            receiver: Is fed.
        """
        self._loop = loop
        self._socket: socket.socket | None = connection
        self._descriptor = connection.fileno()
        self._address = address
        self._receiver = receiver
        self._read_size = _USUAL_READ
        self._unsent = bytearray()
        """Output that the system has not taken."""
        self._is_full = False
        self._is_reading = True
        self._is_closing = False
        self._failure: ClientError | None = None
        """Why nothing can be sent any more."""
        self._watch()

    @property
    def is_gone(self) -> bool:
        """The socket is closed."""
        return self._socket is None

    # --- the loop's side ---------------------------------------------------------------------

    def _watch(self) -> None:
        if self._unsent:
            events = POLLOUT | POLLIN if self._is_reading else POLLOUT
            self._loop.watch(self._descriptor, events, self._on_ready)
        else:
            self._loop.watch(self._descriptor, POLLIN if self._is_reading else 0, self._read)

    def _on_ready(self, events: int) -> None:
        # An error or a hang-up is found by the one that tries.
        if self._is_reading and events != POLLOUT:
            self._read(events)
        if self._unsent and events != POLLIN:
            self._send_rest()

    def _read(self, _: int) -> None:
        if self._socket is None or not self._is_reading:
            return  # the event was for another socket, which had the same number
        try:
            data = self._socket.recv(self._read_size)
        except (BlockingIOError, InterruptedError):
            if self._failure is not None:
                self._lose(self._failure)
            return
        except OSError as error:
            self._lose(self._failure or describe_loss(error, self._address))
            return
        if not data:
            self._lose(self._failure or self._closed())
            return
        self._read_size = _LARGE_READ if len(data) >= _USUAL_READ else _USUAL_READ
        try:
            self._receiver.receive_data(data)
        except BaseException as error:
            # Of what was received nobody knows how much was understood, also after a Ctrl-C.
            self._lose(describe_loss(error, self._address))
            if not isinstance(error, Exception):
                raise

    def _send_rest(self) -> None:
        assert self._socket is not None  # noqa: S101 it is watched
        try:
            sent = self._socket.send(self._unsent)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._stop_sending(error)
            return
        del self._unsent[:sent]
        if not self._unsent:
            if self._is_closing:
                self._lose(self._closed())
                return
            self._watch()
        if self._is_full and len(self._unsent) <= _NEARLY_EMPTY:
            self._is_full = False
            self._receiver.resume_output()

    def _stop_sending(self, error: OSError) -> None:
        """Note that nothing can be sent any more; what has come is read before the stream is gone.

        It may say why: an answer that refuses the rest, or an alert of TLS.
        """
        self._failure = describe_loss(error, self._address)
        self._unsent.clear()
        self._watch()
        self._loop.call_soon(self._read_last)

    def _read_last(self) -> None:
        if self._socket is None:
            return
        if self._is_closing and self._failure is not None:
            self._lose(self._failure)
        elif self._is_reading:
            self._read(POLLIN)
            self._loop.call_soon(self._read_last)

    def _closed(self) -> ClientError:
        return ConnectionClosedError(f"{self._address} closed the connection")

    def _lose(self, error: ClientError) -> None:
        """Close the socket, and tell the receiver."""
        self.drop()
        self._receiver.receive_end(error)

    def _lose_soon(self, error: ClientError) -> None:
        """Do the same for a caller, who hears of it in the next turn."""
        self.drop()
        self._loop.call_soon(partial(self._receiver.receive_end, error))

    def drop(self) -> None:
        """Close the socket without a word to anybody."""
        connection, self._socket = self._socket, None
        self._is_reading = False
        self._unsent.clear()
        if connection is not None:
            self._loop.unwatch(self._descriptor)
            connection.close()

    # --- as the stream -----------------------------------------------------------------------

    def write(self, parts: Sequence[bytes]) -> None:
        """Send bytes, in order; nothing happens when the stream is gone."""
        if self._socket is None or self._is_closing or self._failure is not None:
            return
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        sent = 0
        if not self._unsent:
            try:
                sent = self._socket.send(data)
            except (BlockingIOError, InterruptedError):
                pass
            except OSError as error:
                self._stop_sending(error)
                return
            if sent == len(data):
                return
        self._keep(memoryview(data)[sent:])

    def _keep(self, data: memoryview) -> None:
        """Send more as soon as the system takes it."""
        was_empty = not self._unsent
        self._unsent += data
        if was_empty:
            self._watch()
        if len(self._unsent) > _FULL and not self._is_full:
            self._is_full = True
            self._receiver.pause_output()

    def pause_input(self) -> None:
        """Stop reading."""
        if self._is_reading:
            self._is_reading = False
            self._watch()

    def resume_input(self) -> None:
        """Go on reading."""
        if not (self._is_reading or self._is_closing or self._socket is None):
            self._is_reading = True
            self._watch()
            if self._failure is not None:
                self._loop.call_soon(self._read_last)

    def close(self) -> None:
        """Close the stream once all that was written is sent; nothing more is read."""
        if self._socket is None or self._is_closing:
            return
        self._is_closing = True
        self.pause_input()
        if not self._unsent:
            self._lose_soon(self._closed())

    def abort(self) -> None:
        """Close the stream at once."""
        if self._socket is not None:
            reset_when_closed(self._socket)
            self._lose_soon(ConnectionLostError(f"the connection to {self._address} was lost"))
