"""Frames: the 8 octet header, its payload, and reading frames from a stream of bytes.

What a frame means is left to the dialect (``wire.dialects``) and the connections.

Source: framing, sections 2 and 3.
"""

from __future__ import annotations

import struct
from enum import IntFlag
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER_SIZE: Final = 8
LARGEST_PAYLOAD: Final = (1 << 24) - 1
"""What the 24-bit little-endian length can say."""

_HEADER: Final = struct.Struct("<HBHBBB")
_LARGEST_FLAGS: Final = 0x0F


class StreamFlags(IntFlag):
    """Octet 6 of the header. Other bits are ignored (framing, section 3)."""

    BEGIN = 0x01
    END = 0x02
    ENCODED = 0x04


BEGIN: Final = int(StreamFlags.BEGIN)
END: Final = int(StreamFlags.END)
ENCODED: Final = int(StreamFlags.ENCODED)


class Frame(NamedTuple):
    """One frame as received.

    A tuple and not a dataclass: one is made for every frame, and a frozen dataclass costs three
    times as much to make.
    """

    request_id: int
    """16 bit."""
    stream_id: int
    """8 bit; odd from clients, even from servers."""
    stream_flags: int
    """See `StreamFlags`."""
    type_number: int
    """4 bit; its meaning is the dialect's."""
    flags: int
    """4 bit; their meaning is the frame type's."""
    payload: bytes
    """As on the wire, so perhaps content encoded."""


class EncodedFrame(NamedTuple):
    """One frame to be sent, in two parts, so that a large payload is not copied."""

    header: bytes
    payload: bytes


class FrameError(ValueError):
    """The bytes are no frame, or not a whole one, or too large a one."""


def encode_frame(  # noqa: PLR0913, PLR0917 the fields of the header, in its order
    request_id: int,
    stream_id: int,
    stream_flags: int,
    type_number: int,
    flags: int,
    payload: bytes,
) -> EncodedFrame:
    """Put a header in front of a payload.

    Raises:
        FrameError: A number does not fit its field.
    """
    length = len(payload)
    if not 0 <= flags <= _LARGEST_FLAGS:
        message = f"frame flags {flags} do not fit the header"
        raise FrameError(message)
    try:
        header = _HEADER.pack(
            length & 0xFFFF,
            length >> 16,
            request_id,
            stream_id,
            stream_flags,
            (type_number << 4) | flags,
        )
    except struct.error as error:
        message = f"a frame field does not fit the header: {error}"
        raise FrameError(message) from error
    return EncodedFrame(header, payload)


class FrameReader:
    """Cuts a stream of bytes into frames, whatever the cuts it arrives in.

    It holds at most one incomplete frame. After a `FrameError` it must not be used again.
    """

    def __init__(self, *, payload_limit: int) -> None:
        """Accept payloads of up to ``payload_limit`` bytes."""
        self._payload_limit = payload_limit
        self._buffer = bytearray()
        self._needed = HEADER_SIZE

    def receive_data(self, data: bytes) -> Iterator[Frame]:
        """Yield each frame that ``data`` completes; to be iterated to its end.

        Raises:
            FrameError: A frame announces a payload over the limit. The frames before it were
                yielded.
        """
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._needed:
                return
            data = bytes(self._buffer)
            self._buffer.clear()
        position, size = 0, len(data)
        self._needed = HEADER_SIZE
        while size - position >= HEADER_SIZE:
            low, high, request_id, stream_id, stream_flags, kind = _HEADER.unpack_from(
                data, position
            )
            length = low | high << 16
            if length > self._payload_limit:
                message = (
                    f"frame payload of {length} bytes exceeds the limit of "
                    f"{self._payload_limit} bytes (frame_payload)"
                )
                raise FrameError(message)
            start = position + HEADER_SIZE
            if size - start < length:
                self._needed = HEADER_SIZE + length
                break
            position = start + length
            yield Frame(
                request_id,
                stream_id,
                stream_flags,
                kind >> 4,
                kind & 0x0F,
                data[start:position],
            )
        self._buffer += data[position:]

    def receive_end(self) -> None:
        """Say that no more bytes follow.

        Raises:
            FrameError: The input ended inside a frame, with Mercurial's text for it.
        """
        held = len(self._buffer)
        if 0 < held < HEADER_SIZE:
            shown = bytes(self._buffer).ljust(HEADER_SIZE, b"\0")
            message = f"received incomplete frame: got {held} bytes: {shown!r}"
            raise FrameError(message)
        if held:
            message = (
                f"frame length error: expected {self._needed - HEADER_SIZE}; "
                f"got {held - HEADER_SIZE}"
            )
            raise FrameError(message)
