"""Content encodings of the peer's streams.

Source: framing, sections 11 and 12; server-state-machine, sections 2.3 and 2.4; sessions,
section 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.protocol.errors import RemoteProtocolError
from wiredaemon.protocol.settings import SettingsReceiver
from wiredaemon.wire.encodings import DECODERS, IdentityDecoder
from wiredaemon.wire.frames import ENCODED

if TYPE_CHECKING:
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.encodings import ContentDecoder
    from wiredaemon.wire.frames import Frame
    from wiredaemon.wire.limits import Limits


class StreamContents:
    """The decoders of one connection's streams, and settings that are incomplete."""

    def __init__(self, dialect: Dialect, limits: Limits, *, most: int | None = None) -> None:
        """Begin with no stream.

        Args:
            dialect: The dialect of the connection.
            limits: Bound the settings, and the encoded streams if ``most`` does not.
            most: The number of streams in a content encoding.
        """
        self._most = limits.encoded_streams if most is None else most
        self._dialect = dialect
        self._limits = limits
        self.decoders: dict[int, ContentDecoder] = {}
        """Decoders by stream; none for ``identity``, whose payloads are the content."""
        self._settings: dict[int, SettingsReceiver] = {}

    def feed(self, frame: Frame) -> ContentDecoder | None:
        """Return the decoder that holds a frame's content; None where the payload is the content.

        The decoder must be read to its end before the next frame.

        Raises:
            RemoteProtocolError: The payload is encoded in a dialect without content encodings.
        """
        if not frame.stream_flags & ENCODED:
            return None
        if not self._dialect.sender_settings:
            message = f"content encoded frames are no part of dialect {self._dialect.name}"
            raise RemoteProtocolError(message, malformed=True)
        decoder = self.decoders.get(frame.stream_id)
        # No decoder: `identity`, also where no settings were seen (server-state-machine, section
        # 2.3).
        if decoder is not None:
            decoder.feed(frame.payload)
        return decoder

    def receive_settings(self, frame: Frame, *, ended: bool) -> None:
        """Receive one frame of stream settings, its payload decoded.

        Args:
            frame: The frame, which need not be the last one of these settings.
            ended: The frame ends the stream.

        Raises:
            RemoteProtocolError: The settings have no valid form, or ask for an encoding that is not
                known or not allowed.
        """
        stream_id = frame.stream_id
        receiver = self._settings.get(stream_id)
        if receiver is None:
            receiver = SettingsReceiver(
                "stream encoding settings frame", self._dialect, self._limits
            )
            self._settings[stream_id] = receiver
        items = receiver.receive_frame(frame)
        if items is None:
            return
        del self._settings[stream_id]
        if ended:
            message = f"error setting stream decoder: {stream_id}"
            raise RemoteProtocolError(message)
        self._set_decoder(stream_id, _make_decoder(items))

    def _set_decoder(self, stream_id: int, decoder: ContentDecoder) -> None:
        # First, so that new settings of the same stream do not count twice against the limit.
        self.decoders.pop(stream_id, None)
        # A decoder of identity would only copy; without one the payload is the content.
        if isinstance(decoder, IdentityDecoder):
            return
        if len(self.decoders) >= self._most:
            message = (
                f"streams in a content encoding exceed the limit of {self._most} (encoded_streams)"
            )
            raise RemoteProtocolError(message, malformed=True)
        self.decoders[stream_id] = decoder

    def forget(self, stream_id: int) -> None:
        """End a stream: the next one of this id begins without settings."""
        self.decoders.pop(stream_id, None)
        self._settings.pop(stream_id, None)


def read_whole(decoder: ContentDecoder, limit: int, subject: str) -> bytes:
    """Return all content of a frame whose content is needed at once.

    Args:
        decoder: The decoder that was fed with the frame.
        limit: The largest content in bytes, ``Limits.frame_payload``.
        subject: The name of the frame in error texts.

    Raises:
        ContentError: The content is corrupt.
        RemoteProtocolError: The content is too large.
    """
    content = bytearray()
    while decoder.pending:
        content += decoder.read()
        if len(content) > limit:
            message = (
                f"decoded content of a {subject} exceeds the limit of {limit} bytes (frame_payload)"
            )
            raise RemoteProtocolError(message, malformed=True)
    return bytes(content)


def _make_decoder(items: list[object]) -> ContentDecoder:
    """Return the decoder of the encoding that stream settings name."""
    name, extra = items[0], items[1:]
    shown = name.decode("ascii", "backslashreplace") if isinstance(name, bytes) else repr(name)
    make = DECODERS.get(name) if isinstance(name, bytes) else None
    if make is None:
        message = f"error setting stream decoder: unknown stream decoder: {shown}"
        raise RemoteProtocolError(message)
    if extra:
        # Mercurial's text has the name without its hyphen.
        subject = shown.replace("-", "")
        message = (
            f"error setting stream decoder: {subject} decoder received unexpected additional values"
        )
        raise RemoteProtocolError(message)
    return make()
