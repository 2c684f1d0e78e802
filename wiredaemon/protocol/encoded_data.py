"""Content encoded command data of a client's session.

Source: sessions, section 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.protocol.errors import RemoteProtocolError
from wiredaemon.protocol.stream_contents import StreamContents
from wiredaemon.wire.dialects import CONTINUATION, FrameType
from wiredaemon.wire.encodings import LARGEST_WINDOW, ContentError
from wiredaemon.wire.frames import END, whole_frame

if TYPE_CHECKING:
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.frames import Frame, RawFrame
    from wiredaemon.wire.limits import Limits

# Its data needs no more: all uploads of a client go through one encoder.
_MOST_STREAMS: Final = 1


class EncodedData:
    """Decodes the command data of one connection, in steps."""

    __slots__ = ("_contents", "_decoded", "_limits", "_number", "_of_stream")

    def __init__(self, dialect: Dialect, limits: Limits) -> None:
        """Begin with no stream."""
        self._contents = StreamContents(dialect, limits, most=_MOST_STREAMS)
        self._limits = limits
        self._number = dialect.numbers[FrameType.COMMAND_DATA]
        self._decoded: dict[int, int] = {}
        """Decoded bytes of the requests whose data has not ended."""
        self._of_stream = 0
        """Decoded bytes in all."""

    @property
    def held(self) -> int:
        """Bytes that the decoder may hold: its window, as far as there was content for it."""
        return min(self._of_stream, LARGEST_WINDOW)

    def receive_settings(self, frame: Frame) -> None:
        """Receive settings of one of the client's streams.

        Raises:
            RemoteProtocolError: They are not accepted.
        """
        self._contents.receive_settings(frame, ended=bool(frame.stream_flags & END))

    def decode(self, raw: RawFrame) -> tuple[list[RawFrame], RawFrame | None]:
        """Return plain frames of an encoded one, and what must be decoded by a later call.

        Raises:
            RemoteProtocolError: It is no command data, or corrupt, or a limit is crossed.
        """
        request_id, stream_id, stream_flags, kind, payload = raw
        if kind >> 4 != self._number:
            message = "only command data may be content encoded by clients"
            raise RemoteProtocolError(message, malformed=True)
        decoder = self._contents.feed(whole_frame(raw))
        if decoder is None:
            return [(request_id, stream_id, 0, kind, payload)], None
        frames: list[RawFrame] = []
        more, size = self._number << 4 | CONTINUATION, 0
        try:
            while decoder.pending and size < self._limits.decoded_size:
                piece = decoder.read()
                size += len(piece)
                if piece:
                    frames.append((request_id, stream_id, 0, more, piece))
        except ContentError as error:
            raise RemoteProtocolError(str(error), malformed=True) from error
        self._count(request_id, size)
        if decoder.pending:
            return frames, (request_id, stream_id, stream_flags, kind, b"")
        # The end is a frame of its own: which piece is the last was not known before.
        if not kind & CONTINUATION:
            self._decoded.pop(request_id, None)
            frames.append((request_id, stream_id, 0, kind, b""))
        if stream_flags & END:
            self._contents.forget(stream_id)
        return frames, None

    def _count(self, request_id: int, size: int) -> None:
        self._of_stream += size
        decoded = self._decoded[request_id] = self._decoded.get(request_id, 0) + size
        # Also where nobody reads it: decoding costs time, and a bomb no bytes.
        if decoded > self._limits.command_data:
            message = (
                f"decoded data of request {request_id} exceeds the limit of "
                f"{self._limits.command_data} bytes (command_data)"
            )
            raise RemoteProtocolError(message, malformed=True)
