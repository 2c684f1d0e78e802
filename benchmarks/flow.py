"""Transfers of far more data than either side should hold, with an end that stops reading."""

from __future__ import annotations

import hashlib
import select
import ssl
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.daemon import DEADLINE
from benchmarks.errors import BenchmarkError
from benchmarks.frames import (
    COMMAND_DATA,
    ENCODED,
    ERROR_RESPONSE,
    RESPONSE,
    STREAM_SETTINGS,
    Chunks,
    Frames,
    whole_request,
)
from benchmarks.load import receive
from benchmarks.pieces import NOISE, TEXT, Expected, piece
from benchmarks.wire import (
    CONTINUATION,
    EOS,
    PIECE,
    STATUS_OK,
    api_path,
    frame,
    framing,
    http_head,
    offer,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from benchmarks.daemon import Control, Daemon
    from benchmarks.frames import Frame, Value

HTTP: Final = frozenset({"http", "https"})
"""Listeners whose frames travel in HTTP; those of the others travel on raw sockets."""

# The largest window of zstd-8mb (RFC 9659).
_LARGEST_WINDOW_LOG: Final = 23
# Little, so that nearly all of the answer waits in the daemon and the kernel.
_FIRST_READ: Final = 4096
_WRITE: Final = 64 * 1024
_RECEIVED: Final = 64 * 1024
_STRING_HEAD: Final = b"\x59" + PIECE.to_bytes(2, "big")
"""The CBOR head of a byte string as long as a piece."""
_LINE_FIELDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One kind of transfer: its transport, direction and encoding."""

    listener: str
    dialect: str
    is_upload: bool = False
    profile: str = ""
    """The content encoding that the client offers; empty for none offered, which is identity."""
    kind: bytes = NOISE

    @property
    def name(self) -> str:
        """The name of the row in the table."""
        way = "up" if self.is_upload else "down"
        kind = "text" if self.kind == TEXT else "noise"
        return " ".join(filter(None, [self.listener, way, self.dialect, self.profile, kind]))


@dataclass(slots=True)
class Rest:
    """The memory and data held while the other end read nothing."""

    private: int = 0
    """Bytes of the daemon's private memory."""
    in_flight: int = 0
    """Bytes of data that one end had sent and the other had not read."""
    in_kernel: int = 0
    """Bytes that the sockets of both ends held, frame headers and TLS included."""


def run(case: Case, pieces: int, daemon: Daemon, control: Control, *, stops: bool) -> Rest:
    """Run one case to its end.

    Args:
        case: The kind of transfer.
        pieces: The number of pieces.
        daemon: The daemon, whose memory is measured.
        control: A second connection to it, for other commands meanwhile.
        stops: The reading end stops, far from the end of the data, until nothing moves any more.

    Raises:
        BenchmarkError: The received data differs from the sent data.
    """
    connection = daemon.connect(case.listener, case.dialect)
    try:
        flow = _upload if case.is_upload else _download
        return flow(case, pieces, connection, control, daemon if stops else None)
    finally:
        connection.close()


# --- results ---------------------------------------------------------------------------------


def _download(
    case: Case, pieces: int, connection: socket.socket, control: Control, stopped: Daemon | None
) -> Rest:
    """Request results, read the first bytes, stop reading, and then read all."""
    arguments: dict[bytes, Value] = {b"kind": case.kind, b"pieces": pieces}
    begin = offer(case.profile.encode("ascii")) if case.profile else b""
    request = begin + whole_request(1, b"give", arguments, begins=not begin)
    connection.sendall(_http_head(case, b"give", len(request)) + request)
    if case.dialect == "0003":
        expected = Expected(case.kind, pieces)
    else:
        expected = Expected(case.kind, pieces, begin=STATUS_OK, prefix=_STRING_HEAD)
    answer = _Answer(case, expected.take)
    answer.feed(connection.recv(_FIRST_READ))

    rest = Rest()
    if stopped is not None:
        stopped.settle()
        rest = Rest(private=stopped.private, in_kernel=_in_kernel(connection))
        given = int(control.ask(b"counts").split()[0])
        rest.in_flight = given - expected.size
        # Then the memory that is measured would not be that of a daemon that waits.
        if given >= pieces * PIECE:
            raise BenchmarkError("all was given before anybody read it: use more data")
    while not answer.ended:
        answer.feed(receive(connection))
    if not expected.is_complete:
        raise BenchmarkError(f"the results ended behind {expected.size} bytes")
    # An answer that was sent as it is would pass every other check.
    if case.profile and not answer.was_encoded:
        raise BenchmarkError("the answer was not encoded")
    return rest


class _Answer:
    """Reads one answer and passes on the decoded payloads of its frames."""

    def __init__(self, case: Case, take: Callable[[bytes], None]) -> None:
        self._chunks = Chunks() if case.listener in HTTP else None
        self._frames = Frames()
        self._dialect = case.dialect
        self._profile = (case.profile or "identity").encode("ascii")
        self._decode = _decoder(case.profile)
        self._take = take
        self._is_complete = False
        self.was_encoded = False

    @property
    def ended(self) -> bool:
        """Whether the last frame arrived, and the end of the HTTP response."""
        return self._is_complete and (self._chunks is None or self._chunks.ended)

    def feed(self, data: bytes) -> None:
        """Receive the next bytes."""
        if not data:
            raise BenchmarkError("the server closed the connection")
        if self._chunks is not None:
            data = self._chunks.feed(data)
        for each in self._frames.feed(data):
            self._take_frame(each)
        if self._is_complete and self._frames.unread:
            raise BenchmarkError("bytes behind the answer")

    def _take_frame(self, each: Frame) -> None:
        if each.kind == STREAM_SETTINGS:
            if each.payload[1:] != self._profile:
                raise BenchmarkError(f"another content encoding: {each.payload!r}")
            return
        if each.kind != RESPONSE[self._dialect] or each.request_id != 1 or self._is_complete:
            what = "error" if each.kind == ERROR_RESPONSE else "unexpected frame"
            raise BenchmarkError(f"{what} in an answer: {each}")
        payload = each.payload
        if each.stream_flags & ENCODED:
            self.was_encoded = True
            payload = self._decode(payload)
        self._take(payload)
        self._is_complete = bool(each.flags & EOS)


def _decoder(profile: str) -> Callable[[bytes], bytes]:
    if profile == "zlib":
        return zlib.decompressobj().decompress
    if profile == "zstd-8mb":
        options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _LARGEST_WINDOW_LOG}
        return zstd.ZstdDecompressor(options=options).decompress
    return lambda data: data


# --- command data ----------------------------------------------------------------------------


def _upload(
    case: Case, pieces: int, connection: socket.socket, control: Control, stopped: Daemon | None
) -> Rest:
    """Send data until no more is accepted, let the command go on, and send the rest."""
    sender = _Sender(connection, _upload_parts(case, pieces))
    connection.settimeout(0)
    rest = Rest()
    if stopped is not None:
        # Pushes on between samples, until neither side moves any more.
        stopped.settle(sender.push)
        rest = Rest(private=stopped.private, in_kernel=_in_kernel(connection))
        if sender.ended:
            raise BenchmarkError("all was sent before the command took it: use more data")
        rest.in_flight = sender.sent - int(control.ask(b"counts").split()[1])
    sender.push()
    end = time.monotonic() + DEADLINE
    # Again and again, because the command may not have started.
    while control.ask(b"go") != b"1":
        if time.monotonic() > end:
            raise BenchmarkError("the command does not wait")
    while not sender.ended:
        sender.push()
        _wait(connection, select.POLLOUT)
    connection.settimeout(DEADLINE)

    result = bytearray()
    answer = _Answer(case, result.extend)
    while not answer.ended:
        answer.feed(connection.recv(_RECEIVED))
    expected = _uploaded(case, pieces)
    if result != expected:
        raise BenchmarkError(f"the command counted {bytes(result)!r} instead of {expected!r}")
    return rest


class _Sender:
    """Sends parts to a socket that does not block."""

    def __init__(self, connection: socket.socket, parts: Iterator[bytes]) -> None:
        self._connection = connection
        self._parts = parts
        self._part = memoryview(b"")
        self.sent = 0
        """Bytes that the kernel, or TLS, has accepted."""
        self.ended = False

    def push(self) -> int:
        """Send as much as the kernel accepts, and return the number of bytes sent in all."""
        while not self.ended:
            if not self._part:
                part = next(self._parts, None)
                if part is None:
                    self.ended = True
                    break
                self._part = memoryview(part)
            try:
                # The same bytes again where TLS could not write them: OpenSSL refuses others.
                count = self._connection.send(self._part[:_WRITE])
            except (BlockingIOError, ssl.SSLWantWriteError):
                break
            self._part = self._part[count:]
            self.sent += count
        return self.sent


def _upload_parts(case: Case, pieces: int) -> Iterator[bytes]:
    begin = whole_request(1, b"hold", {}, has_data=True)
    size = len(begin) + pieces * len(frame(1, (0, 0), 0, bytes(PIECE)))
    yield _http_head(case, b"hold", size) + begin
    kind = COMMAND_DATA[case.dialect]
    for number in range(pieces):
        flags = EOS if number == pieces - 1 else CONTINUATION
        yield frame(1, (0, flags), kind, piece(case.kind, number))


def _uploaded(case: Case, pieces: int) -> bytes:
    """Return the answer that the command must return for the data."""
    digest = hashlib.sha256()
    for number in range(pieces):
        digest.update(piece(case.kind, number))
    result = b"%d %s" % (pieces * PIECE, digest.hexdigest().encode("ascii"))
    if case.dialect == "0003":
        return result
    return STATUS_OK + bytes([0x58, len(result)]) + result


# --- both ------------------------------------------------------------------------------------


def _http_head(case: Case, command: bytes, size: int) -> bytes:
    if case.listener not in HTTP:
        return b""
    path = api_path(case.dialect, command.decode("ascii"))
    return http_head(path, size, framing(case.dialect))


def _wait(connection: socket.socket, what: int) -> None:
    poll = select.poll()
    poll.register(connection, what)
    if not poll.poll(DEADLINE * 1000):
        raise BenchmarkError("the server takes nothing more")


def _in_kernel(connection: socket.socket) -> int:
    """Return the bytes in the queues of both ends' sockets."""
    own, other = (
        f"{address[1]:04X}" for address in (connection.getsockname(), connection.getpeername())
    )
    # Each connection has a line for each end here; its fifth field is the sizes of both queues.
    total = 0
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        ends = {fields[1].partition(":")[2], fields[2].partition(":")[2]}
        if ends == {own, other}:
            total += sum(int(queue, 16) for queue in fields[4].split(":"))
    return total
