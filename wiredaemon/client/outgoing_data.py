"""Command data to be sent: bytes, or an iterable of them, as pieces."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, TypeGuard

from wiredaemon.client.errors import ClientError
from wiredaemon.client.requests import name_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from wiredaemon.client.data_turns import DataTurns
    from wiredaemon.client.flow_control import FlowControl
    from wiredaemon.client.options import ClientOptions
    from wiredaemon.protocol import ClientConnection, SessionStarted

Data: TypeAlias = bytes | Iterable[bytes] | AsyncIterable[bytes]
"""The data whole or in pieces; each piece is asked for when the one before was sent."""

# Four frames of the largest size: with one frame a piece, the coroutine and its flow control would
# be woken for each.
PIECE: Final = 128 * 1024
"""The most bytes of a piece; the iterator may give more at once."""


class Sender(Protocol):
    """The calls of a connection, as the sender of data sees them."""

    flow_control: FlowControl
    data_turns: DataTurns

    def is_sending(self, request_id: int) -> bool:
        """Return whether more data of a request follows."""

    def send_data(self, request_id: int, data: bytes, *, end: bool = False) -> None:
        """Send a piece of command data at once."""


def checked_data(data: object) -> Data:
    """Return what can be sent.

    Raises:
        ClientError: It cannot be: a text, for instance, must be encoded.
    """
    if isinstance(data, bytearray | memoryview):
        return bytes(data)
    if isinstance(data, str) or not isinstance(data, Iterable | AsyncIterable):
        raise ClientError(f"data is bytes, or gives bytes, not {type(data).__name__}")
    return data


async def send_pieces(calls: Sender, request_id: int, data: Data) -> None:
    """Send command data, as fast as the transport takes it.

    Raises:
        Exception: Whatever the data's own iterator raises. Nothing has ended the data then, so that
            the server does not take a part for the whole.
    """
    await calls.data_turns.wait(request_id)
    async with aclosing(pieces(data)) as given:
        async for piece in given:
            if not calls.is_sending(request_id):
                return  # cancelled, which has ended the data
            if calls.data_turns.is_answered(request_id):
                break
            calls.send_data(request_id, piece)
            await calls.flow_control.drain()
    if calls.is_sending(request_id):
        calls.send_data(request_id, b"", end=True)


def is_small(data: Data) -> TypeGuard[bytes]:
    """Return whether data is one piece that is there, so that no coroutine is needed for it."""
    return isinstance(data, bytes) and len(data) <= PIECE


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
    if not isinstance(piece, bytes | bytearray | memoryview):
        raise ClientError(f"data is bytes, or gives bytes, not {type(piece).__name__}")
    return (piece[start : start + PIECE] for start in range(0, len(piece), PIECE))


def encode_where_known(
    connection: ClientConnection, options: ClientOptions, started: SessionStarted
) -> None:
    """Encode command data from now on, if the server knows a profile that is wanted."""
    wanted = map(name_bytes, options.data_encodings)
    chosen = [one for one in wanted if one in started.content_encodings]
    if chosen:
        connection.encode_data(chosen[0])
