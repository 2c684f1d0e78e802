"""Command data from a file descriptor, read when it is ready and as it is asked for.

A blocking read of standard input may wait for ever, while the response arrives.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred

if TYPE_CHECKING:
    from typing import Self

    from twisted.python.failure import Failure

# As the client cuts data: a piece that is read is a piece that is sent.
_PIECE: Final = 128 * 1024


class Input(FileDescriptor):
    """An asynchronous iterator of the bytes of a descriptor, piece by piece."""

    def __init__(self, reactor: Any, descriptor: int, name: str) -> None:  # noqa: ANN401 zope interfaces do not intersect
        """Read a descriptor, which the caller closes; errors name it by ``name``."""
        super().__init__(reactor)
        self._descriptor = descriptor
        self._name = name
        self._waiter: Deferred[bytes] | None = None

    def __aiter__(self) -> Self:
        """Return itself: bytes are read once."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece."""
        self._waiter = Deferred(lambda _: self.stopReading())
        self.startReading()
        piece = await self._waiter
        if not piece:
            raise StopAsyncIteration
        return piece

    # --- the reactor's side ------------------------------------------------------------------

    def fileno(self) -> int:
        """Return the descriptor, for the reactor."""
        return self._descriptor

    def doRead(self) -> None:
        """Read the bytes that are ready."""
        # Until the next piece is asked for, which may be when the network has taken this one.
        self.stopReading()
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.called:
            return
        try:
            piece = os.read(self._descriptor, _PIECE)
        except OSError as error:
            waiter.errback(OSError(error.errno, error.strerror, self._name))
        else:
            waiter.callback(piece)

    def connectionLost(self, reason: Failure) -> None:
        """Note that the writing end is closed, or that reading has failed."""
        super().connectionLost(reason)
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.called:
            waiter.callback(b"")

    def writeSomeData(self, data: bytes) -> int:
        """Do nothing: the descriptor is only read."""
        raise NotImplementedError
