"""The client's side of a connection, for every dialect.

Content of responses is handed on as bytes (`ResponseDataReceived`), decoded from the stream's
content encoding but not from CBOR: who only passes it on need not look inside, and who wants the
objects uses a reader (``protocol.objects``). What a request is made of, ``client_requests`` knows;
what is said beside results, ``client_messages``.

Source: server-state-machine, section 2.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from wiredaemon.protocol.client_messages import MessageReader
from wiredaemon.protocol.client_requests import Command, data_frames, request_frames
from wiredaemon.protocol.errors import LocalProtocolError, RemoteProtocolError
from wiredaemon.protocol.events import ConnectionFailed, ResponseDataReceived
from wiredaemon.protocol.input_streams import CLIENT_SIDE, InputStreams
from wiredaemon.protocol.output import Output, OutputStream
from wiredaemon.protocol.stream_contents import StreamContents, read_whole
from wiredaemon.wire import cbor
from wiredaemon.wire.dialects import DIALECTS, EOS, RESPONSE_CBOR, FrameType, ResponseForm
from wiredaemon.wire.encodings import ContentError
from wiredaemon.wire.frames import Frame, FrameError, FrameReader, whole_frame
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from wiredaemon.protocol.events import ClientEvent
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.encodings import ContentDecoder
    from wiredaemon.wire.frames import EncodedFrame, RawFrame
    from wiredaemon.wire.values import Value

_CLIENT_STREAM: Final = 1
_REQUEST_IDS: Final = 1 << 16
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


class ClientConnection:
    """One connection as the client sees it; for HTTP, one request body and its answer."""

    def __init__(
        self,
        dialect: Dialect = DIALECTS["0006"],
        *,
        content_encodings: Sequence[bytes] = (),
        limits: Limits = _NO_LIMITS_GIVEN,
    ) -> None:
        """Begin with nothing sent.

        Args:
            dialect: What the server speaks.
            content_encodings: Profiles to offer, the most preferred first; none sends no settings,
                which the server takes for ``identity``. Only 0006 has them.
            limits: What the server may make us hold.

        Raises:
            LocalProtocolError: The dialect has no content encodings.
        """
        if content_encodings and not dialect.sender_settings:
            message = f"dialect {dialect.name} has no content encodings"
            raise LocalProtocolError(message)
        self._dialect = dialect
        self._limits = limits
        self._content_encodings = content_encodings
        self._reader = FrameReader(payload_limit=limits.frame_payload)
        self._given: deque[bytes] = deque()
        """Bytes that the reader has not had."""
        self._reading: Iterator[ClientEvent] | None = None
        """Gives the events of bytes that were received, if it has been stopped in between."""
        self._room = 0
        """Decoded bytes that may still be given by this call."""
        self._input_streams = InputStreams(CLIENT_SIDE)
        self._contents = StreamContents(dialect, limits)
        self._messages = MessageReader(dialect, limits)
        self._cbor_flags = _CBOR_FLAGS[dialect.response]
        self._plain_kind = dialect.numbers.get(FrameType.COMMAND_RESPONSE)
        """The frame type of responses that need no more than to be passed on; None before 0005."""
        self._failed = False
        self._active: set[int] = set()
        self._sending: set[int] = set()
        """Requests whose data is not complete."""
        self._next_id = 1
        self._output = Output()
        self._stream = OutputStream(_CLIENT_STREAM, dialect, self._output, None)

    # --- out ---------------------------------------------------------------------------------

    @property
    def active(self) -> frozenset[int]:
        """Requests that are not answered."""
        return frozenset(self._active)

    def send_command(
        self,
        name: bytes,
        arguments: Mapping[bytes, Value],
        *,
        has_data: bool = False,
        redirect: Value = None,
        extra: Mapping[bytes, Value] | None = None,
    ) -> int:
        """Send a command request and give its id: 1, 3, 5, ..., and over again when free.

        Args:
            name: The command.
            arguments: By name. In 0002 byte strings of at most 65535 bytes, or `RawBytes`.
            has_data: `send_data` will follow, at least once.
            redirect: What redirect targets can be followed, if the server knows any; only in 0006.
            extra: Further keys of the request map; only from 0003 on.

        Raises:
            LocalProtocolError: The connection has failed, all ids are in use, or the dialect has no
                place for ``redirect`` or ``extra``.
            UnencodableError: The name or an argument has no form on the wire.
        """
        if self._failed:
            message = "cannot issue new commands: the connection has failed"
            raise LocalProtocolError(message)
        command = Command(
            name=name,
            arguments=arguments,
            has_data=has_data,
            redirect=redirect,
            extra=extra or {},
        )
        frames = request_frames(command, self._dialect)
        request_id = self._allocate()
        if self._content_encodings:
            self._send_settings(request_id)
        for frame in frames:
            self._stream.send(request_id, *frame)
        self._active.add(request_id)
        if has_data:
            self._sending.add(request_id)
        return request_id

    def send_data(self, request_id: int, data: bytes, *, end: bool = False) -> None:
        """Send command data; with ``end`` its last piece, which may be empty.

        Raises:
            LocalProtocolError: The request does not send data, or not any more.
        """
        if request_id not in self._sending:
            message = f"request {request_id} does not send data"
            raise LocalProtocolError(message)
        for frame in data_frames(data, end=end):
            self._stream.send(request_id, *frame)
        if end:
            self._sending.discard(request_id)

    def data_to_send(self) -> list[EncodedFrame]:
        """Give the frames to send; they are then the caller's."""
        return self._output.take()

    def parts_to_send(self) -> list[bytes]:
        """Return the same as headers and payloads in turn, for a stream of bytes."""
        return self._output.take_parts()

    def _send_settings(self, request_id: int) -> None:
        settings: Value = {b"contentencodings": list(self._content_encodings)}
        payload = cbor.encode(settings, self._dialect.cbor.key_order)
        self._stream.send(request_id, FrameType.SENDER_PROTOCOL_SETTINGS, EOS, payload)
        self._content_encodings = ()

    def _allocate(self) -> int:
        for _ in range(_REQUEST_IDS // 2):
            request_id = self._next_id
            self._next_id = (self._next_id + 2) % _REQUEST_IDS
            if request_id not in self._active and request_id not in self._sending:
                return request_id
        message = "all request ids are in use"
        raise LocalProtocolError(message)

    # --- in ----------------------------------------------------------------------------------

    @property
    def pending(self) -> bool:
        """More events may be inside: `receive_data` without data gives them."""
        return self._reading is not None

    def receive_data(self, data: bytes) -> list[ClientEvent]:
        """Take bytes in any cuts and give what they say, or a part of it while `pending` is true.

        Content that comes out of a decoder ends a call when it reaches ``Limits.decoded_size``;
        other content is never more than the bytes that were given, and is not counted. Bytes given
        while something is pending wait behind it.

        A server's mistake never raises: the last event is then a `ConnectionFailed`, and nothing
        that comes later is looked at.
        """
        events: list[ClientEvent] = []
        if self._failed:
            return events
        self._room = self._limits.decoded_size
        try:
            reading = self._reading
            if reading is None:
                frames = self._receive_plain(self._reader.receive_data(data), events)
                if not frames and not self._reader.pending:
                    return events
                reading = self._read(frames)
            else:
                self._given.append(data)
            for event in reading:
                events.append(event)
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
        """Say that no more input follows; a request without its answer fails the connection.

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
        if not self._active:
            return []
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

        Plain is a part of a response that a request waits for, on a stream that is open and does
        not end, without content encoding: nearly all that a worker says. One of them costs a
        seventh of the calls of others, and there is nothing to check that `_read` would check.
        """
        for number, (request_id, stream_id, stream_flags, kind, payload) in enumerate(frames):
            if (
                stream_flags
                or kind >> 4 != self._plain_kind
                or request_id not in self._active
                or stream_id not in self._input_streams.open
            ):
                return frames[number:]
            flags = kind & 0x0F
            end = bool(flags & EOS)
            if end:
                self._active.discard(request_id)
            events.append(
                ResponseDataReceived(
                    request_id=request_id,
                    data=payload,
                    end=end,
                    is_cbor=flags in self._cbor_flags,
                )
            )
        return ()

    def _read(self, frames: Iterable[RawFrame]) -> Iterator[ClientEvent]:
        """Yield what frames say, and what the bytes behind them say; those given meanwhile too."""
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
        if not frame.stream_flags and frame.stream_id in streams.open:
            decoder, ended = None, False
        else:
            streams.begin_where_flagged(frame.stream_id, frame.stream_flags)
            decoder = self._contents.feed(frame)
            streams.end_where_flagged(frame.stream_id, frame.stream_flags)
            ended = frame.stream_id not in streams.open
        is_settings = kind is FrameType.STREAM_SETTINGS and self._dialect.sender_settings
        if is_settings:
            self._contents.receive_settings(self._decoded(frame, decoder), ended=ended)
        if ended:
            self._contents.forget(frame.stream_id)
        return () if is_settings else self._route(frame, kind, decoder)

    def _refuse_inactive(
        self, frame: Frame, kind: FrameType | None, decoder: ContentDecoder | None
    ) -> RemoteProtocolError:
        """Give the error for a frame of no request that waits.

        A server that gives up on the whole connection says why in an error frame, and there may
        be no request that it belongs to.
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
        """Give a frame with all its content as payload."""
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
        # Neither flag is required, and both together end the response (section 2.3).
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
