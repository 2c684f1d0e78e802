"""Reads a file in threads; it may be closed while a thread reads."""

from __future__ import annotations

from threading import Lock
from typing import IO, TYPE_CHECKING, Final

from wiredaemon.net.cache.recording import PIECE, measure_open

if TYPE_CHECKING:
    from wiredaemon.net.guard.output_room import OutputRoom

_LARGE: Final = 64 * 1024
"""Bytes of a whole answer that are read at once."""
_SMALL: Final = 8 * 1024
"""The same at the beginning, and while all connections together hold much output."""
_BEGINNING: Final = 256 * 1024
"""Bytes of the beginning: systems take about as many for a peer that reads nothing, so that until
then nobody seems slow, and hundreds may begin at once."""


class PieceSizes:
    """The sizes of the pieces in which an answer is read for its client.

    Args:
        room: How much output connections may have.
    """

    def __init__(self, room: OutputRoom) -> None:
        self._room = room
        self._read = 0

    def next(self) -> int:
        """Return the bytes to be read next."""
        size = _SMALL if self._room.is_scarce or self._read < _BEGINNING else _LARGE
        self._read += size
        return size


class FileReader:
    """Reads an open file.

    Closing does not block the reactor: a thread that is reading closes the file when it is done.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        # Threads of the pool, where the next read may be in another one: the state is not the
        # reactor's alone.
        self._lock = Lock()
        self._is_busy = False
        self._is_closing = False

    def read(self, most: int = PIECE) -> bytes:
        """Return the next piece; none at the end, and once it is closed. Blocks.

        Args:
            most: Its largest size in bytes.

        Raises:
            OSError: The file cannot be read.
        """
        if not self._begin():
            return b""
        try:
            return self._file.read(min(most, PIECE))
        finally:
            self._end()

    def measure(self) -> tuple[int, int]:
        """Return size and CRC-32, and go back to the beginning. Blocks.

        Raises:
            OSError: The file cannot be read.
        """
        if not self._begin():
            return 0, 0
        try:
            measured = measure_open(self._file)
            self._file.seek(0)
        finally:
            self._end()
        return measured

    def skip(self, size: int) -> None:
        """Read from some byte on; to be called before anything is read."""
        self._file.seek(size)

    def close(self) -> None:
        """Read no more."""
        with self._lock:
            self._is_closing = True
            if not self._is_busy:
                self._file.close()

    def _begin(self) -> bool:
        with self._lock:
            self._is_busy = not self._is_closing
            return self._is_busy

    def _end(self) -> None:
        with self._lock:
            self._is_busy = False
            if self._is_closing:
                self._file.close()
