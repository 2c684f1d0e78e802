"""Incoming streams: opening and ending them, and checking the frames on them.

Source: server-state-machine, sections 1.3 and 2.3; framing, section 13.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wiredaemon.protocol.errors import RemoteProtocolError
from wiredaemon.wire.frames import BEGIN, ENCODED, END


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSide:
    """The streams that one side receives, and the texts that refuse others."""

    refused_parity: int
    """Remainder of the division by 2 that a stream id must not have."""
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
        # A list, because nearly all peers open only one: 64 bytes, where a set takes 216.
        self.open: list[int] = []
        """Streams on which frames may follow without beginning them, in the order of beginning."""

    def receive_from_client(self, stream_id: int, stream_flags: int) -> None:
        """Check the stream of a frame as a server does, and open or close it where it says so.

        Raises:
            RemoteProtocolError: As `begin_where_flagged`; or the frame is content encoded.
        """
        # In the order of server-state-machine, section 1.3: stream, encoding, end.
        self.begin_where_flagged(stream_id, stream_flags)
        # Mercurial's servers refuse them as well (docs/decisions.md).
        if stream_flags & ENCODED:
            message = "content encoded frames are not accepted from clients"
            raise RemoteProtocolError(message, malformed=True)
        self.end_where_flagged(stream_id, stream_flags)

    def begin_where_flagged(self, stream_id: int, stream_flags: int) -> None:
        """Check the stream of a frame, and open it where the frame begins it.

        A frame may begin an open stream again.

        Raises:
            RemoteProtocolError: The stream belongs to the other side, or is not open.
        """
        # Before anything else about the stream (server-state-machine, sections 1.3 and 2.3).
        if stream_id % 2 == self._side.refused_parity:
            raise RemoteProtocolError(self._side.parity_text % stream_id)
        if stream_id not in self.open:
            if not stream_flags & BEGIN:
                raise RemoteProtocolError(self._side.inactive_text)
            self.open.append(stream_id)

    def end_where_flagged(self, stream_id: int, stream_flags: int) -> None:
        """Close the stream of a frame that is its last; the frame itself still counts."""
        # Bits beyond the three of `StreamFlags` are ignored, as Mercurial does.
        if stream_flags & END and stream_id in self.open:
            self.open.remove(stream_id)
