"""One blocking connection to a server, every byte of which goes to the transcript.

Source: client-tool, section 3.3.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from wiredaemon.debugtool.errors import ToolError

if TYPE_CHECKING:
    from wiredaemon.debugtool.transcript import Transcript

LONGEST_LINE: Final = 64 * 1024
"""The most bytes of a line of a response: as much as of a header in Python's own HTTP client."""
LARGEST_BODY: Final = 64 * 1024 * 1024
"""The most bytes of one response that are read, its frames held whole."""

_RECEIVED_AT_ONCE: Final = 64 * 1024


class Wire:
    """A connection that is made when it is first needed, and again after it was closed."""

    def __init__(
        self, host: str, port: int, transcript: Transcript, *, seconds: float, shows_option: bool
    ) -> None:
        """Begin without a connection.

        Args:
            host: Name or address of the server.
            port: Its port.
            transcript: Receives all bytes.
            seconds: How long a connection, and then each piece of data, may take.
            shows_option: The option of a new connection's socket is shown.
        """
        self._address = (host, port)
        self._transcript = transcript
        self._seconds = seconds
        self._shows_option = shows_option
        self._socket: socket.socket | None = None
        self._input = bytearray()
        self.requests = 0
        """The number of requests that were sent."""
        self.sent = 0
        """The bytes of them."""
        self.received = 0
        """The bytes of bodies, without chunk sizes and frame headers."""

    def send(self, head: bytes, body: bytes | None) -> None:
        """Send a request, whose head and body are shown as a block each.

        Raises:
            ToolError: There is no connection.
        """
        parts = [head] if body is None else [head, body]
        connected = self._connect()
        try:
            connected.sendall(b"".join(parts))
        except OSError as error:
            raise _failed(error) from None
        self.requests += 1
        self.sent += sum(map(len, parts))
        for part in parts:
            self._transcript.data(f"sendall({len(part)}, 0)", part)
        self._transcript.verbose("s> makefile('rb', None)")

    def read_line(self) -> bytes:
        """Read and show a line with its line feed; less than that at the end of the input.

        Raises:
            ToolError: It is too long, or the server is silent.
        """
        while (end := self._input.find(b"\n")) < 0:
            if len(self._input) > LONGEST_LINE:
                raise ToolError(f"the server sent a line of more than {LONGEST_LINE} bytes")
            if not self._receive():
                end = len(self._input) - 1
                break
        line = self._take(end + 1)
        self._transcript.data(f"readline() -> {len(line)}", line)
        return line

    def read(self, size: int, *, call: str = "read") -> bytes:
        """Read and show so many bytes; fewer at the end of the input.

        Raises:
            ToolError: The server is silent.
        """
        while len(self._input) < size and self._receive():
            pass
        data = self._take(size)
        self._transcript.data(f"{call}({size}) -> {len(data)}", data)
        return data

    def read_rest(self) -> bytes:
        """Read and show all to the end of the input.

        Raises:
            ToolError: It is more than `LARGEST_BODY`, or the server is silent.
        """
        while self._receive():
            if len(self._input) > LARGEST_BODY:
                raise too_large()
        data = self._take(len(self._input))
        self._transcript.data(f"read(-1) -> {len(data)}", data)
        return data

    def close(self) -> None:
        """Close the connection, if there is one; the next request makes a new one."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._input.clear()

    def _connect(self) -> socket.socket:
        if self._socket is None:
            try:
                self._socket = socket.create_connection(self._address, self._seconds)
                # As Mercurial's does; a request of two parts would wait for an acknowledgement.
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                raise _failed(error) from None
            if self._shows_option:
                self._transcript.verbose("s> setsockopt(6, 1, 1) -> None")
        return self._socket

    def _receive(self) -> bool:
        """Receive some bytes; False at the end of the input."""
        connected = self._connect()
        try:
            data = connected.recv(_RECEIVED_AT_ONCE)
        except OSError as error:
            raise _failed(error) from None
        self._input += data
        return bool(data)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._input[:size])
        del self._input[:size]
        return taken


def too_large() -> ToolError:
    """Return the error for a response that is larger than this tool reads."""
    return ToolError(f"the response has more than {LARGEST_BODY} bytes")


def _failed(error: OSError) -> ToolError:
    if isinstance(error, TimeoutError):
        return ToolError("error: the server is silent")
    return ToolError(f"error: {error.strerror or error}")
