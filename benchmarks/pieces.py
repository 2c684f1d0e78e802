"""Large data that is made where it is needed: each piece from its number, the same everywhere."""

from __future__ import annotations

import hashlib
from typing import Final

from benchmarks.errors import BenchmarkError
from benchmarks.wire import PIECE

NOISE: Final = b"noise"
"""Nothing that a content encoding could make smaller."""
TEXT: Final = b"text"
"""Hexadecimal digits, each run of them four times: a few times smaller when encoded."""

_REPEATED: Final = 4


def piece(kind: bytes, number: int) -> bytes:
    """Return a piece of 32 KiB; no two are alike."""
    seed = hashlib.shake_128(b"%s %d" % (kind, number))
    if kind == TEXT:
        return seed.hexdigest(PIECE // 2 // _REPEATED).encode("ascii") * _REPEATED
    return seed.digest(PIECE)


class Expected:
    """Compares bytes, however they come, with pieces, each behind the same bytes."""

    def __init__(
        self, kind: bytes, pieces: int, *, begin: bytes = b"", prefix: bytes = b""
    ) -> None:
        """Begin in front of the first piece.

        Args:
            kind: Of the pieces.
            pieces: How many.
            begin: What comes before all.
            prefix: What comes before each piece.
        """
        self._kind = kind
        self._pieces = pieces
        self._prefix = prefix
        self._number = 0
        self._due = begin
        self.size = 0
        """Bytes that came and were right."""

    @property
    def is_complete(self) -> bool:
        """All has come."""
        return self._number == self._pieces and not self._due

    def take(self, data: bytes) -> None:
        """Compare the next bytes.

        Raises:
            BenchmarkError: They are others, or too many.
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
