"""Outgoing frames and the streams that they leave on.

Source: framing, sections 11 to 13.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.protocol.errors import LocalProtocolError
from wiredaemon.wire import cbor
from wiredaemon.wire.dialects import EOS, FrameType
from wiredaemon.wire.encodings import DEFAULT_OFFER, ENCODERS, Identity, choose_encoding
from wiredaemon.wire.frames import BEGIN, ENCODED, HEADER_SIZE, encode_frame
from wiredaemon.wire.limits import SENT_PAYLOAD, Limits

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.frames import EncodedFrame

# Even ids are the server's, and an id has 8 bits.
_FIRST_SERVER_STREAM: Final = 2
_LAST_SERVER_STREAM: Final = 254
_MOST_ENCODING: Final = Limits().encoding_streams


def slices(data: bytes) -> Iterator[bytes]:
    """Cut data into payloads; empty data has no payload."""
    for start in range(0, len(data), SENT_PAYLOAD):
        yield data[start : start + SENT_PAYLOAD]


class Output:
    """Frames that wait to be sent."""

    __slots__ = ("parts", "size")

    def __init__(self) -> None:
        """Begin empty."""
        self.parts: list[bytes] = []
        """The header of each frame, followed by its payload.

        The list is flat, because it is sent to a socket as it is. A pair for each frame would be
        made here and taken apart again for the socket, which costs 0.1 us.
        """
        self.size = 0
        """Bytes waiting, headers included."""

    def take_parts(self) -> list[bytes]:
        """Return all headers and payloads, in turn, and forget them."""
        parts, self.parts = self.parts, []
        self.size = 0
        return parts

    def take(self) -> list[EncodedFrame]:
        """Return all frames and forget them."""
        parts = iter(self.take_parts())
        return list(zip(parts, parts))  # noqa: B905 never odd; `strict` takes 0.13 us more


_DEFAULT_ENCODING: Final = choose_encoding(DEFAULT_OFFER)
"""The content encoding of a client that sends no settings."""


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
        "is_identity",
        "is_recorded",
        "plain_flags",
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
            dialect: The dialect, which numbers the frame types.
            output: Accepts the frames.
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
        # Asked for each payload, so that no test of the encoder's type is needed there.
        self.is_identity = self.encoder is None or isinstance(self.encoder, Identity)
        """Payloads are sent as they are, whether or not ``identity`` was announced."""
        self.plain_flags: int | None = None
        """The stream flags of all further payloads, if they are always the same.

        None while the stream must still begin or announce its settings, and if its content encoding
        changes payloads.
        """

    def send_settings_once(self, request_id: int) -> None:
        """Announce the content encoding, if there is one and it was not announced."""
        # Once for a stream, in front of its first encoded payload: also after answers that failed,
        # which are not encoded (framing, sections 6.3 and 11).
        if self._encoding is None or self.settings_sent:
            return
        self.settings_sent = True
        payload = cbor.encode(self._encoding, self._dialect.cbor.key_order)
        self.send(request_id, FrameType.STREAM_SETTINGS, EOS, payload)
        if self.is_identity:
            self.plain_flags = ENCODED

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
            if self._encoding is None:
                self.plain_flags = 0
        output = self._output
        output.parts += encode_frame(
            request_id, self.stream_id, stream_flags, self._numbers[kind], flags, payload
        )
        output.size += HEADER_SIZE + len(payload)

    def restart(self) -> None:
        """Let the next frame begin the stream anew."""
        self._begun = False
        self.plain_flags = None


class OutputStreams:
    """The server's streams: only stream 2 while responses follow each other, more side by side.

    A response holds a stream from its first frame to its last, because a content encoding's
    context must not be shared by responses that interleave.
    """

    __slots__ = (
        "_dialect",
        "_encoding",
        "_most_encoding",
        "_next_id",
        "_retired",
        "encoding",
        "free",
        "output",
    )

    def __init__(
        self, dialect: Dialect, output: Output, most_encoding: int = _MOST_ENCODING
    ) -> None:
        """Begin with no stream.

        Args:
            dialect: The dialect of the connection.
            output: Accepts the frames.
            most_encoding: The number of streams that get a content encoding (a zstd encoder holds
                up to 1.5 MiB); further ones have none.
        """
        self._most_encoding = most_encoding
        self._encoding = 0
        """The number of streams with a content encoding."""
        self._dialect = dialect
        self.output = output
        self.free: list[OutputStream] = []
        """Streams that no response holds, the lowest last."""
        # Mercurial's servers use stream 2 and no other: what is answered one after the other looks
        # the same here (framing, section 13).
        self._next_id = _FIRST_SERVER_STREAM
        self._retired: tuple[int, ...] = ()
        """Ids of streams that have ended, in that order."""
        self.encoding = _DEFAULT_ENCODING if dialect.sender_settings else None
        """The content encoding that streams get as long as not too many have one."""

    def acquire(self) -> OutputStream:
        """Return a stream that no other response holds, the lowest if there are several.

        Raises:
            LocalProtocolError: No id is left for one more stream.
        """
        return self.free.pop() if self.free else self._new_stream()

    def borrow(self) -> OutputStream:
        """Return the same stream as `acquire`, for a response that is made all at once.

        It stays free: nothing else can ask for it meanwhile, and `release` would only put it back
        in its place. That saves a small answer 0.3 us.

        Raises:
            LocalProtocolError: No id is left for one more stream.
        """
        if not self.free:
            self.free.append(self._new_stream())
        return self.free[-1]

    def _new_stream(self) -> OutputStream:
        stream_id = self._new_id()
        encoding = self.encoding
        # Streams keep their encoders, because a new zstd context costs about 40 us
        # (docs/performance.md): so the first streams, which are used most, have them.
        if encoding not in {None, b"identity"}:
            self._encoding += 1
            if self._encoding > self._most_encoding:
                encoding = None
        return OutputStream(stream_id, self._dialect, self.output, encoding)

    def acquire_recorded(self, encoding: bytes) -> OutputStream:
        """Return a new stream for one response that is encoded already; its id is used once.

        Raises:
            LocalProtocolError: No id is left for one more stream.
        """
        return OutputStream(self._new_id(), self._dialect, self.output, encoding, is_recorded=True)

    def _new_id(self) -> int:
        # Ids of ended streams come last: a client may remember what such an id was used for.
        if self._next_id <= _LAST_SERVER_STREAM:
            self._next_id += 2
            return self._next_id - 2
        # The one that ended longest ago.
        if self._retired:
            oldest, *rest = self._retired
            self._retired = tuple(rest)
            return oldest
        message = "every stream is held by a response that has not ended"
        raise LocalProtocolError(message)

    def offer(self, encodings: Container[object]) -> None:
        """Choose the content encoding among those that the client knows."""
        if self._dialect.sender_settings:
            self.encoding = choose_encoding(encodings)

    @property
    def may_encode(self) -> bool:
        """Streams may have another content encoding than none: the client offers one."""
        return self.encoding not in {None, b"identity"}

    def release(self, stream: OutputStream) -> None:
        """Free a stream whose response has ended."""
        if stream.is_recorded:
            self._retired += (stream.stream_id,)
            return
        # 0002 begins its stream anew with each response.
        if self._dialect.restarts_streams:
            stream.restart()
        self.free.append(stream)
        # The lowest first, so that a client need not keep decoders for more streams than are used
        # side by side. Nearly always there is only one.
        if len(self.free) > 1:
            self.free.sort(key=lambda free: -free.stream_id)
