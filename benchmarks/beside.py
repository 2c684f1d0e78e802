"""A load of small calls on a connection that a large answer shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks import wire
from benchmarks.errors import BenchmarkError
from benchmarks.load import receive_into
from benchmarks.wire import EOS, MIB

if TYPE_CHECKING:
    import socket

_HEADER: Final = 8
_LARGE_ID: Final = 3


class Beside:
    """Makes one call after the other, and reads what comes of an endless answer in between."""

    def __init__(self, connection: socket.socket, request: bytes) -> None:
        """Ask for the endless answer.

        Args:
            connection: A connected socket.
            request: The bytes of one call, whose id is 1 and whose answer is one frame.
        """
        self._connection = connection
        self._request = request
        self._buffer = bytearray(MIB)
        self._kept = self._position = 0
        """Bytes at the front of the buffer that belong to no whole header, and where the next
        header begins."""
        connection.sendall(wire.request(_LARGE_ID, b"endless", None, begins=True))
        self._read()

    def exchange(self) -> int:
        """Send the call and read up to its answer."""
        self._connection.sendall(self._request)
        while not self._read():
            pass
        return 1

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _read(self) -> bool:
        """Read once; return whether the answer of the small call was in it."""
        buffer, position = self._buffer, self._position
        end = self._kept + receive_into(self._connection, memoryview(buffer)[self._kept :])
        found = False
        while position + _HEADER <= end:
            request_id = int.from_bytes(buffer[position + 3 : position + 5], "little")
            if request_id != _LARGE_ID:
                found = bool(buffer[position + 7] & EOS)
                if not found:
                    raise BenchmarkError("an answer in several frames, or an error")
            position += _HEADER + int.from_bytes(buffer[position : position + 3], "little")
        self._kept = max(0, end - position)
        buffer[: self._kept] = buffer[position : position + self._kept]
        self._position = max(0, position - end)
        return found
