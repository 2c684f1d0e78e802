"""Loads of large answers and large requests; the unit is MiB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.answers import RESPONSES
from benchmarks.errors import BenchmarkError
from benchmarks.load import receive, receive_into
from benchmarks.wire import EOS, MIB

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

    from benchmarks.answers import Answers

_HEADER: Final = 8
_LAST_CHUNK: Final = b"\r\n0\r\n\r\n"


class Download:
    """Asks for one large answer and reads it whole; the unit is MiB."""

    def __init__(
        self, connection: socket.socket, request: bytes, size: int, *, framed: bool
    ) -> None:
        """Send nothing yet.

        Args:
            connection: A connected socket.
            request: The bytes that one exchange sends.
            size: The size of the answer, without frame headers.
            framed: The answer is cut into frames, the last of which says `eos`.
        """
        self._connection = connection
        self._request = request
        self._size = size
        self._framed = framed
        self._buffer = bytearray(MIB)

    def exchange(self) -> int:
        """Send the request and read all of the answer."""
        self._connection.sendall(self._request)
        size = self._frames() if self._framed else self._plain()
        if size != self._size:
            raise BenchmarkError(f"{size} bytes came instead of {self._size}")
        return size // MIB

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _plain(self) -> int:
        size = 0
        while size < self._size:
            size += self._receive(0)
        return size

    def _frames(self) -> int:
        buffer = self._buffer
        size = kept = position = 0
        is_last = False
        while True:
            end = kept + self._receive(kept)
            while not is_last and position + _HEADER <= end:
                length = int.from_bytes(buffer[position : position + 3], "little")
                kind, flags = buffer[position + 7] >> 4, buffer[position + 7] & 15
                if kind not in RESPONSES:
                    raise BenchmarkError(f"a frame of type {kind} in a large answer")
                size += length
                position += _HEADER + length
                is_last = bool(flags & EOS)
            if is_last and position <= end:
                return size
            # The rest of a header is moved to the front; a payload is skipped without being kept.
            kept = max(0, end - position)
            buffer[:kept] = buffer[position : position + kept]
            position = max(0, position - end)

    def _receive(self, offset: int) -> int:
        return receive_into(self._connection, memoryview(self._buffer)[offset:])


class HttpDownload:
    """Posts one request for one large framed answer in HTTP chunks; the unit is MiB.

    The answer is checked when all of it has come.
    """

    def __init__(self, connection: socket.socket, request: bytes, size: int) -> None:
        """Send nothing yet.

        Args:
            connection: A connected socket.
            request: The bytes that one exchange sends.
            size: The size of the answer, without frame headers and HTTP chunks.
        """
        self._connection = connection
        self._request = request
        self._size = size
        # Room for the headers of frames and chunks.
        self._buffer = bytearray(size + size // 8)

    def exchange(self) -> int:
        """Send the request and read all of the answer."""
        self._connection.sendall(self._request)
        buffer = memoryview(self._buffer)
        end = 0
        while not self._buffer.endswith(_LAST_CHUNK, 0, end):
            end += receive_into(self._connection, buffer[end : end + MIB])
        # Checked behind the last byte, so that checking does not slow reading down.
        size = self._payloads(end)
        if size != self._size:
            raise BenchmarkError(f"{size} bytes came instead of {self._size}")
        return size // MIB

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _payloads(self, end: int) -> int:
        """Return the size of all payloads; no frame may be divided among HTTP chunks."""
        buffer = self._buffer
        position = buffer.index(b"\r\n\r\n") + 4
        size = 0
        while position < end:
            line = buffer.index(b"\r\n", position)
            frame = line + 2
            position = frame + int(buffer[position:line], 16)
            while frame < position:
                if buffer[frame + 7] >> 4 not in RESPONSES:
                    raise BenchmarkError("an unexpected frame in a large answer")
                length = int.from_bytes(buffer[frame : frame + 3], "little")
                size += length
                frame += _HEADER + length
            position += 2
        return size


class Upload:
    """Sends one large request and waits for its answer; the unit is MiB."""

    def __init__(
        self, connection: socket.socket, parts: Iterable[bytes], answers: Answers, size: int
    ) -> None:
        """Send nothing yet.

        Args:
            connection: A connected socket.
            parts: The bytes that one exchange sends.
            answers: Reads the answer.
            size: The size of the sent data, without the framing around it.
        """
        self._connection = connection
        self._parts = list(parts)
        self._answers = answers
        self._size = size

    def exchange(self) -> int:
        """Send the request and wait for its answer."""
        for part in self._parts:
            self._connection.sendall(part)
        while not self._answers.feed(receive(self._connection)):
            pass
        return self._size // MIB

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
