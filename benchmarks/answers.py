"""Readers of answers: each receives bytes, cut in any way, and counts the answered calls.

A wrong answer raises `BenchmarkError`, which ends the whole run: a server that answers errors fast
must not look good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from benchmarks.errors import BenchmarkError
from benchmarks.wire import EOS

if TYPE_CHECKING:
    from collections.abc import Callable

# The numbers below are from the specification, not from the daemon's code, so that a mistake there
# is not repeated here. Source: framing, sections 2 to 4.
_HEADER: Final = 8
_STREAM_ENCODED: Final = 0x04
_ERROR: Final = 5
RESPONSES: Final = frozenset({3, 4})
"""The numbers of response frames in dialects 0003 (4) and 0005 and later (3)."""
_STREAM_SETTINGS: Final = frozenset({8, 9})
_SHOWN: Final = 300
# AMP's longest key: its length has two octets, the first of which is 0.
_AMP_KEY: Final = 255


class Answers(Protocol):
    """Counts the answered calls of one connection."""

    def feed(self, data: bytes) -> int:
        """Receive bytes and return how many calls they completed."""


class Messages:
    """Reads answers that are all the same bytes, as those of an echo."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._buffer = bytearray()

    def feed(self, data: bytes) -> int:
        """Receive bytes and return how many calls they completed."""
        self._buffer += data
        count = len(self._buffer) // len(self._message)
        # Compared at once, because the client shares the machine with the server that is measured.
        whole = count * len(self._message)
        if self._buffer[:whole] != self._message * count:
            raise _wrong(bytes(self._buffer))
        del self._buffer[:whole]
        return count


class AmpAnswers:
    """Reads boxes of AMP, each with the answer to one call."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._buffer = bytearray()

    def feed(self, data: bytes) -> int:
        """Receive bytes and return how many calls they completed."""
        self._buffer += data
        count = 0
        while (end := self._box_end()) is not None:
            box = bytes(self._buffer[:end])
            if b"_answer" not in box or self._data not in box:
                raise _wrong(box)
            del self._buffer[:end]
            count += 1
        return count

    def _box_end(self) -> int | None:
        """Return the offset of the first box's end; None while the box is incomplete."""
        position = 0
        is_key = True
        while position + 2 <= len(self._buffer):
            length = int.from_bytes(self._buffer[position : position + 2], "big")
            position += 2 + length
            if is_key and not length:
                return position
            if is_key and length > _AMP_KEY:
                raise _wrong(bytes(self._buffer))
            is_key = not is_key
        return None


class FrameAnswers:
    """Reads response frames, in any order, of calls whose results are all the same."""

    def __init__(
        self,
        result: bytes,
        profile: bytes = b"identity",
        decode: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """Make a reader.

        Args:
            result: The right answer: all payloads of one response, joined.
            profile: The content encoding, at most 23 bytes.
            decode: Decodes the next bytes of the stream; None for ``identity``.
        """
        self._result = result
        self._profile = profile
        self._decode = decode
        self._is_encoding = False
        self._buffer = bytearray()
        self._open: dict[int, bytes] = {}

    def feed(self, data: bytes) -> int:
        """Receive bytes and return how many calls they completed."""
        buffer = self._buffer
        buffer += data
        count = position = 0
        while len(buffer) >= position + _HEADER:
            end = position + _HEADER + int.from_bytes(buffer[position : position + 3], "little")
            if len(buffer) < end:
                break
            count += self._frame(bytes(buffer[position:end]))
            position = end
        del buffer[:position]
        return count

    def _frame(self, frame: bytes) -> bool:
        """Read one frame and return whether it completed a response."""
        request_id = int.from_bytes(frame[3:5], "little")
        stream_flags, kind, flags, payload = frame[6], frame[7] >> 4, frame[7] & 15, frame[8:]
        if kind in _STREAM_SETTINGS:
            self._is_encoding = True
            # Behind the head of a short byte string, which is one octet.
            if payload[1:] != self._profile:
                raise _wrong(payload, "another content encoding")
            return False
        if kind not in RESPONSES:
            raise _wrong(frame, "an error" if kind == _ERROR else "an unexpected frame")
        if self._decode is not None:
            if not self._is_encoding:
                raise _wrong(frame, "an answer before the settings of its stream")
            if stream_flags & _STREAM_ENCODED:
                payload = self._decode(payload)
        payload = self._open.pop(request_id, b"") + payload
        if not flags & EOS:
            self._open[request_id] = payload
            return False
        if payload != self._result:
            raise _wrong(payload)
        return True


class HttpAnswers:
    """Reads HTTP responses with status 200 whose bodies hold the answers of another kind."""

    def __init__(self, body: Answers) -> None:
        self._body = body
        self._buffer = bytearray()

    def feed(self, data: bytes) -> int:
        """Receive bytes and return how many calls they completed."""
        self._buffer += data
        count = 0
        while (found := self._response()) is not None:
            body, end = found
            del self._buffer[:end]
            answered = self._body.feed(body)
            # A response without an answer would be counted as fast.
            if not answered:
                raise _wrong(body, "a response with no answer in it")
            count += answered
        return count

    def _response(self) -> tuple[bytes, int] | None:
        """Return the first response's body and the offset of its end; None while incomplete."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(self._buffer[:end]).lower()
        if not head.startswith(b"http/1.1 200 "):
            raise _wrong(bytes(self._buffer))
        if b"\r\ntransfer-encoding: chunked" in head:
            return self._chunks(end + 4)
        length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        start, end = end + 4, end + 4 + length
        return (bytes(self._buffer[start:end]), end) if len(self._buffer) >= end else None

    def _chunks(self, position: int) -> tuple[bytes, int] | None:
        parts: list[bytes] = []
        while (line := self._buffer.find(b"\r\n", position)) >= 0:
            size = int(self._buffer[position:line], 16)
            end = line + 2 + size + 2
            if len(self._buffer) < end:
                return None
            if not size:
                return b"".join(parts), end
            parts.append(bytes(self._buffer[line + 2 : end - 2]))
            position = end
        return None


def _wrong(data: bytes, what: str = "a wrong answer") -> BenchmarkError:
    return BenchmarkError(f"the server gave {what}: {data[:_SHOWN]!r}")
