"""The client's side of a connection, for every dialect: the receiving half, and the whole.

Content of responses is returned as bytes (`ResponseDataReceived`), decoded from the stream's
content encoding but not from CBOR: a caller may pass it on unparsed, or get the objects from a
reader (``protocol.objects``). Errors, text and progress are parsed by ``client_messages``.

Source: server-state-machine, section 2; sessions, section 2.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from wiredaemon.protocol.client_messages import MessageReader
from wiredaemon.protocol.client_output import ClientOutput
from wiredaemon.protocol.errors import LocalProtocolError, RemoteProtocolError
from wiredaemon.protocol.events import (
    ConnectionFailed,
    PingReceived,
    RequestCancelled,
    ResponseDataReceived,
)
from wiredaemon.protocol.input_streams import CLIENT_SIDE, InputStreams
from wiredaemon.protocol.stream_contents import StreamContents, read_whole
from wiredaemon.wire.dialects import DIALECTS, EOS, RESPONSE_CBOR, FrameType, ResponseForm
from wiredaemon.wire.encodings import ContentError
from wiredaemon.wire.frames import ENCODED, Frame, FrameError, FrameReader, whole_frame
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from wiredaemon.protocol.events import ClientEvent
    from wiredaemon.protocol.session import Session
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.encodings import ContentDecoder
    from wiredaemon.wire.frames import RawFrame

# One object for all connections without limits of their own: ruff refuses a call as a default.
_NO_LIMITS_GIVEN: Final = Limits()

_ALL_FLAGS: Final = frozenset(range(16))
_CBOR_FLAGS: Final[dict[ResponseForm, frozenset[int]]] = {
    ResponseForm.TEXT: frozenset(),
    ResponseForm.BYTES_OR_CBOR: frozenset(flags for flags in _ALL_FLAGS if flags & RESPONSE_CBOR),
    ResponseForm.CBOR: _ALL_FLAGS,
    ResponseForm.STATUS_MAP: _ALL_FLAGS,
    ResponseForm.OBJECTS: _ALL_FLAGS,
}
"""Flags of those response frames whose content is CBOR."""


class ClientConnection(ClientOutput):
    """One connection as the client sees it; for HTTP, one request body and its answer."""

    def __init__(
        self,
        dialect: Dialect = DIALECTS["0006"],
        *,
        content_encodings: Sequence[bytes] = (),
        limits: Limits = _NO_LIMITS_GIVEN,
        offers_session: bool = False,
    ) -> None:
        """Begin with nothing sent.

        Args:
            dialect: The dialect that the server speaks.
            content_encodings: The profiles to offer, the most preferred first. Without any, no
                settings are sent, which means ``identity`` to a server. Only 0006 has them.
            limits: How much the server may make this side hold.
            offers_session: Ask for a session, in front of the first request. A server that knows
                sessions answers with `SessionStarted` at once. Only in full duplex, and in 0006.

        Raises:
            LocalProtocolError: The dialect has no content encodings, or no sessions.
        """
        super().__init__(dialect, content_encodings, limits, offers_session=offers_session)
        self._limits = limits
        self._reader = FrameReader(payload_limit=limits.frame_payload)
        self._given: deque[bytes] = deque()
        """Bytes that were received while events were pending, and not read."""
        self._reading: Iterator[ClientEvent] | None = None
        """The events of bytes that were received, if it has been stopped between two of them."""
        self._room = 0
        """Decoded bytes that this call of `receive_data` may still return."""
        self._input_streams = InputStreams(CLIENT_SIDE)
        self._contents = StreamContents(dialect, limits)
        self._messages = MessageReader(dialect, limits)
        self._cbor_flags = _CBOR_FLAGS[dialect.response]
        self._identity_flags = ENCODED if dialect.sender_settings else 0
        """Stream flags of payloads that are the content where the stream has no decoder."""
        self._plain_kind = dialect.numbers.get(FrameType.COMMAND_RESPONSE)
        """The frame type of responses that need no more than to be passed on; None before 0005."""

    @property
    def pending(self) -> bool:
        """More events may be inside: `receive_data` without data returns them."""
        return self._reading is not None

    def receive_data(self, data: bytes) -> list[ClientEvent]:
        """Read bytes, cut in any way, and return their events, or some of them: see `pending`.

        Content that comes out of a decoder ends a call when it reaches ``Limits.decoded_size``;
        other content is never more than the bytes that were received, and is not counted. Bytes
        received while something is pending wait behind it.

        A server's mistake never raises: the last event is then a `ConnectionFailed`, and nothing
        after it is read.
        """
        events: list[ClientEvent] = []
        if self._failed:
            return events
        # Counted anew for each call: a caller that can hold no more stops calling.
        self._room = self._limits.decoded_size
        try:
            reading = self._reading
            if reading is None:
                # Measured: a worker's value takes 3.0 us so, and 5.0 by `_read` alone.
                frames = self._receive_plain(self._reader.receive_data(data), events)
                if not frames and not self._reader.pending:
                    return events
                reading = self._read(frames)
            else:
                # After events that wait, so that the order of bytes is kept.
                self._given.append(data)
            for event in reading:
                events.append(event)
                # After an event, never inside one: a caller gets each event whole.
                if self._room <= 0:
                    self._reading = reading
                    return events
            self._reading = None
        except (FrameError, ContentError) as error:
            events.append(self._fail(RemoteProtocolError(str(error), malformed=True)))
        except RemoteProtocolError as error:
            events.append(self._fail(error))
        return events

    def receive_end(self) -> list[ClientEvent]:
        """Note that no more input follows; a request without its answer fails the connection.

        Raises:
            LocalProtocolError: Events are `pending`.
        """
        if self.pending:
            message = "events are pending: they come before the end"
            raise LocalProtocolError(message)
        if self._failed:
            return []
        try:
            self._reader.receive_end()
        except FrameError as error:
            return [self._fail(RemoteProtocolError(str(error), malformed=True))]
        # An answered client does not mind how its connection ends.
        if not self._active:
            return []
        # The error names one request, as a rule the oldest; it stands for all of them.
        message = f"input ended before the response to request {min(self._active)}"
        return [self._fail(RemoteProtocolError(message, malformed=True))]

    def _fail(self, error: RemoteProtocolError) -> ConnectionFailed:
        self._failed = True
        self._reading = None
        self._given.clear()
        return ConnectionFailed(error=error)

    def _receive_plain(
        self, frames: list[RawFrame], events: list[ClientEvent]
    ) -> Sequence[RawFrame]:
        """Append the events of the frames in front that are plain, and return the other frames.

        A frame is plain if it is a part of a response that a request waits for, on an open stream
        that does not end with it, without content encoding or in `identity`: nearly all frames.
        They cost no call each where others cost seven, and `_read` would find nothing more to
        check.
        """
        decoders = self._contents.decoders
        for number, (request_id, stream_id, stream_flags, kind, payload) in enumerate(frames):
            if (
                (stream_flags and (stream_flags != self._identity_flags or stream_id in decoders))
                or kind >> 4 != self._plain_kind
                or request_id not in self._active
                or stream_id not in self._input_streams.open
            ):
                # From the first that is not plain on, all of them: the order of frames is that of
                # their content.
                return frames[number:]
            flags = kind & 0x0F
            end = bool(flags & EOS)
            if end:
                self._active.discard(request_id)
            events.append(ResponseDataReceived(request_id, payload, end, flags in self._cbor_flags))
        return ()

    def _read(self, frames: Iterable[RawFrame]) -> Iterator[ClientEvent]:
        """Yield the events of frames, of the bytes after them, and of bytes received meanwhile."""
        # A generator, so that a frame of decoded gigabytes can be left in the middle.
        for raw in frames:
            yield from self._receive_frame(whole_frame(raw))
        while self._reader.pending:
            for raw in self._reader.receive_data(b""):
                yield from self._receive_frame(whole_frame(raw))
        while self._given:
            for frame in self._reader.frames(self._given.popleft()):
                yield from self._receive_frame(frame)

    def _receive_frame(self, frame: Frame) -> Iterable[ClientEvent]:
        kind = self._dialect.types.get(frame.type_number)
        streams = self._input_streams
        # Without flags there is nothing to open, decode or end: three calls saved for most frames.
        if not frame.stream_flags and frame.stream_id in streams.open:
            decoder, ended = None, False
        else:
            streams.begin_where_flagged(frame.stream_id, frame.stream_flags)
            # Between the two: the payload of a stream's first frame may be encoded, and so may that
            # of its last.
            decoder = self._contents.feed(frame)
            streams.end_where_flagged(frame.stream_id, frame.stream_flags)
            ended = frame.stream_id not in streams.open
        is_settings = kind is FrameType.STREAM_SETTINGS and self._dialect.sender_settings
        if is_settings:
            # Before the stream ends below: its settings are refused with an error of their own.
            self._contents.receive_settings(self._decoded(frame, decoder), ended=ended)
        if ended:
            self._contents.forget(frame.stream_id)
        if is_settings:
            return ()
        # Under id 0, which no request of a client has.
        if kind is FrameType.SESSION and self._session is not None:
            return self._receive_session(self._session, frame)
        return self._route(frame, kind, decoder)

    @staticmethod
    def _receive_session(session: Session, frame: Frame) -> Iterable[ClientEvent]:
        event = session.receive(frame)
        # Pings are answered inside. Cancel is no frame of a server: the table has refused it.
        return () if isinstance(event, PingReceived | RequestCancelled) else (event,)

    def _refuse_inactive(
        self, frame: Frame, kind: FrameType | None, decoder: ContentDecoder | None
    ) -> RemoteProtocolError:
        """Return the error for a frame of a request that does not wait for one.

        A server that gives the whole connection up sends the reason in an error frame, perhaps
        under an id that no request has.
        """
        if kind is FrameType.ERROR_RESPONSE:
            failed = self._messages.read_error(self._decoded(frame, decoder))
            if failed.kind == b"protocol":
                said = failed.message.decode("utf-8", "replace")
                return RemoteProtocolError(f"the server gave up: {said}")
        return RemoteProtocolError(f"received frame for inactive request ID: {frame.request_id}")

    def _route(
        self, frame: Frame, kind: FrameType | None, decoder: ContentDecoder | None
    ) -> Iterable[ClientEvent]:
        # Before the type is looked at (server-state-machine, section 2.3).
        if frame.request_id not in self._active:
            raise self._refuse_inactive(frame, kind, decoder)
        match kind:
            case FrameType.COMMAND_RESPONSE | FrameType.BYTES_RESPONSE:
                return self._receive_response(frame, decoder)
            case FrameType.ERROR_RESPONSE:
                failed = self._messages.read_error(self._decoded(frame, decoder))
                self._active.discard(frame.request_id)
                return (failed,)
            case FrameType.TEXT_OUTPUT:
                return (self._messages.read_text(self._decoded(frame, decoder)),)
            case FrameType.PROGRESS:
                return (self._messages.read_progress(self._decoded(frame, decoder)),)
            case _:
                message = f"unhandled frame type: {frame.type_number}"
                raise RemoteProtocolError(message)

    def _decoded(self, frame: Frame, decoder: ContentDecoder | None) -> Frame:
        """Return a frame with all its content, decoded, as payload."""
        if decoder is None:
            return frame
        kind = self._dialect.types[frame.type_number]
        content = read_whole(decoder, self._limits.frame_payload, f"{kind.value} frame")
        return Frame(
            frame.request_id,
            frame.stream_id,
            frame.stream_flags,
            frame.type_number,
            frame.flags,
            content,
        )

    def _receive_response(
        self, frame: Frame, decoder: ContentDecoder | None
    ) -> Iterable[ClientEvent]:
        # Neither flag is required, and both together end the response (server-state-machine,
        # section 2.3).
        end = bool(frame.flags & EOS)
        if decoder is not None:
            return self._decode_response(frame, decoder, end=end)
        return (self._response_event(frame, frame.payload, end=end),)

    def _decode_response(
        self, frame: Frame, decoder: ContentDecoder, *, end: bool
    ) -> Iterator[ClientEvent]:
        """Yield the content of one frame in steps; the request ends with the last one."""
        while True:
            data = decoder.read()
            self._room -= len(data)
            is_last = not decoder.pending
            yield self._response_event(frame, data, end=end and is_last)
            if is_last:
                return

    def _response_event(self, frame: Frame, data: bytes, *, end: bool) -> ResponseDataReceived:
        if end:
            self._active.discard(frame.request_id)
        return ResponseDataReceived(
            request_id=frame.request_id,
            data=data,
            end=end,
            is_cbor=frame.flags in self._cbor_flags,
        )
