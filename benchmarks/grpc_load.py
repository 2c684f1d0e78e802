"""Unary gRPC calls as ready-made HTTP/2 bytes; of each call only the stream id is filled in.

No HPACK table is used when sending: each request carries the same literal header block. Answers are
read frame by frame; a call counts as answered after a DATA frame with the right message and the
frame that ends its stream. Source: RFC 9113; gRPC over HTTP2.
"""

from __future__ import annotations

import struct
from typing import Final

from benchmarks.errors import BenchmarkError
from benchmarks.load import connect, receive

_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 0x1, 0x4, 0x1
_LAST_STREAM: Final = 2**31 - 1
_WINDOW: Final = 2**31 - 1
_DEFAULT_WINDOW: Final = 65535
_REPLENISH: Final = 2**30
_FRAME_HEADER: Final = 9


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _literal(name: bytes, value: bytes) -> bytes:
    """Return a header field without indexing, with a literal name and no Huffman code."""
    return bytes([0, len(name)]) + name + bytes([len(value)]) + value


_BLOCK: Final = (
    b"\x83\x86"  # :method POST, :scheme http: of the static table
    + _literal(b":path", b"/p.Peer/Echo")
    + _literal(b":authority", b"127.0.0.1")
    + _literal(b"content-type", b"application/grpc")
    + _literal(b"te", b"trailers")
)


class GrpcCalls:
    """Sends calls, all at once, and reads their answers."""

    def __init__(self, port: int, data: bytes, count: int) -> None:
        """Connect.

        Args:
            port: The server's port, on loopback.
            data: The message that each call sends and must receive.
            count: The number of calls in one exchange.
        """
        self._port = port
        self._message = struct.pack(">BI", 0, len(data)) + data
        self._count = count
        self._connection = _Connection(port, self._message)

    def exchange(self) -> int:
        """Send the calls, wait for all answers, and return their number."""
        # A stream id is used once; a connection without ids is replaced.
        if not self._connection.has_streams(self._count):
            self._connection.close()
            self._connection = _Connection(self._port, self._message)
        self._connection.call(self._count)
        return self._count

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class _Connection:
    """One HTTP/2 connection, whose streams are used up one by one."""

    def __init__(self, port: int, message: bytes) -> None:
        self._connection = connect(port)
        self._message = message
        self._buffer = bytearray()
        self._stream = 1
        self._window = _DEFAULT_WINDOW
        self._taken = 0
        self._ended = self._messages = 0
        self._connection.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + _frame(_SETTINGS, 0, 0, b"")
            # The largest window, so that the server never waits for this client.
            + _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _WINDOW - _DEFAULT_WINDOW))
        )

    def has_streams(self, count: int) -> bool:
        """Return whether as many streams are left."""
        return self._stream + 2 * count <= _LAST_STREAM

    def call(self, count: int) -> None:
        """Make a number of calls at once."""
        needed = count * len(self._message)
        # The server opens the window of the connection as it reads.
        while self._window < needed:
            self._read()
        self._window -= needed
        self._ended = self._messages = 0
        streams = range(self._stream, self._stream + 2 * count, 2)
        self._stream = streams.stop
        self._connection.sendall(b"".join([self._request(stream) for stream in streams]))
        while self._ended < count:
            self._read()
        if self._messages != count:
            raise BenchmarkError(f"{self._messages} answers to {count} gRPC calls")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _request(self, stream: int) -> bytes:
        return _frame(_HEADERS, _END_HEADERS, stream, _BLOCK) + _frame(
            _DATA, _END_STREAM, stream, self._message
        )

    def _read(self) -> None:
        buffer = self._buffer
        buffer += receive(self._connection)
        position = 0
        while len(buffer) >= position + _FRAME_HEADER:
            start = position + _FRAME_HEADER
            end = start + int.from_bytes(buffer[position : position + 3], "big")
            if len(buffer) < end:
                break
            stream = int.from_bytes(buffer[position + 5 : start], "big")
            self._take(buffer[position + 3], buffer[position + 4], stream, bytes(buffer[start:end]))
            position = end
        del buffer[:position]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _DATA:
            self._take_data(payload)
        if kind in {_DATA, _HEADERS}:
            self._ended += flags & _END_STREAM
        elif kind in {_RST_STREAM, _GOAWAY}:
            raise BenchmarkError(f"the gRPC server refused a call: {payload!r}")
        elif kind == _WINDOW_UPDATE and not stream:
            self._window += int.from_bytes(payload, "big")
        elif kind in {_SETTINGS, _PING} and not flags & _ACK:
            answer = payload if kind == _PING else b""
            self._connection.sendall(_frame(kind, _ACK, 0, answer))

    def _take_data(self, payload: bytes) -> None:
        if payload and payload != self._message:
            raise BenchmarkError(f"a wrong gRPC message: {payload!r}")
        self._messages += bool(payload)
        self._taken += len(payload)
        if self._taken >= _REPLENISH:
            self._connection.sendall(_frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", self._taken)))
            self._taken = 0
