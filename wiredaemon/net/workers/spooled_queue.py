"""A queue of byte pieces that may go on in a temporary file, within a budget for all queues."""

from __future__ import annotations

from collections import deque
from tempfile import TemporaryFile
from typing import IO, Final

from twisted.logger import Logger

_log: Final = Logger()

# Pieces are frames' contents, of at most 16 MiB.
_HEAD: Final = 4
"""Bytes of the length in front of each piece in the file."""


class SpoolBudget:
    """Counts the bytes of temporary files, which all queues together may hold so many of."""

    def __init__(self, limit: int) -> None:
        """Begin with nothing used; ``limit`` in bytes."""
        self.limit = limit
        self.used = 0
        self._has_failed = False

    @property
    def is_spent(self) -> bool:
        """No more should go into files."""
        return self.used >= self.limit

    def note_written(self) -> None:
        """Note that a file has taken a piece: the next failure is a new one."""
        self._has_failed = False

    def note_failure(self, error: OSError) -> None:
        """Log that a file takes nothing, once until one does."""
        if not self._has_failed:
            self._has_failed = True
            _log.error(
                "answers cannot be spooled, slow readers hold their workers: {reason}",
                reason=str(error),
            )


class PieceQueue:
    """Pieces in order: in memory, and after those in a file once that is allowed.

    Args:
        memory: Bytes that are held in memory; at least one piece is, whatever its size.
        budget: Bounds the files of all queues together.
    """

    def __init__(self, memory: int, budget: SpoolBudget) -> None:
        self._most = max(1, memory)
        self._budget = budget
        self.pieces: deque[bytes] = deque()
        """The pieces in memory, in front of those in the file; empty only if no piece waits."""
        self._size = 0
        self._file: IO[bytes] | None = None
        self._written = 0
        self._read = 0
        self._tail: deque[bytes] = deque()
        """Pieces after those in the file, which it did not take."""
        self._was_refused = False
        """A file has not taken a piece, and what is held since was not read."""
        self.may_spool = False
        """Pieces that do not fit into memory go to a file."""

    @property
    def held(self) -> int:
        """The bytes that are held in memory."""
        return self._size + sum(map(len, self._tail))

    @property
    def is_full(self) -> bool:
        """No more should be added for now."""
        if self._tail:
            return True
        if self.may_spool and not self._budget.is_spent:
            return False
        return self._size >= self._most

    @property
    def has_room(self) -> bool:
        """More may be added again: half of the memory is free.

        At the first free byte, a producer would be paused and resumed for each piece.
        """
        return not self.is_full and (self.may_spool or 2 * self._size <= self._most)

    def spool(self) -> None:
        """Let pieces go to a file, unless it has just been tried: memory would grow each time."""
        self.may_spool = self.may_spool or not self._was_refused

    def append(self, piece: bytes) -> None:
        """Add a piece; even a full queue accepts it.

        One that a file does not take stays in memory: then the queue is full.
        """
        # After pieces that are in the file, whatever room there is: the order must stay.
        is_behind = self._written > self._read
        if self._tail:
            self._tail.append(piece)
        elif not is_behind and not (self.may_spool and self._size >= self._most):
            self._hold(piece)
        elif not self._try_write(piece):
            self.may_spool, self._was_refused = False, True
            if is_behind:
                self._tail.append(piece)
            else:
                self._hold(piece)

    def _hold(self, piece: bytes) -> None:
        self.pieces.append(piece)
        self._size += len(piece)

    def _try_write(self, piece: bytes) -> bool:
        try:
            self._write(piece)
        except OSError as error:
            self._budget.note_failure(error)
            return False
        self._budget.note_written()
        return True

    def take(self, most: int) -> list[bytes]:
        """Remove and return pieces of about ``most`` bytes, at least one if any waits.

        Raises:
            OSError: The file cannot be read.
        """
        taken: list[bytes] = []
        size = 0
        while self.pieces and size < most:
            piece = self.pieces.popleft()
            taken.append(piece)
            size += len(piece)
        self._size -= size
        while self._written > self._read and self._size < self._most:
            self._hold(self._read_back())
        if self._written == self._read:
            while self._tail:
                self._hold(self._tail.popleft())
            self._was_refused = self._was_refused and 2 * self._size > self._most
        return taken

    def clear(self) -> None:
        """Drop all pieces, and give their part of the budget back."""
        self.pieces.clear()
        self._tail.clear()
        self._size = 0
        self._forget_file()

    def _write(self, piece: bytes) -> None:
        if self._file is None:
            self._file = TemporaryFile(prefix="wiredaemon-", buffering=0)  # noqa: SIM115 kept
        # Reading back has moved it.
        self._file.seek(self._written)
        record = len(piece).to_bytes(_HEAD, "big") + piece
        # Unbuffered files write as much as they can, which need not be all of it.
        view = memoryview(record)
        while view:
            view = view[self._file.write(view) :]
        self._written += len(record)
        self._budget.used += len(record)

    def _read_back(self) -> bytes:
        file = self._file
        assert file is not None  # noqa: S101 something was written
        file.seek(self._read)
        size = int.from_bytes(file.read(_HEAD), "big")
        piece = file.read(size)
        self._read += _HEAD + size
        if self._read == self._written:
            # Its space is given back as soon as all of it was read, not when the queue ends.
            self._forget_file()
        return piece

    def _forget_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()
        self._budget.used -= self._written
        self._written = self._read = 0
