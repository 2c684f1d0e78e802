"""Loads: each sends ready-made bytes on one connection, by a plain blocking socket."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final, Protocol

from benchmarks.errors import BenchmarkError

if TYPE_CHECKING:
    import ssl

    from benchmarks.answers import Answers

_DEADLINE: Final = struct.pack("ll", 30, 0)
"""Seconds and microseconds for one read or write, by the kernel: the socket stays blocking."""
_READ: Final = 65536


class Load(Protocol):
    """An exchange with a server that is repeated and timed."""

    def exchange(self) -> int:
        """Send one portion, wait for all of its answers, and return its number of units.

        Raises:
            BenchmarkError: The server answered wrongly, or not in time.
        """

    def close(self) -> None:
        """Close the connection."""


def connect(port: int, tls: ssl.SSLContext | None = None) -> socket.socket:
    """Connect to a port on loopback."""
    plain = socket.create_connection(("127.0.0.1", port))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _DEADLINE)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _DEADLINE)
    return plain if tls is None else tls.wrap_socket(plain, server_hostname="127.0.0.1")


def receive_into(connection: socket.socket, buffer: memoryview) -> int:
    """Read the next bytes into a buffer, and return their number.

    Raises:
        BenchmarkError: The server closed, or nothing came in time.
    """
    try:
        count = connection.recv_into(buffer)
    except BlockingIOError:
        raise BenchmarkError("the server stopped sending") from None
    if not count:
        raise BenchmarkError("the server closed the connection")
    return count


def receive(connection: socket.socket) -> bytes:
    """Return the next bytes that arrive.

    Raises:
        BenchmarkError: The server closed, or nothing came in time.
    """
    try:
        data = connection.recv(_READ)
    except BlockingIOError:
        raise BenchmarkError("the server did not answer in time") from None
    if not data:
        raise BenchmarkError("the server closed the connection")
    return data


class Calls:
    """Sends the same requests again and again, and reads as many answers.

    Answers are compared as a whole with those of the exchange before, which costs next to nothing;
    they are read one by one only where they differ or arrive in parts.
    """

    def __init__(
        self, connection: socket.socket, requests: bytes, answers: Answers, count: int
    ) -> None:
        """Send nothing yet.

        Args:
            connection: A connected socket.
            requests: The bytes that one exchange sends.
            answers: Reads the answers.
            count: The number of calls in `requests`.
        """
        self._connection = connection
        self._requests = requests
        self._answers = answers
        self._count = count
        self._usual = b""
        self._repeats = True

    def without_repetition(self) -> Calls:
        """Decode every answer, since the state of the content encoding grows; return this load."""
        self._repeats = False
        return self

    def exchange(self) -> int:
        """Send the requests, wait for all answers, and return their number."""
        self._connection.sendall(self._requests)
        data = receive(self._connection)
        if data != self._usual:
            self._read_on(data)
        return self._count

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _read_on(self, data: bytes) -> None:
        count = self._answers.feed(data)
        if count == self._count and self._repeats:
            self._usual = data
        while count < self._count:
            count += self._answers.feed(receive(self._connection))
        if count > self._count:
            raise BenchmarkError(f"{count} answers to {self._count} calls")
