"""Command data to be sent: bytes, or an iterable of them, as pieces."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from wiredaemon.client.flow_control import FlowControl
    from wiredaemon.protocol import ClientConnection

Data: TypeAlias = bytes | Iterable[bytes] | AsyncIterable[bytes]
"""The data whole or in pieces; each piece is asked for when the one before was sent."""

# Four frames of the largest size: with one frame a piece, the coroutine and its flow control would
# be woken for each.
PIECE: Final = 128 * 1024
"""The most bytes of a piece; the iterator may give more at once."""


class Sender(Protocol):
    """The calls of a connection, as the sender of data sees them."""

    flow_control: FlowControl

    def is_sending(self, request_id: int) -> bool:
        """Return whether more data of a request follows."""

    def wants_data(self, request_id: int) -> bool:
        """Return whether a request still waits for its answer."""

    def send_data(self, request_id: int, data: bytes, *, end: bool = False) -> None:
        """Send a piece of command data at once."""


async def send_pieces(calls: Sender, request_id: int, data: Data) -> None:
    """Send command data, as fast as the transport takes it.

    Raises:
        Exception: Whatever the data's own iterator raises. Nothing has ended the data then, so that
            the server does not take a part for the whole.
    """
    async with aclosing(pieces(data)) as given:
        async for piece in given:
            if not calls.is_sending(request_id):
                return  # cancelled, which has ended the data
            if not calls.wants_data(request_id):
                break
            calls.send_data(request_id, piece)
            await calls.flow_control.drain()
    if calls.is_sending(request_id):
        calls.send_data(request_id, b"", end=True)


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
    return (piece[start : start + PIECE] for start in range(0, len(piece), PIECE))


def encode_where_known(
    connection: ClientConnection, wanted: Sequence[bytes], known: Sequence[bytes]
) -> None:
    """Encode command data from now on, if the server knows a profile that we want."""
    chosen = [one for one in wanted if one in known]
    if chosen:
        connection.encode_data(chosen[0])
