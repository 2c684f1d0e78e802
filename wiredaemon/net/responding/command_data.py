"""Command data between the connection and its command, bounded and with back-pressure."""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import CancelledError, Deferred

from wiredaemon.commands import CommandError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_TINY: Final = 64
"""Bytes of a piece that is joined with the one before it."""
_JOINED: Final = 512
"""Bytes up to which pieces grow by that: each piece takes 41 bytes beyond its content."""


class NoData:
    """The data of a request that has none, or whose command reads none."""

    __slots__ = ()

    ended = True
    size = 0
    received = 0

    def close(self) -> None:
        """Do nothing: nothing waits."""

    cancel = close

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return the iterator, which has no piece."""
        return self

    async def __anext__(self) -> bytes:
        """End at once."""
        raise StopAsyncIteration

    async def read(self) -> bytes:
        """Return empty bytes."""
        return b""


# One for all: nearly all requests have no data, and nothing in it changes.
NO_DATA: Final = NoData()


class IncomingData:
    """The data of one request: an asynchronous iterator of the pieces as they arrived.

    Tiny pieces that the command has not taken are joined: else data in frames of one octet would
    take many times its size.
    """

    __slots__ = ("_error", "_on_taken", "_pieces", "_waiting", "ended", "limit", "received", "size")

    def __init__(self, on_taken: Callable[[], None], limit: int = sys.maxsize) -> None:
        """Begin empty.

        Args:
            on_taken: Is called whenever the command takes a piece.
            limit: Bytes that may arrive in all; the caller of `hold` checks it.
        """
        self._on_taken = on_taken
        self.limit = limit
        self._pieces: deque[bytes] = deque()
        self.ended = False
        """No further piece is accepted."""
        self._error: Exception | None = None
        self._waiting: Deferred[None] | None = None
        self.size = 0
        """Bytes that have arrived and that the command has not taken."""
        self.received = 0
        """Bytes that have arrived in all."""

    def hold(self, data: bytes) -> None:
        """Add a piece; `wake` resumes the command, once for all pieces of one read."""
        size, pieces = len(data), self._pieces
        if size < _TINY and pieces and len(pieces[-1]) < _JOINED:
            pieces[-1] += data
        else:
            pieces.append(data)
        self.size += size
        self.received += size

    def receive_end(self) -> None:
        """Note that all data has arrived."""
        self.ended = True
        self.wake()

    def abort(self, reason: str) -> None:
        """Note that the rest will not arrive; the command gets ``reason`` as its error."""
        if not self.ended:
            # The message of a CommandError is a format, in which "%" has a meaning.
            self._error = CommandError(reason.replace("%", "%%"))
            self.receive_end()

    def close(self) -> None:
        """Drop the pieces that wait and those that follow: the command has ended."""
        self.ended = True
        self._pieces.clear()
        self.size = 0

    def cancel(self) -> None:
        """Cancel the command, which waits for data now or will read some later."""
        self.close()
        self._error = CancelledError()
        self.receive_end()

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return the iterator over the pieces, in order."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece.

        Raises:
            CommandError: Input ended too early.
            CancelledError: The request was cancelled.
        """
        # A loop: the end of data and a cancellation wake the command as well.
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self.ended:
                raise StopAsyncIteration
            self._waiting = Deferred()
            await self._waiting
        piece = self._pieces.popleft()
        self.size -= len(piece)
        self._on_taken()
        return piece

    async def read(self) -> bytes:
        """Return all data that has not been read, as one piece.

        Raises:
            CommandError: Input ended too early.
        """
        return b"".join([piece async for piece in self])

    def wake(self) -> None:
        """Resume the command, if it waits for data."""
        # Forgotten before it fires: the command may wait again inside of the call.
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)
