"""Incoming streams: which are open, and which frames may be on them.

Source: server-state-machine, sections 1.3 and 2.3; framing, section 13.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wiredaemon.protocol.errors import RemoteProtocolError
from wiredaemon.wire.frames import BEGIN, END

if TYPE_CHECKING:
    from wiredaemon.wire.frames import Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSide:
    """Which streams one side receives, and the texts it refuses others with."""

    refused_parity: int
    """Rest of the division by 2 that a stream id must not have."""
    parity_text: str
    inactive_text: str


SERVER_SIDE: Final = StreamSide(
    refused_parity=0,
    parity_text="received frame with even numbered stream ID: %d",
    inactive_text=(
        "received frame on unknown inactive stream without beginning of stream flag set"
    ),
)
CLIENT_SIDE: Final = StreamSide(
    refused_parity=1,
    parity_text="received frame with odd numbered stream ID: %d",
    inactive_text="received frame on unknown stream without beginning of stream flag set",
)


class InputStreams:
    """The open streams of one connection's input."""

    __slots__ = ("_side", "open")

    def __init__(self, side: StreamSide) -> None:
        """Begin with no stream open."""
        self._side = side
        # A list, for nearly all peers open only one; a set of one is large.
        self.open: list[int] = []
        """Streams on which frames may follow without beginning them, in the order of beginning."""

    def receive_frame(self, frame: Frame) -> None:
        """Check a frame and begin its stream where it does. Beginning an open one is no error.

        Raises:
            RemoteProtocolError: The frame is on a stream of the other side or not open.
        """
        if frame.stream_id % 2 == self._side.refused_parity:
            raise RemoteProtocolError(self._side.parity_text % frame.stream_id)
        if frame.stream_id not in self.open:
            if not frame.stream_flags & BEGIN:
                raise RemoteProtocolError(self._side.inactive_text)
            self.open.append(frame.stream_id)

    def end_where_flagged(self, frame: Frame) -> None:
        """Close the stream if this is its last frame; the frame itself still counts."""
        if frame.stream_flags & END and frame.stream_id in self.open:
            self.open.remove(frame.stream_id)
