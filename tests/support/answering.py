"""Connections that wait for answers, and the frames that answers are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from support.feeding import joined, receive, server
from support.peers import WireFrame, head, parse_frames, request_frames, settings_frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.protocol import ServerConnection
    from wiredaemon.wire.values import Value

CONTINUATION, EOS, CBOR = 1, 2, 4
"""Flags of response frames (framing 4)."""
OK: Final = b"\xa1FstatusBok"
SLICE: Final = 32768
BYTES_ERAS: Final = ("0002", "0003", "0004")


def waiting(dialect: str, *, half_duplex: bool, settings: bool = False) -> ServerConnection:
    """Return a connection that has received requests 1, 3 and 5 and the end of input."""
    connection = server(dialect, half_duplex=half_duplex)
    data = b"".join(settings_frames(b"unknown")) if settings else b""
    for request_id in (1, 3, 5):
        data += b"".join(request_frames(dialect, request_id, b"command"))
    assert len(receive(connection, data)) == 3
    assert connection.receive_end() == []
    return connection


def bytes_of(
    dialect: str, act: Callable[[ServerConnection], None], *, nothing_offered: bool = False
) -> bytes:
    """Return what is sent, which must be the same in half and in full duplex."""
    sent = []
    for half_duplex in (True, False):
        connection = waiting(dialect, half_duplex=half_duplex, settings=nothing_offered)
        act(connection)
        size = connection.output_size
        sent.append(joined(connection.data_to_send()))
        assert size == len(sent[-1])
        assert connection.output_size == 0
    assert sent[0] == sent[1]
    return sent[0]


def frames_of(
    dialect: str, act: Callable[[ServerConnection], None], *, nothing_offered: bool = False
) -> list[WireFrame]:
    return parse_frames(bytes_of(dialect, act, nothing_offered=nothing_offered))


def shapes(frames: list[WireFrame]) -> list[tuple[int, int]]:
    """Return flags and payload size of each frame."""
    return [(one.flags, len(one.payload)) for one in frames]


def result(value: Value) -> Callable[[ServerConnection], None]:
    return lambda connection: connection.send_result(1, value)


def objects(*values: Value) -> Callable[[ServerConnection], None]:
    def act(connection: ServerConnection) -> None:
        for value in values:
            connection.send_object(1, value)
        connection.end_response(1)

    return act


def string_of_encoded_size(size: int) -> bytes:
    """Return a byte string whose CBOR has so many bytes, head included."""
    width = next(width for width in (1, 2, 3, 5) if len(head(2, size - width)) == width)
    return bytes(size - width)


def offering(*profiles: bytes) -> ServerConnection:
    """Return a connection that has received request 1 from a client that offers profiles."""
    connection = server("0006", half_duplex=False)
    data = b"".join(settings_frames(*profiles)) if profiles else b""
    receive(connection, data + b"".join(request_frames("0006", 1, b"command")))
    return connection
