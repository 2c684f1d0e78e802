"""Command data on its way from the peer to its command, bounded and with back-pressure."""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import CancelledError, Deferred

from wiredaemon.commands import CommandError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class NoData:
    """The data of a request that has none, or whose command takes none."""

    __slots__ = ()

    ended = True
    size = 0
    received = 0

    def close(self) -> None:
        """Do nothing: nothing waits."""

    cancel = close

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Give no piece."""
        return self

    async def __anext__(self) -> bytes:
        """End."""
        raise StopAsyncIteration

    async def read(self) -> bytes:
        """Give nothing."""
        return b""


NO_DATA: Final = NoData()


class IncomingData:
    """The data of one request: an asynchronous iterator of the pieces as they arrived."""

    __slots__ = ("_error", "_on_taken", "_pieces", "_waiting", "ended", "limit", "received", "size")

    def __init__(self, on_taken: Callable[[], None], limit: int = sys.maxsize) -> None:
        """Begin empty.

        Args:
            on_taken: Is called whenever the command takes a piece.
            limit: Bytes that may come in all; whoever calls `hold` sees to that.
        """
        self._on_taken = on_taken
        self.limit = limit
        self._pieces: deque[bytes] = deque()
        self.ended = False
        """Nothing more will be taken."""
        self._error: Exception | None = None
        self._waiting: Deferred[None] | None = None
        self.size = 0
        """Bytes that wait for the command."""
        self.received = 0
        """Bytes that have come in all."""

    def hold(self, data: bytes) -> None:
        """Add a piece, and leave it to `wake` to tell who waits: once for all that was read."""
        size = len(data)
        self._pieces.append(data)
        self.size += size
        self.received += size

    def receive_end(self) -> None:
        """Say that all has come."""
        self.ended = True
        self.wake()

    def abort(self, reason: str) -> None:
        """Say that no more will come although more was due."""
        if not self.ended:
            self._error = CommandError(reason.replace("%", "%%"))
            self.receive_end()

    def close(self) -> None:
        """Drop what waits and what still comes: the command has ended."""
        self.ended = True
        self._pieces.clear()
        self.size = 0

    def cancel(self) -> None:
        """Cancel the command that reads now or goes on to read."""
        self.close()
        self._error = CancelledError()
        self.receive_end()

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Give the pieces, in order."""
        return self

    async def __anext__(self) -> bytes:
        """Give the next piece.

        Raises:
            CommandError: Input ended too early.
            CancelledError: Nobody waits for the result any more.
        """
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
        """Give all that is still to come.

        Raises:
            CommandError: Input ended too early.
        """
        return b"".join([piece async for piece in self])

    def wake(self) -> None:
        """Let who waits go on."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)
