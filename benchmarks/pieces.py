"""Large data that is generated where it is needed, each piece from its number."""

from __future__ import annotations

import hashlib
from typing import Final

from benchmarks.errors import BenchmarkError
from benchmarks.wire import PIECE

NOISE: Final = b"noise"
"""The kind of pieces that no content encoding can make smaller."""
TEXT: Final = b"text"
"""The kind that an encoding makes a few times smaller: runs of digits, four times each."""

_REPEATED: Final = 4


def piece(kind: bytes, number: int) -> bytes:
    """Return a piece of 32 KiB; no two are alike."""
    seed = hashlib.shake_128(b"%s %d" % (kind, number))
    if kind == TEXT:
        return seed.hexdigest(PIECE // 2 // _REPEATED).encode("ascii") * _REPEATED
    return seed.digest(PIECE)


class Expected:
    """Compares bytes, cut in any way, with the pieces, each behind the same prefix."""

    def __init__(
        self, kind: bytes, pieces: int, *, begin: bytes = b"", prefix: bytes = b""
    ) -> None:
        """Begin in front of the first piece.

        Args:
            kind: The kind of the pieces.
            pieces: The number of pieces.
            begin: The bytes before all pieces.
            prefix: The bytes before each piece.
        """
        self._kind = kind
        self._pieces = pieces
        self._prefix = prefix
        self._number = 0
        self._due = begin
        self.size = 0
        """Bytes that were received and are right."""

    @property
    def is_complete(self) -> bool:
        """Whether all bytes were received."""
        return self._number == self._pieces and not self._due

    def take(self, data: bytes) -> None:
        """Compare the next bytes.

        Raises:
            BenchmarkError: The bytes differ, or are too many.
        """
        position = 0
        while position < len(data):
            if not self._due:
                self._next_piece()
            count = min(len(data) - position, len(self._due))
            if data[position : position + count] != self._due[:count]:
                raise BenchmarkError(f"wrong bytes behind {self.size} right ones")
            self._due = self._due[count:]
            position += count
            self.size += count

    def _next_piece(self) -> None:
        if self._number == self._pieces:
            raise BenchmarkError(f"too much data: more than {self._pieces} pieces")
        self._due = self._prefix + piece(self._kind, self._number)
        self._number += 1
