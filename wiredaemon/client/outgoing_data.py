"""Command data to be sent: bytes, or an iterable of them, as pieces."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

Data: TypeAlias = bytes | Iterable[bytes] | AsyncIterable[bytes]
"""The data whole or in pieces; each piece is asked for when the one before was sent."""

# Four frames of the largest size: with one frame a piece, the coroutine and its flow control would
# be woken for each.
_PIECE: Final = 128 * 1024


async def pieces(data: Data) -> AsyncGenerator[bytes, None]:
    """Yield the data in pieces that are not empty."""
    if isinstance(data, AsyncIterable):
        async for piece in data:
            for part in _cut(piece):
                yield part
        return
    # Bytes are an iterable of numbers.
    for piece in [data] if isinstance(data, bytes) else data:
        for part in _cut(piece):
            yield part


def _cut(piece: bytes) -> Iterable[bytes]:
    return (piece[start : start + _PIECE] for start in range(0, len(piece), _PIECE))
