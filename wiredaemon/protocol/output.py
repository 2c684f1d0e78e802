"""Outgoing frames and the streams that they leave on.

Source: framing, sections 11 to 13.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.protocol.errors import LocalProtocolError
from wiredaemon.wire import cbor
from wiredaemon.wire.dialects import EOS, FrameType
from wiredaemon.wire.encodings import DEFAULT_OFFER, ENCODERS, choose_encoding
from wiredaemon.wire.frames import BEGIN, HEADER_SIZE, EncodedFrame, encode_frame
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Container

    from wiredaemon.wire.dialects import Dialect

_FIRST_SERVER_STREAM: Final = 2
_LAST_SERVER_STREAM: Final = 254
_MOST_ENCODING: Final = Limits().encoding_streams


class Output:
    """Frames that wait to be sent."""

    __slots__ = ("frames", "size")

    def __init__(self) -> None:
        """Begin empty."""
        self.frames: list[EncodedFrame] = []
        self.size = 0
        """Bytes waiting, headers included."""

    def take(self) -> list[EncodedFrame]:
        """Give all frames and forget them."""
        frames, self.frames = self.frames, []
        self.size = 0
        return frames


class OutputStream:
    """One stream of frames, with its content encoding.

    The first frame carries the begin flag; the settings frame goes out once, in front of the first
    encoded payload.
    """

    __slots__ = (
        "_begun",
        "_dialect",
        "_encoding",
        "_numbers",
        "_output",
        "encoder",
        "is_recorded",
        "settings_sent",
        "stream_id",
    )

    def __init__(
        self,
        stream_id: int,
        dialect: Dialect,
        output: Output,
        encoding: bytes | None,
        *,
        is_recorded: bool = False,
    ) -> None:
        """Begin a stream.

        Args:
            stream_id: Even from servers, odd from clients.
            dialect: Gives the frame types their numbers.
            output: Takes the frames.
            encoding: The profile, or None for a stream without settings.
            is_recorded: Payloads come encoded; the stream ends with its one response.
        """
        self.stream_id = stream_id
        self._dialect = dialect
        self._numbers = dialect.numbers
        self._output = output
        self._encoding = encoding
        self._begun = False
        self.settings_sent = False
        """Encoded payloads may be sent."""
        self.is_recorded = is_recorded
        self.encoder = None if encoding is None or is_recorded else ENCODERS[encoding]()

    def send_settings_once(self, request_id: int) -> None:
        """Announce the content encoding, if there is one and it was not announced."""
        if self._encoding is None or self.settings_sent:
            return
        self.settings_sent = True
        payload = cbor.encode(self._encoding, self._dialect.cbor.key_order)
        self.send(request_id, FrameType.STREAM_SETTINGS, EOS, payload)

    def send(
        self,
        request_id: int,
        kind: FrameType,
        flags: int,
        payload: bytes,
        stream_flags: int = 0,
    ) -> None:
        """Send one frame."""
        if not self._begun:
            self._begun = True
            stream_flags |= BEGIN
        output = self._output
        output.frames.append(
            encode_frame(
                request_id, self.stream_id, stream_flags, self._numbers[kind], flags, payload
            )
        )
        output.size += HEADER_SIZE + len(payload)

    def restart(self) -> None:
        """Let the next frame begin the stream anew."""
        self._begun = False


class OutputStreams:
    """The server's streams: 2 as long as one response follows the other, more side by side.

    A response holds a stream from its first frame to its last, because a content encoding's
    context must not be shared by responses that interleave.
    """

    __slots__ = (
        "_dialect",
        "_encoding",
        "_free",
        "_most_encoding",
        "_next_id",
        "_output",
        "_retired",
        "offered",
    )

    def __init__(
        self, dialect: Dialect, output: Output, most_encoding: int = _MOST_ENCODING
    ) -> None:
        """Begin with no stream.

        Args:
            dialect: That is spoken.
            output: Takes the frames.
            most_encoding: Streams that get a content encoding; those beyond go without.
        """
        self._most_encoding = most_encoding
        self._encoding = 0
        """Streams that got one."""
        self._dialect = dialect
        self._output = output
        self._free: list[OutputStream] = []
        self._next_id = _FIRST_SERVER_STREAM
        self._retired: list[int] = []
        """Ids of streams that have ended, in that order."""
        self.offered: Container[object] = DEFAULT_OFFER
        """The content encodings that the client knows."""

    def acquire(self) -> OutputStream:
        """Give a stream that nothing else writes to, the lowest if there are several.

        Raises:
            LocalProtocolError: No id is left for one more stream.
        """
        if self._free:
            return self._free.pop()
        stream_id = self._new_id()
        encoding = self.encoding
        if encoding not in {None, b"identity"}:
            self._encoding += 1
            if self._encoding > self._most_encoding:
                encoding = None
        return OutputStream(stream_id, self._dialect, self._output, encoding)

    def acquire_recorded(self, encoding: bytes) -> OutputStream:
        """Give a new stream for one response that is encoded already; its id is free afterwards.

        Raises:
            LocalProtocolError: No id is left for one more stream.
        """
        return OutputStream(self._new_id(), self._dialect, self._output, encoding, is_recorded=True)

    def _new_id(self) -> int:
        # Those that have ended come last: a client may remember what such an id was used for.
        if self._next_id <= _LAST_SERVER_STREAM:
            self._next_id += 2
            return self._next_id - 2
        if self._retired:
            return self._retired.pop(0)
        message = "every stream is held by a response that has not ended"
        raise LocalProtocolError(message)

    @property
    def encoding(self) -> bytes | None:
        """The content encoding that streams get as long as not too many have one."""
        return choose_encoding(self.offered) if self._dialect.sender_settings else None

    @property
    def may_encode(self) -> bool:
        """Streams may have another content encoding than none: the client offers one."""
        return choose_encoding(self.offered) not in {None, b"identity"}

    def release(self, stream: OutputStream) -> None:
        """Take a stream back."""
        if stream.is_recorded:
            self._retired.append(stream.stream_id)
            return
        if self._dialect.restarts_streams:
            stream.restart()
        self._free.append(stream)
        if len(self._free) > 1:
            self._free.sort(key=lambda free: -free.stream_id)
