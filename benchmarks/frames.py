"""Frames and CBOR for the checks: parsed and made from numbers alone.

No code of the daemon is used, so that a mistake in it is not repeated here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.errors import BenchmarkError
from benchmarks.wire import COMMAND_REQUEST, HAVE_DATA, NEW, STREAM_BEGIN, frame

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Value = int | bytes | Sequence["Value"] | Mapping[bytes, "Value"]

ENCODED: Final = 0x04
"""Flag of a stream. Source: framing, section 3."""
CBOR: Final = 0x04
"""Flag of a response frame in dialect 0003. Source: framing, section 4."""
APPLICATION: Final = 0x02
"""Flag of an error frame in dialect 0003."""
COMMAND_DATA: Final = {"0003": 3, "0006": 2}
RESPONSE: Final = {"0003": 4, "0006": 3}
ERROR_RESPONSE: Final = 5
STREAM_SETTINGS: Final = 9
"""Numbers of frame types, by dialect where they differ."""

_HEADER: Final = 8
_INLINE: Final = 24
"""CBOR arguments below this stand in the first byte."""
_WIDTHS: Final = (1, 2, 4, 8)
_UNSIGNED, _BYTES, _ARRAY, _MAP = 0, 2, 4, 5
_HEAD_SHOWN: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One parsed frame."""

    request_id: int
    stream_id: int
    stream_flags: int
    kind: int
    flags: int
    payload: bytes


class Frames:
    """Parses bytes, cut in any way, into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def unread(self) -> int:
        """Bytes of an incomplete frame."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """Receive bytes and return the frames that are complete."""
        buffer = self._buffer
        buffer += data
        frames = []
        position = 0
        while len(buffer) >= position + _HEADER:
            end = position + _HEADER + int.from_bytes(buffer[position : position + 3], "little")
            if len(buffer) < end:
                break
            one = Frame(
                request_id=int.from_bytes(buffer[position + 3 : position + 5], "little"),
                stream_id=buffer[position + 5],
                stream_flags=buffer[position + 6],
                kind=buffer[position + 7] >> 4,
                flags=buffer[position + 7] & 15,
                payload=bytes(buffer[position + _HEADER : end]),
            )
            frames.append(one)
            position = end
        del buffer[:position]
        return frames


class Chunks:
    """Reads one chunked HTTP response with status 200."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._is_head = True
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        """Receive bytes and return the contents of complete HTTP chunks."""
        buffer = self._buffer
        buffer += data
        if self._is_head and not self._read_head():
            return b""
        parts: list[bytes] = []
        position = 0
        while not self.ended and (line := buffer.find(b"\r\n", position)) >= 0:
            size = int(buffer[position:line], 16)
            end = line + 2 + size + 2
            if len(buffer) < end:
                break
            parts.append(bytes(buffer[line + 2 : end - 2]))
            position = end
            self.ended = not size
        del buffer[:position]
        if self.ended and buffer:
            raise BenchmarkError(f"bytes behind the response: {bytes(buffer[:_HEAD_SHOWN])!r}")
        return b"".join(parts)

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._buffer[:end]).lower()
        if not (head.startswith(b"http/1.1 200 ") and b"\r\ntransfer-encoding: chunked" in head):
            raise BenchmarkError(f"the server answered {bytes(self._buffer[:_HEAD_SHOWN])!r}")
        del self._buffer[: end + 4]
        self._is_head = False
        return True


def cbor(value: Value) -> bytes:
    """Encode a value; the keys of a map go out in the order given."""
    if isinstance(value, int):
        return _head(_UNSIGNED, value)
    if isinstance(value, bytes):
        return _head(_BYTES, len(value)) + value
    if isinstance(value, dict):
        pairs = (cbor(key) + cbor(content) for key, content in value.items())
        return _head(_MAP, len(value)) + b"".join(pairs)
    return _head(_ARRAY, len(value)) + b"".join(cbor(each) for each in value)


def _head(major: int, number: int) -> bytes:
    if number < _INLINE:
        return bytes([major << 5 | number])
    code = next(code for code, width in enumerate(_WIDTHS) if number < 1 << 8 * width)
    return bytes([major << 5 | _INLINE + code]) + number.to_bytes(_WIDTHS[code], "big")


def request_content(name: bytes, arguments: Mapping[bytes, Value]) -> bytes:
    """Return the CBOR map of a request."""
    content: dict[bytes, Value] = {b"args": arguments} if arguments else {}
    return cbor({**content, b"name": name})


def whole_request(
    request_id: int,
    name: bytes,
    arguments: Mapping[bytes, Value],
    *,
    begins: bool = True,
    has_data: bool = False,
) -> bytes:
    """Return a request in one frame."""
    flags = NEW | (HAVE_DATA if has_data else 0)
    stream = STREAM_BEGIN if begins else 0
    content = request_content(name, arguments)
    return frame(request_id, (stream, flags), COMMAND_REQUEST, content)
