"""Frame strings: ``REQUEST STREAM STREAM-FLAGS TYPE FLAGS PAYLOAD``.

Source: client-tool, section 2.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.debugtool.errors import ScriptError
from wiredaemon.debugtool.literals import literal, unescape
from wiredaemon.wire.cbor import encode
from wiredaemon.wire.dialects import FrameType
from wiredaemon.wire.frames import FrameError, encode_frame
from wiredaemon.wire.values import UnencodableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.wire.dialects import Dialect

STREAM_FLAGS: Final = {"stream-begin": 0x01, "stream-end": 0x02, "encoded": 0x04}
"""The names of stream flags (framing, section 3)."""

_PARTS: Final = 6
_CBOR: Final = b"cbor:"


def parse_frame_string(text: bytes, dialect: Dialect) -> bytes:
    """Return the frame that a string stands for, header and payload.

    Raises:
        ScriptError: A part is missing or unknown, or a number does not fit its field.
    """
    parts = text.split(b" ", _PARTS - 1)
    if len(parts) != _PARTS:
        raise ScriptError(
            f"a frame has {_PARTS} parts, request, stream, stream flags, type, flags and payload: "
            f"{text.decode('latin-1')}"
        )
    request, stream, stream_flags, kind, flags = (part.decode("latin-1") for part in parts[:-1])
    number = _type_number(kind, dialect)
    names = dialect.frames[dialect.types[number]].flags
    try:
        header, payload = encode_frame(
            _number(request, "request id"),
            _number(stream, "stream id"),
            _flags(stream_flags, STREAM_FLAGS, "stream flag"),
            number,
            _flags(flags, names, f"flag of {dialect.types[number].value}"),
            _payload(parts[-1], dialect),
        )
    except FrameError as error:
        raise ScriptError(f"{error}: {text.decode('latin-1')}") from None
    return header + payload


def _type_number(text: str, dialect: Dialect) -> int:
    numbers = {kind.value: number for kind, number in dialect.numbers.items()}
    # Ours alone, and Mercurial's tool has no name for it.
    numbers.pop(FrameType.SESSION.value, None)
    number = numbers[text] if text in numbers else _number(text, "frame type")
    if number not in dialect.types:
        raise ScriptError(f"dialect {dialect.name} has no frame type {number}")
    return number


def _flags(text: str, names: Mapping[str, int], what: str) -> int:
    value = 0
    for item in text.split("|"):
        value |= names[item] if item in names else _number(item, what)
    return value


def _number(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ScriptError(f"unknown {what}: {text}")
    try:
        return int(text)
    except ValueError:  # more digits than Python converts
        raise ScriptError(f"too large a number for a {what}") from None


def _payload(text: bytes, dialect: Dialect) -> bytes:
    if not text.startswith(_CBOR):
        return unescape(text)
    try:
        return encode(literal(text.removeprefix(_CBOR)), dialect.cbor.key_order)
    except UnencodableError as error:
        raise ScriptError(f"{error}: {text.decode('latin-1')}") from None
