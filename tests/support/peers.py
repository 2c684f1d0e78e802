"""An independent peer: frames and CBOR written and read from the specification alone.

Nothing here uses wiredaemon, so what it and wiredaemon agree on was written down twice. It owns the
client's side of every dialect (requests out, response frames in) and a CBOR writer of both eras.

Source: framing, sections 2 to 6.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

BEGIN: Final = 0x01
END: Final = 0x02
ENCODED: Final = 0x04
"""Stream flags (framing 3)."""

NUMBERS: Final[Mapping[str, Mapping[str, int]]] = {
    "0002": {"name": 1, "argument": 2, "data": 3, "response": 4, "error": 5},
    "0003": {"request": 1, "data": 3, "response": 4, "error": 5},
    "0004": {"request": 1, "data": 3, "response": 4, "error": 5},
    "0005": {"request": 1, "data": 2, "response": 3, "error": 5},
    "0006": {"request": 1, "data": 2, "response": 3, "error": 5, "settings": 8, "stream": 9},
}
"""Frame type numbers of each dialect (framing 4)."""
SESSION: Final = 13
"""The frame type of sessions, in 0006 (sessions 2)."""

SLICE: Final = 32768


class WireFrame(NamedTuple):
    """One frame, taken apart."""

    request_id: int
    stream_id: int
    stream_flags: int
    type_number: int
    flags: int
    payload: bytes


def frame(  # the fields in the order in which people read a transcript
    type_number: int,
    flags: int,
    payload: bytes = b"",
    *,
    request_id: int = 1,
    stream_id: int = 1,
    stream_flags: int = BEGIN,
) -> bytes:
    """Write one frame (framing 2)."""
    return b"".join(
        (
            len(payload).to_bytes(3, "little"),
            request_id.to_bytes(2, "little"),
            bytes((stream_id, stream_flags, type_number << 4 | flags)),
            payload,
        )
    )


def parse_frames(data: bytes) -> list[WireFrame]:
    """Read whole frames, and nothing behind them (framing 2)."""
    frames = []
    position = 0
    while position < len(data):
        start = position + 8
        end = start + int.from_bytes(data[position : position + 3], "little")
        assert end <= len(data), "the last frame is cut"
        frames.append(
            WireFrame(
                int.from_bytes(data[position + 3 : position + 5], "little"),
                data[position + 5],
                data[position + 6],
                data[position + 7] >> 4,
                data[position + 7] & 15,
                data[start:end],
            )
        )
        position = end
    return frames


# --- CBOR (framing 5.4) ----------------------------------------------------------------------


def head(major: int, number: int) -> bytes:
    """Write the shortest head."""
    if number < 24:
        return bytes([major << 5 | number])
    for info, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << 8 * width:
            return bytes([major << 5 | info]) + number.to_bytes(width, "big")
    raise AssertionError(number)


def item(value: object, *, canonical: bool) -> bytes:  # noqa: PLR0911 one return for each type
    """Write one item; ``canonical`` is the key order of 0003 to 0005."""
    match value:
        case None:
            return b"\xf6"
        case bool():
            return b"\xf5" if value else b"\xf4"
        case int():
            return head(0, value) if value >= 0 else head(1, -1 - value)
        case bytes():
            return head(2, len(value)) + value
        case list():
            return head(4, len(value)) + b"".join(item(one, canonical=canonical) for one in value)
        case set() | frozenset():
            ordered = sorted(value)
            return b"\xd9\x01\x02" + item(ordered, canonical=canonical)
        case dict():
            keys = sorted(value, key=lambda key: (len(key), key) if canonical else (0, key))
            return head(5, len(value)) + b"".join(
                item(key, canonical=canonical) + item(value[key], canonical=canonical)
                for key in keys
            )
        case _:
            raise AssertionError(value)


# --- requests ----------------------------------------------------------------------------------


def slices(data: bytes, size: int) -> list[bytes]:
    """Cut data; no data is one empty piece."""
    return [data[start : start + size] for start in range(0, len(data), size)] or [b""]


def data_frames(
    dialect: str, request_id: int, data: bytes, *, cut: int = SLICE, stream_id: int = 1
) -> list[bytes]:
    """Write command data: ``continuation`` on all frames but the last, which is ``eos``."""
    pieces = slices(data, cut)
    return [
        frame(
            NUMBERS[dialect]["data"],
            2 if number == len(pieces) else 1,
            piece,
            request_id=request_id,
            stream_id=stream_id,
        )
        for number, piece in enumerate(pieces, start=1)
    ]


def map_frames(
    dialect: str,
    request_id: int,
    content: bytes,
    *,
    has_data: bool = False,
    cut: int = SLICE,
    stream_id: int = 1,
) -> list[bytes]:
    """Write the request frames of 0003 and later around any content (framing 5.2)."""
    pieces = slices(content, cut)
    frames = []
    for number, piece in enumerate(pieces, start=1):
        flags = 1 if number == 1 else 2
        flags |= 4 if number < len(pieces) else 0
        flags |= 8 if has_data else 0
        frames.append(
            frame(
                NUMBERS[dialect]["request"],
                flags,
                piece,
                request_id=request_id,
                stream_id=stream_id,
            )
        )
    return frames


def named_frames(
    request_id: int,
    name: bytes,
    arguments: Mapping[bytes, bytes],
    *,
    has_data: bool = False,
    cut: int = SLICE,
    stream_id: int = 1,
) -> list[bytes]:
    """Write the request frames of 0002; values longer than ``cut`` go on (framing 5.1)."""
    flags = (2 if arguments else 0) | (4 if has_data else 0)
    frames = [frame(1, flags or 1, name, request_id=request_id, stream_id=stream_id)]
    for number, (key, value) in enumerate(sorted(arguments.items()), start=1):
        sizes = len(key).to_bytes(2, "little") + len(value).to_bytes(2, "little")
        pieces = slices(value, cut)
        for at, piece in enumerate(pieces):
            last = at == len(pieces) - 1
            flags = (0 if last else 1) | (2 if last and number == len(arguments) else 0)
            payload = sizes + key + piece if at == 0 else piece
            frames.append(frame(2, flags, payload, request_id=request_id, stream_id=stream_id))
    return frames


def request_frames(
    dialect: str,
    request_id: int,
    name: bytes,
    arguments: Mapping[bytes, object] | None = None,
    data: bytes | None = None,
    *,
    cut: int = SLICE,
    stream_id: int = 1,
) -> list[bytes]:
    """Write a whole command in the dialect's form; 0002 takes only bytes as arguments."""
    arguments = arguments or {}
    has_data = data is not None
    if dialect == "0002":
        plain = {key: value for key, value in arguments.items() if isinstance(value, bytes)}
        frames = named_frames(
            request_id, name, plain, has_data=has_data, cut=cut, stream_id=stream_id
        )
    else:
        content: dict[bytes, object] = {b"name": name}
        if arguments:
            content[b"args"] = dict(arguments)
        encoded = item(content, canonical=dialect != "0006")
        frames = map_frames(
            dialect, request_id, encoded, has_data=has_data, cut=cut, stream_id=stream_id
        )
    if data is not None:
        frames += data_frames(dialect, request_id, data, cut=cut, stream_id=stream_id)
    return frames


def settings_frames(*profiles: bytes, request_id: int = 1) -> list[bytes]:
    """Write the settings of a 0006 client (framing 10)."""
    content = item({b"contentencodings": list(profiles)}, canonical=False)
    return [frame(8, 2, content, request_id=request_id)]


# --- responses ---------------------------------------------------------------------------------


class Answer(NamedTuple):
    """The answer to one request, its frames put together."""

    content: bytes
    flags: tuple[int, ...]
    """The flags of each response frame."""
    error: bytes | None = None
    """Payload of an error frame."""


def read_answers(dialect: str, frames: Iterable[WireFrame]) -> dict[int, Answer]:
    """Put the frames of each response together, and check the rules that hold for all of them.

    Contents are decoded from the encoding of their stream: identity or zlib.
    """
    answers: dict[int, Answer] = {}
    ended: set[int] = set()
    streams: set[int] = set()
    decoders: dict[int, Callable[[bytes], bytes]] = {}
    for one in frames:
        assert one.stream_id % 2 == 0
        assert one.stream_id in streams or one.stream_flags & BEGIN
        streams.add(one.stream_id)
        if one.type_number == SESSION:
            continue  # it answers no request
        assert len(one.payload) <= SLICE
        assert one.request_id not in ended
        answer = answers.get(one.request_id, Answer(b"", ()))
        if one.type_number == NUMBERS[dialect].get("stream"):
            assert one.stream_id not in decoders
            assert one.flags == 2
            assert one.payload in {b"Hidentity", b"Dzlib"}
            inflate = zlib.decompressobj().decompress
            decoders[one.stream_id] = bytes if one.payload == b"Hidentity" else inflate
        elif one.type_number == NUMBERS[dialect]["error"]:
            ended.add(one.request_id)
            answer = answer._replace(error=one.payload)
        else:
            assert one.type_number == NUMBERS[dialect]["response"]
            encoded = one.stream_flags & ENCODED
            payload = decoders[one.stream_id](one.payload) if encoded else one.payload
            answer = Answer(answer.content + payload, (*answer.flags, one.flags))
            if one.flags & 2:
                ended.add(one.request_id)
        answers[one.request_id] = answer
    assert ended == set(answers)
    return answers


def interleave(sequences: Sequence[Sequence[bytes]], picks: Iterable[int]) -> list[bytes]:
    """Mix sequences, each in its own order; each pick says which of the unfinished ones goes on."""
    waiting = [list(sequence) for sequence in sequences if sequence]
    mixed = []
    for pick in picks:
        if not waiting:
            break
        chosen = waiting[pick % len(waiting)]
        mixed.append(chosen.pop(0))
        waiting = [sequence for sequence in waiting if sequence]
    for sequence in waiting:
        mixed += sequence
    return mixed
