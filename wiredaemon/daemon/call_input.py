"""Command data from a file descriptor, read when it is ready and as it is asked for.

A blocking read of standard input may wait for ever, while the response arrives.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import Self

# As the client cuts data: a piece that is read is a piece that is sent.
_PIECE: Final = 128 * 1024


class Input:
    """An asynchronous iterator of the bytes of a descriptor, piece by piece."""

    def __init__(self, descriptor: int, name: str) -> None:
        """Read a descriptor, which the caller closes; errors name it by ``name``."""
        self._descriptor = descriptor
        self._name = name

    def __aiter__(self) -> Self:
        """Return itself: bytes are read once."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece."""
        await self._wait()
        try:
            piece = os.read(self._descriptor, _PIECE)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._name) from None
        if not piece:
            raise StopAsyncIteration
        return piece

    async def _wait(self) -> None:
        """Return when bytes are there, or the end."""
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        try:
            loop.add_reader(self._descriptor, _note, ready)
        except PermissionError:
            return  # a file on a disk, which is always ready
        try:
            await ready
        finally:
            loop.remove_reader(self._descriptor)


def _note(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
