"""HTTP over real sockets that hides no byte: exactly these go out, exactly those came in.

Each connect, read and write has a deadline, so that a server that says nothing fails the test.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from support.environment import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from typing import Self

SOCKET_DEADLINE: Final = 20.0
"""Seconds for one connect, read or write of a socket before the test fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawResponse:
    """One HTTP response, as cut by the server."""

    status_line: bytes
    """The whole line, without its line end."""

    headers: list[tuple[bytes, bytes]]
    """Names as spelled and values with their white space, in the order received."""

    chunks: list[bytes] | None
    """The data of each HTTP chunk but the empty last one; `None` if the body is not chunked."""

    body: bytes
    """The body, or the chunks joined."""

    wire: bytes = field(repr=False)
    """Every byte of the response."""

    @property
    def status(self) -> int:
        """The number in the status line."""
        return int(self.status_line.split(b" ")[1])

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, without the white space around it, or `None`."""
        wanted = name.lower()
        values = (value.strip() for key, value in self.headers if key.lower() == wanted)
        return next(values, None)

    def wire_without(self, names: Iterable[bytes]) -> bytes:
        """Every byte of the response but the first line of each header named, case-sensitively."""
        head, end, body = self.wire.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        for name in names:
            stamped = [line for line in lines if line.startswith(name + b": ")]
            for line in stamped[:1]:
                lines.remove(line)
        return b"\r\n".join(lines) + end + body


class RawConnection:
    """One connection to a port on loopback; everything is sent and read as it is."""

    def __init__(
        self, port: int, *, tls: ssl.SSLContext | None = None, deadline: float = SOCKET_DEADLINE
    ) -> None:
        """Connect, and with `tls` shake hands.

        Args:
            port: On the loopback address.
            tls: As `trusting` gives it; `None` for plain TCP.
            deadline: Seconds for the connect and each later read or write.
        """
        self.authority = f"{LOOPBACK}:{port}"
        """The value of the `Host` header."""
        plain = socket.create_connection((LOOPBACK, port), timeout=deadline)
        try:
            self.socket = plain if tls is None else tls.wrap_socket(plain, server_hostname=LOOPBACK)
        except BaseException:
            plain.close()
            raise
        self._unread = bytearray()

    def __enter__(self) -> Self:
        """Return the connection, which is open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection without any farewell of HTTP."""
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send exactly these bytes."""
        self.socket.sendall(data)

    def end_input(self) -> None:
        """Close the sending side of the connection (not with TLS)."""
        self.socket.shutdown(socket.SHUT_WR)

    def exchange(self, request: bytes) -> RawResponse:
        """Send a whole request and give its response.

        The request's method decides whether the response may have a body.
        """
        self.send(request)
        return self.receive_response(has_body=not request.startswith(b"HEAD "))

    def receive_response(self, *, has_body: bool = True) -> RawResponse:
        """Read one response and not a byte more of the stream than is its own.

        An interim response (`100 Continue`) is a response by itself. Without chunks and without a
        length the body lasts until the server closes.

        Args:
            has_body: `False` for the response to a HEAD request.

        Raises:
            EOFError: The server closed in the middle, or at once; the text shows what came.
            TimeoutError: A read took longer than the deadline.
            ValueError: This is not HTTP.
        """
        wire = bytearray()
        status_line = self._line(wire)
        headers = []
        while line := self._line(wire):
            name, colon, value = line.partition(b":")
            if not colon:
                raise ValueError(f"not a header: {line!r}")
            headers.append((name, value.removeprefix(b" ")))
        status = int(status_line.split(b" ")[1])
        fields = {name.lower(): value.strip() for name, value in headers}
        chunks = None
        if not has_body or status < 200 or status in {204, 304}:
            body = b""
        elif fields.get(b"transfer-encoding") == b"chunked":
            chunks = self._chunks(wire)
            body = b"".join(chunks)
        elif b"content-length" in fields:
            body = self._exactly(int(fields[b"content-length"]), wire)
        else:
            body = self.receive_to_end()
            wire += body
        return RawResponse(
            status_line=status_line, headers=headers, chunks=chunks, body=body, wire=bytes(wire)
        )

    def receive_exactly(self, count: int) -> bytes:
        """Read so many bytes.

        Raises:
            EOFError: The server closed before.
        """
        return self._exactly(count, bytearray())

    def receive_some(self) -> bytes:
        """Read what has come already, or wait for more; empty when the server has closed."""
        if not self._unread:
            self._receive_more()
        return self._take(len(self._unread), bytearray())

    def receive_to_end(self) -> bytes:
        """Read all that comes until the server closes."""
        while self._receive_more():
            pass
        rest = bytes(self._unread)
        self._unread.clear()
        return rest

    def unread(self) -> bytes:
        """The bytes received behind the last response; more may be on its way."""
        return bytes(self._unread)

    def _receive_more(self) -> bool:
        data = self.socket.recv(65536)
        self._unread += data
        return bool(data)

    def _take(self, count: int, wire: bytearray) -> bytes:
        taken = bytes(self._unread[:count])
        del self._unread[:count]
        wire += taken
        return taken

    def _line(self, wire: bytearray) -> bytes:
        while (end := self._unread.find(b"\r\n")) < 0:
            self._receive_or_fail(wire)
        return self._take(end + 2, wire)[:-2]

    def _exactly(self, count: int, wire: bytearray) -> bytes:
        while len(self._unread) < count:
            self._receive_or_fail(wire)
        return self._take(count, wire)

    def _receive_or_fail(self, wire: bytearray) -> None:
        if not self._receive_more():
            raise EOFError(f"the server closed after {bytes(wire + self._unread)!r}")

    def _chunks(self, wire: bytearray) -> list[bytes]:
        chunks = []
        while size := int(self._line(wire), 16):
            chunks.append(self._exactly(size, wire))
            if self._line(wire):
                raise ValueError(f"a chunk of {size} bytes is longer than that")
        while self._line(wire):  # trailers, which no one here expects, are in `wire`
            pass
        return chunks


def trusting(certificate: Path | None) -> ssl.SSLContext:
    """A TLS context that trusts one certificate alone, or with `None` whatever it is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if certificate is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(certificate)
    return context


def post(target: str, authority: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """The bytes of a POST request with `Host`, these headers and the length of its body."""
    lines = [f"POST {target} HTTP/1.1", f"Host: {authority}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def frame(
    request_id: int, stream_id: int, stream_flags: int, type_number: int, flags: int, payload: bytes
) -> bytes:
    """The bytes of one frame, built from numbers alone: no code of the daemon's is involved.

    Eight octets go before the payload: its length in 24 bits, the request id in 16 (both little
    endian), the stream id, the stream flags, and type and flags in four bits each.

    Source: framing, section 2.
    """
    return (
        len(payload).to_bytes(3, "little")
        + request_id.to_bytes(2, "little")
        + bytes([stream_id, stream_flags, type_number << 4 | flags])
        + payload
    )
