"""The ready-made bytes that the loads send, built from numbers without code of the daemon."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

DATA: Final = b"thirty bytes of argument: 0123"
"""The argument of a call, and also its answer."""

BATCH: Final = 64
"""Calls that arrive together."""

PIECE: Final = 32 * 1024
"""Bytes in one piece of large data."""

MIB: Final = 1024 * 1024

BULK: Final = 256 * MIB
"""Bytes of a large answer, and of a large upload."""

STREAM_BEGIN: Final = 0x01
NEW, HAVE_DATA = 0x01, 0x08
"""Flags of a command-request frame. Source: framing, section 4."""
CONTINUATION, EOS = 0x01, 0x02
"""Flags of data and response frames."""
COMMAND_REQUEST: Final = 1
COMMAND_DATA_0003: Final = 3
SENDER_SETTINGS: Final = 8

STATUS_OK: Final = b"\xa1FstatusBok"
"""The status map in front of results in dialect 0006. Source: framing, section 6.3."""

HTTP_API: Final = {"0003": "exp-http-v2-0001", "0006": "exp-http-v2-0003"}
"""The API that speaks a dialect."""


def frame(request_id: int, flags: tuple[int, int], type_number: int, payload: bytes) -> bytes:
    """Return one frame of client stream 1.

    Args:
        request_id: The request's id, 16 bits.
        flags: The flags of the stream and of the frame.
        type_number: The number of the frame type, 4 bits.
        payload: The payload as it is sent.
    """
    return (
        len(payload).to_bytes(3, "little")
        + request_id.to_bytes(2, "little")
        + bytes([1, flags[0], type_number << 4 | flags[1]])
        + payload
    )


def request(request_id: int, name: bytes, data: bytes | None, *, begins: bool) -> bytes:
    """Return one command-request frame, which is the whole request.

    Args:
        request_id: The request's id, 16 bits.
        name: The name of the command, at most 23 bytes.
        data: The argument `data`, 24 to 255 bytes; None for no arguments.
        begins: The frame is the first of its stream.
    """
    return frame(
        request_id, (STREAM_BEGIN if begins else 0, NEW), COMMAND_REQUEST, request_map(name, data)
    )


def request_map(name: bytes, data: bytes | None) -> bytes:
    """Return the CBOR map of a request, whose form is right in every dialect."""
    called = b"\x44name" + bytes([0x40 | len(name)]) + name
    if data is None:
        return b"\xa1" + called
    return b"\xa2\x44args\xa1\x44data" + cbor_bytes(data) + called


def cbor_bytes(data: bytes) -> bytes:
    """Return a CBOR byte string of 24 to 255 bytes."""
    return bytes([0x58, len(data)]) + data


def requests(name: bytes, count: int = BATCH) -> bytes:
    """Return requests with ids of their own, all in stream 1, which begins with each repetition.

    A frame may say that its stream begins although it is open. Source: framing, section 13.
    """
    return b"".join(
        request(2 * number + 1, name, DATA, begins=number == 0) for number in range(count)
    )


def offer(profile: bytes) -> bytes:
    """Return the client's settings in dialect 0006, its first frame: one content encoding.

    Args:
        profile: The name of the encoding, at most 23 bytes. Source: framing, section 10.
    """
    settings = b"\xa1\x50contentencodings\x81" + bytes([0x40 | len(profile)]) + profile
    return frame(1, (STREAM_BEGIN, EOS), SENDER_SETTINGS, settings)


def data_frames(request_id: int, size: int) -> Iterable[bytes]:
    """Return command data as frames of dialect 0003, 32 in one value; `size` is in whole MiB."""
    middle = frame(request_id, (0, CONTINUATION), COMMAND_DATA_0003, bytes(PIECE))
    last = frame(request_id, (0, EOS), COMMAND_DATA_0003, bytes(PIECE))
    in_one = MIB // PIECE
    yield from itertools.repeat(middle * in_one, size // MIB - 1)
    yield middle * (in_one - 1) + last


def int32(data: bytes) -> bytes:
    """Return a message of Twisted's Int32StringReceiver."""
    return len(data).to_bytes(4, "big") + data


def amp_box(ask: int, data: bytes) -> bytes:
    """Return a call of AMP's command `Echo`: pairs of key and value with 16-bit lengths."""
    pairs = {b"_ask": b"%x" % ask, b"_command": b"Echo", b"data": data}
    return b"".join(_amp(key) + _amp(value) for key, value in pairs.items()) + b"\0\0"


def _amp(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def http_head(path: str, length: int, media_type: str | None = None) -> bytes:
    """Return the head of a POST request on a kept connection.

    Args:
        path: The request target.
        length: The size of the body.
        media_type: The type of body and answer; None for octets.
    """
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1"]
    if media_type is None:
        lines += ["Content-Type: application/octet-stream"]
    else:
        lines += [f"Accept: {media_type}", f"Content-Type: {media_type}"]
    lines += [f"Content-Length: {length}", "", ""]
    return "\r\n".join(lines).encode("ascii")


def http_post(path: str, body: bytes, media_type: str | None = None) -> bytes:
    """Return a whole POST request on a kept connection."""
    return http_head(path, len(body), media_type) + body


def api_path(dialect: str, command: str) -> str:
    """Return the URL path of a command in a dialect."""
    return f"/api/{HTTP_API[dialect]}/ro/{command}"


def framing(dialect: str) -> str:
    """Return the media type of a dialect."""
    return f"application/mercurial-exp-framing-{dialect}"
