"""Reads a file in threads; it may be closed while a thread reads."""

from __future__ import annotations

from threading import Lock
from typing import IO

from wiredaemon.net.cache.recording import PIECE, measure_open


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
