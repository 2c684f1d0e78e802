"""Frames of a response: read header and payload in turn, and described in a line.

Source: client-tool, sections 3.3 and 3.5; framing, sections 2 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wiredaemon.debugtool.errors import ToolError
from wiredaemon.debugtool.frame_strings import STREAM_FLAGS
from wiredaemon.wire.frames import HEADER_SIZE
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.debugtool.bodies import Body
    from wiredaemon.wire.dialects import Dialect

_LARGEST_PAYLOAD: Final = Limits().frame_payload


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedFrame:
    """A frame as it came."""

    encoded: bytes
    """Header and payload."""

    @property
    def payload(self) -> bytes:
        """What follows the header."""
        return self.encoded[HEADER_SIZE:]

    @property
    def request_id(self) -> int:
        """A number of 16 bits."""
        return int.from_bytes(self.encoded[3:5], "little")

    @property
    def stream_id(self) -> int:
        """A number of 8 bits."""
        return self.encoded[5]

    @property
    def stream_flags(self) -> int:
        """8 bits."""
        return self.encoded[6]

    @property
    def type_number(self) -> int:
        """A number of 4 bits."""
        return self.encoded[7] >> 4

    @property
    def flags(self) -> int:
        """4 bits."""
        return self.encoded[7] & 0x0F


def read_frame(body: Body, *, shows_empty: bool) -> ReceivedFrame | None:
    """Read the next frame of a body; None at its end.

    Args:
        body: The body of the response.
        shows_empty: A payload of no bytes is read, too, and shown as an empty line.

    Raises:
        ToolError: The frame is incomplete, or larger than a client accepts.
    """
    header = body.read(HEADER_SIZE, call="readinto")
    if not header:
        return None
    if len(header) != HEADER_SIZE:
        shown = header.ljust(HEADER_SIZE, b"\0")
        raise ToolError(f"received incomplete frame: got {len(header)} bytes: {shown!r}")
    size = int.from_bytes(header[:3], "little")
    if size > _LARGEST_PAYLOAD:
        raise ToolError(f"a frame of {size} bytes is larger than {_LARGEST_PAYLOAD}")
    payload = body.read(size) if size or shows_empty else b""
    if len(payload) != size:
        raise ToolError(f"frame length error: expected {size}; got {len(payload)}")
    body.finish_piece()
    return ReceivedFrame(encoded=header + payload)


def show_frame(frame: ReceivedFrame, dialect: Dialect) -> str:
    """Return the line that says that a frame was received."""
    kind = dialect.types.get(frame.type_number)
    name = f"<unknown 0x{frame.type_number:02x}>" if kind is None else kind.value
    names = {} if kind is None else dialect.frames[kind].flags
    return (
        f"received frame(size={len(frame.payload)}; request={frame.request_id}; "
        f"stream={frame.stream_id}; streamflags={_flag_names(frame.stream_flags, STREAM_FLAGS)}; "
        f"type={name}; flags={_flag_names(frame.flags, names)})"
    )


def _flag_names(flags: int, names: Mapping[str, int]) -> str:
    by_bit = {bit: name for name, bit in names.items()}
    bits = [1 << place for place in range(8) if flags & 1 << place]
    return "|".join(by_bit.get(bit, f"<unknown 0x{bit:02x}>") for bit in bits)
