"""The commands that wiredaemon is measured with; its configuration loads this file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wiredaemon.commands import Argument, ArgumentType, Permission, RawBytes, command

if TYPE_CHECKING:
    from collections.abc import Iterator

_DATA: Final = {"data": Argument(type=ArgumentType.BYTES)}
_PIECE: Final = RawBytes(bytes(32 * 1024))
_PIECES: Final = 256 * 1024 * 1024 // (32 * 1024)


@command("echo", permission=Permission.RO, arguments=_DATA)
def echo(_context: Any, data: bytes) -> RawBytes:  # noqa: ANN401
    """Return the argument."""
    return RawBytes(data)


@command("aecho", permission=Permission.RO, arguments=_DATA)
async def aecho(_context: Any, data: bytes) -> RawBytes:  # noqa: ANN401
    """Return the argument from a coroutine that does not wait."""
    return RawBytes(data)


@command("bulk", permission=Permission.RO)
def bulk(_context: Any) -> Iterator[RawBytes]:  # noqa: ANN401
    """Yield 256 MiB in pieces of 32 KiB."""
    for _ in range(_PIECES):
        yield _PIECE


@command("endless", permission=Permission.RO)
def endless(_context: Any) -> Iterator[RawBytes]:  # noqa: ANN401
    """Yield pieces of 32 KiB for ever."""
    while True:
        yield _PIECE


@command("upload", permission=Permission.RO, has_data=True)
async def upload(context: Any) -> RawBytes:  # noqa: ANN401
    """Return the size of the data, in digits."""
    size = 0
    async for piece in context.data:
        size += len(piece)
    return RawBytes(b"%d" % size)
