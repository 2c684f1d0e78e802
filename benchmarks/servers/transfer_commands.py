"""The commands of `benchmarks.transfers`: much data down, and up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.callers.orders import PIECE
from wiredaemon.commands import Argument, ArgumentType, Permission, command

if TYPE_CHECKING:
    from collections.abc import Iterator


@command("pieces", permission=Permission.RO, arguments={"count": Argument(type=ArgumentType.INT)})
def pieces(_context: Any, count: int) -> Iterator[bytes]:  # noqa: ANN401
    """Yield the piece so many times."""
    for _ in range(count):
        yield PIECE


@command("measure", permission=Permission.RO, has_data=True)
async def measure(context: Any) -> int:  # noqa: ANN401
    """Return the size of the data."""
    size = 0
    async for piece in context.data:
        size += len(piece)
    return size
