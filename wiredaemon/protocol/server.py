"""The server's side of a connection, for every dialect.

It routes: frames to streams, settings and requests on the way in, objects to responses on the way
out. What a request or a response is made of, those know themselves.

Source: server-state-machine, section 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.protocol.errors import LocalProtocolError, RemoteProtocolError
from wiredaemon.protocol.events import (
    ConnectionFailed,
    RequestAborted,
    RequestCompleted,
    RequestReceived,
)
from wiredaemon.protocol.input_streams import SERVER_SIDE, InputStreams
from wiredaemon.protocol.map_requests import MapRequestMachine
from wiredaemon.protocol.named_requests import NamedRequestMachine
from wiredaemon.protocol.output import Output, OutputStreams
from wiredaemon.protocol.requests import InputState
from wiredaemon.protocol.responses import (
    LONGEST_MESSAGE,
    RESPONSES,
    ObjectsResponse,
    RecordedResponse,
)
from wiredaemon.protocol.settings import SettingsReceiver
from wiredaemon.wire import cbor
from wiredaemon.wire.dialects import ERROR_PROTOCOL, ErrorForm, FrameType, RequestForm
from wiredaemon.wire.encodings import DEFAULT_OFFER
from wiredaemon.wire.frames import ALL_FRAMES, ENCODED, FrameError, FrameReader, whole_frame
from wiredaemon.wire.limits import SENT_PAYLOAD, Limits
from wiredaemon.wire.payloads import error_response, progress, text_atom
from wiredaemon.wire.values import Recorded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wiredaemon.protocol.events import ServerEvent
    from wiredaemon.protocol.output import OutputStream
    from wiredaemon.protocol.responses import EncodingWork, Response
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.frames import EncodedFrame, Frame, RawFrame
    from wiredaemon.wire.values import Value

_NO_LIMITS_GIVEN: Final = Limits()

_MACHINES: Final[dict[RequestForm, type[MapRequestMachine | NamedRequestMachine]]] = {
    RequestForm.MAP: MapRequestMachine,
    RequestForm.FRAMES: NamedRequestMachine,
}


class ServerConnection:
    """One connection as the server sees it; for HTTP, one request body and its answer.

    In half duplex, output waits for the end of input, and is dropped if the input fails: then the
    error of `ConnectionFailed` is the answer, for the caller to give. In full duplex output goes
    out as it comes, and a failure adds an error frame behind it.
    """

    __slots__ = (
        "_active",
        "_answerable",
        "_before_requests",
        "_empty_frames",
        "_ended",
        "_failed",
        "_failure",
        "_half_duplex",
        "_input_streams",
        "_limits",
        "_output",
        "_output_ended",
        "_output_held",
        "_output_streams",
        "_reader",
        "_requests",
        "_response_class",
        "_responses",
        "_settings",
        "dialect",
        "encodes",
    )

    def __init__(
        self, dialect: Dialect, *, half_duplex: bool, limits: Limits = _NO_LIMITS_GIVEN
    ) -> None:
        """Begin with nothing received or sent."""
        self.dialect = dialect
        self._limits = limits
        self._half_duplex = half_duplex
        self._output_held = half_duplex
        """Output waits for the end of input, or for `release_output`."""
        self._reader = FrameReader(payload_limit=limits.frame_payload)
        self._input_streams = InputStreams(SERVER_SIDE)
        self._settings: SettingsReceiver | None = None
        self._before_requests = InputState.INITIAL if dialect.sender_settings else None
        """State in front of the first request, None when that is over."""
        self._failed = False
        self._failure: tuple[RemoteProtocolError, int] | None = None
        """That is to be told, and the request that it was met on."""
        self._output_ended = False
        self._ended = False
        self._empty_frames = 0
        self._active: set[int] = set()
        """Complete requests that are not answered: their ids are in use."""
        self._answerable: set[int] = set()
        """Requests that were announced and not answered."""
        self._requests = _MACHINES[dialect.request](dialect, limits, self._active)
        self._output = Output()
        self._output_streams = OutputStreams(dialect, self._output, limits.encoding_streams)
        self.encodes = False
        """Output may be content encoded: `encoding_work` may have something to do."""
        self._response_class = RESPONSES[dialect.response]
        self._responses: dict[int, Response] = {}

    # --- in ----------------------------------------------------------------------------------

    @property
    def state(self) -> InputState:
        """The state of the input."""
        if self._failed:
            return InputState.ERRORED
        return self._before_requests or self._requests.state

    @property
    def failed(self) -> bool:
        """The peer broke the protocol: no input is looked at any more."""
        return self._failed

    @property
    def output_ended(self) -> bool:
        """Nothing can be sent any more: the input has failed, and that was told.

        In full duplex, requests in front of the failure may be answered until `data_to_send` is
        called; in half duplex it is over at once.
        """
        return self._output_ended

    def receive_data(self, data: bytes, *, beyond: bool = False) -> list[ServerEvent]:
        """Take bytes in any cuts and give what they say.

        A peer's mistake never raises: the last event is then a `ConnectionFailed`, and nothing
        that comes later is looked at.

        Args:
            data: The next bytes.
            beyond: Look at what is `pending` too, for requests that are not answered need data;
                one complete request too many is then an error.
        """
        events: list[ServerEvent] = []
        if self._failed or self._ended:
            return events
        request_id = 0
        streams = self._input_streams.open
        try:
            room = ALL_FRAMES if beyond or self._half_duplex else self._room()
            frames = self._reader.receive_data(data, room)
            while True:
                for raw in frames:
                    request_id, stream_id, stream_flags, _, _ = raw
                    if stream_flags or stream_id not in streams:
                        self._check_stream(whole_frame(raw))
                    self._receive_checked(raw, events)
                if not self._reader.pending:
                    break
                if room != ALL_FRAMES:
                    room = self._room()
                    if not room:
                        break
                request_id = 0
                frames = self._reader.receive_data(b"", room)
        except FrameError as error:
            events.append(self._fail(RemoteProtocolError(str(error), malformed=True), 0))
        except RemoteProtocolError as error:
            events.append(self._fail(error, request_id))
        return events

    @property
    def pending(self) -> bool:
        """Frames wait inside, because as many requests as may be are not answered.

        Once one is answered, `receive_data` without data gives what they say.
        """
        return self._reader.pending and not self._failed

    def _room(self) -> int:
        """Give the number of frames that may be looked at: each may complete a request.

        Not in half duplex: nothing is answered there before the end of input, and a request too
        many is an error.
        """
        return max(self._limits.concurrent_requests - len(self._active), 0)

    def receive_frame(self, frame: Frame) -> list[ServerEvent]:
        """Take one frame, also after a failure: each wrong frame then fails again.

        `receive_data` is the way in for everything but debugreflect.
        """
        events: list[ServerEvent] = []
        try:
            self._check_stream(frame)
            self._receive_other(frame, events)
        except RemoteProtocolError as error:
            events.append(self._fail(error, frame.request_id))
        return events

    def receive_end(self) -> list[ServerEvent]:
        """Say that no more input follows; in half duplex this releases the output.

        Each request that is incomplete and not answered gives a `RequestAborted`. Input that ends
        inside a frame fails the connection.
        """
        if self._failed or self._ended:
            return []
        try:
            self._reader.receive_end()
        except FrameError as error:
            return [self._fail(RemoteProtocolError(str(error), malformed=True), 0)]
        self._ended = True
        self._output_held = False
        events: list[ServerEvent] = []
        for request in self._requests.receiving.values():
            if request.announced and request.request_id not in self._answerable:
                continue  # answered before its data ended
            part = "command data" if request.is_requested else "request frames"
            reason = f"input ended before the {part} of request {request.request_id}"
            self._answerable.add(request.request_id)
            events.append(RequestAborted(request_id=request.request_id, reason=reason))
        self._requests.receiving.clear()
        return events

    def _receive_checked(self, raw: RawFrame, events: list[ServerEvent]) -> None:
        """Take a frame of an open stream; nearly all go a shorter way."""
        event = None
        if self._before_requests is None:
            event = self._requests.receive_plain(raw)
        if event is None:
            self._receive_other(whole_frame(raw), events)
            return
        self._empty_frames = 0
        if type(event) is RequestReceived:
            self._answerable.add(event.request_id)
            self._activate(event.request_id)
        events.append(event)

    def _receive_other(self, frame: Frame, events: list[ServerEvent]) -> None:
        if frame.payload:
            self._empty_frames = 0
        else:
            self._count_empty()
        for event in self._route(frame):
            match event:
                case RequestReceived():
                    self._answerable.add(event.request_id)
                    if not event.has_data:
                        self._activate(event.request_id)
                case RequestCompleted():
                    # It may have been answered before its data ended.
                    if self._half_duplex or event.request_id in self._answerable:
                        self._activate(event.request_id)
            events.append(event)

    def _check_stream(self, frame: Frame) -> None:
        self._input_streams.receive_frame(frame)
        if frame.stream_flags & ENCODED:
            message = "content encoded frames are not accepted from clients"
            raise RemoteProtocolError(message, malformed=True)
        self._input_streams.end_where_flagged(frame)

    def _count_empty(self) -> None:
        self._empty_frames += 1
        if self._empty_frames > self._limits.empty_frames:
            message = (
                f"empty frames in a row exceed the limit of {self._limits.empty_frames} "
                "(empty_frames)"
            )
            raise RemoteProtocolError(message, malformed=True)

    def _route(self, frame: Frame) -> list[ServerEvent]:
        if self._failed:
            message = "server already errored"
            raise RemoteProtocolError(message)
        if self._before_requests is None:
            return self._requests.receive_frame(frame)
        kind = self.dialect.types.get(frame.type_number)
        if kind is FrameType.SENDER_PROTOCOL_SETTINGS:
            self._receive_settings(frame)
            return []
        if self._before_requests is InputState.SETTINGS:
            message = f"expected sender protocol settings frame; got {frame.type_number}"
            raise RemoteProtocolError(message)
        if kind is not FrameType.COMMAND_REQUEST:
            message = (
                "expected sender protocol settings or command request frame; "
                f"got {frame.type_number}"
            )
            raise RemoteProtocolError(message)
        self._before_requests = None
        return self._requests.receive_frame(frame)

    def _receive_settings(self, frame: Frame) -> None:
        self._before_requests = InputState.SETTINGS
        if self._settings is None:
            self._settings = SettingsReceiver(
                "sender protocol settings frame", self.dialect, self._limits
            )
        items = self._settings.receive_frame(frame)
        if items is None:
            return
        if len(items) > 1:
            message = "sender protocol settings frame contained multiple CBOR values"
            raise RemoteProtocolError(message)
        self._apply_settings(items[0])
        self._settings = None
        self._before_requests = None

    def _apply_settings(self, settings: object) -> None:
        """Remember what the client offers; whatever else it says is not for us."""
        key = b"contentencodings"
        offered: object = None
        match settings:
            case dict():
                offered = settings.get(key, DEFAULT_OFFER)
            case bytes() | list() if key not in settings:
                return
            case None | bool() | set():
                return
        if not isinstance(offered, list | tuple | set | dict | bytes):
            message = "sender protocol settings frame without an array of contentencodings"
            raise RemoteProtocolError(message, malformed=True)
        self._output_streams.offered = offered
        self.encodes = self._output_streams.may_encode

    def _activate(self, request_id: int) -> None:
        if len(self._active) >= self._limits.concurrent_requests:
            message = (
                f"requests not answered exceed the limit of {self._limits.concurrent_requests} "
                "(concurrent_requests)"
            )
            raise RemoteProtocolError(message, malformed=True)
        self._active.add(request_id)

    def fail(self, error: RemoteProtocolError) -> None:
        """Give up on the peer for a reason that only the caller can see."""
        self._fail(error, 0)

    def _fail(self, error: RemoteProtocolError, request_id: int) -> ConnectionFailed:
        if self._output_held:
            self._output.take()
            self._output_ended = True
        elif not self._failed:
            self._failure = (error, request_id)
        self._failed = True
        return ConnectionFailed(error=error)

    def _end_output(self, error: RemoteProtocolError, request_id: int) -> None:
        """Send a failure behind what requests in front of it were answered."""
        self._failure = None
        self._output_ended = True
        text = error.message.encode("utf-8", "replace")[:LONGEST_MESSAGE]
        stream = self._output_streams.acquire()
        if self.dialect.error is ErrorForm.TEXT:
            stream.send(request_id, FrameType.ERROR_RESPONSE, ERROR_PROTOCOL, text)
        else:
            payload = cbor.encode(error_response(b"protocol", text), self.dialect.cbor.key_order)
            stream.send(request_id, FrameType.ERROR_RESPONSE, 0, payload)

    # --- out ---------------------------------------------------------------------------------

    @property
    def content_encoding(self) -> bytes | None:
        """The profile that a response is sent in, if not too many others are sent beside it."""
        return self._output_streams.encoding

    @property
    def output_size(self) -> int:
        """Bytes that wait to be sent, those that wait for the end of input included."""
        return self._output.size

    def data_to_send(self) -> list[EncodedFrame]:
        """Give the frames that may be sent now; they are then the caller's."""
        if self._output_held:
            return []
        if self._failure is not None:
            self._end_output(*self._failure)
        return self._output.take()

    @property
    def output_held(self) -> bool:
        """Output may not leave yet."""
        return self._output_held

    def release_output(self) -> None:
        """In half duplex, let output go before input has ended.

        For a command that answers its data while it arrives: neither can wait for the other. From
        now on a failure adds an error frame, because the answer has begun.
        """
        self._output_held = False

    def send_object(self, request_id: int, value: Value) -> None:
        """Send the next of a request's several objects.

        Raises:
            LocalProtocolError: The request is not waiting for an answer.
            UnencodableError: The value has no form on the wire; nothing of it was sent.
        """
        self._response_with(request_id, value).send_object(value)

    def send_in_steps(self, request_id: int, value: Value) -> Iterator[None]:
        """Send an object, and stop whenever a frame of it is ready.

        Who sends them meanwhile holds no more of a large object than one frame.

        Raises:
            LocalProtocolError, UnencodableError: As `send_object`.
        """
        return self._response_with(request_id, value).send_in_steps(value)

    def send_result(self, request_id: int, value: Value) -> None:
        """Send a request's only object and end its response.

        Raises:
            LocalProtocolError, UnencodableError: As `send_object`.
        """
        if request_id in self._answerable and request_id not in self._responses:
            whole = self._response_class.whole(self.dialect, value)
            if whole is not None and not self._output_ended:
                streams = self._output_streams
                stream = streams.acquire()
                self._response_class.send_whole(request_id, stream, whole)
                streams.release(stream)
                self._answerable.remove(request_id)
                if not self._half_duplex:
                    self._active.discard(request_id)
                return
        response = self._response_with(request_id, value)
        response.send_result(value)
        self._finish(response)

    def encoding_work(self, request_id: int, value: Value) -> EncodingWork | None:
        """Give the content encoding of a large object as work for another thread.

        None is given where `send_object` or `send_result` is as good. Once the work is done, the
        object is sent with `send_encoded`.

        Raises:
            LocalProtocolError, UnencodableError: As `send_object`.
        """
        return self._response_with(request_id, value).encoding_work(value)

    def send_encoded(self, request_id: int, work: EncodingWork) -> None:
        """Send the object whose content encoding was done.

        Raises:
            LocalProtocolError: The request is not waiting for an answer.
        """
        self._response(request_id).send_encoded(work)

    def end_response(self, request_id: int) -> None:
        """Say that all objects were sent.

        Raises:
            LocalProtocolError: The request is not waiting for an answer.
        """
        response = self._response(request_id)
        response.end()
        self._finish(response)

    def send_error(self, request_id: int, message: bytes, arguments: Sequence[bytes] = ()) -> None:
        """End a request with a documented failure of its command.

        Objects that were not put into frames yet are dropped.

        Raises:
            LocalProtocolError: The request is not waiting for an answer.
        """
        response = self._response(request_id)
        response.send_error(message, arguments)
        self._finish(response)

    def send_server_error(self, request_id: int, text: bytes) -> None:
        """End a request with any other failure.

        Raises:
            LocalProtocolError: The request is not waiting for an answer.
        """
        response = self._response(request_id)
        response.send_server_error(text)
        self._finish(response)

    def send_text(
        self,
        request_id: int,
        message: bytes,
        arguments: Sequence[bytes] = (),
        labels: Sequence[bytes] = (),
    ) -> None:
        """Send text for people, at once, whatever objects are waiting.

        Mercurial's clients cannot take it: whoever calls this knows that the peer can.

        Raises:
            LocalProtocolError: The request is not waiting for an answer, the text does not fit a
                frame, or the dialect has no such frame in CBOR.
        """
        atoms: Value = [text_atom(message, arguments, labels)]
        self._send_beside(request_id, FrameType.TEXT_OUTPUT, atoms)

    def send_progress(  # noqa: PLR0913 the keys of the map
        self,
        request_id: int,
        topic: bytes,
        position: int,
        *,
        total: int | None = None,
        label: bytes | None = None,
        item: bytes | None = None,
    ) -> None:
        """Send how far a command has come; the rest as `send_text`.

        Raises:
            LocalProtocolError: As `send_text`.
        """
        content = progress(topic, position, total, label, item)
        self._send_beside(request_id, FrameType.PROGRESS, content)

    def _send_beside(self, request_id: int, kind: FrameType, content: Value) -> None:
        if FrameType.PROGRESS not in self.dialect.frames:
            message = f"dialect {self.dialect.name} has no {kind.value} frame in CBOR"
            raise LocalProtocolError(message)
        payload = cbor.encode(content, self.dialect.cbor.key_order)
        if len(payload) > SENT_PAYLOAD:
            message = "cannot encode data in a single frame"
            raise LocalProtocolError(message)
        self._response(request_id).stream.send(request_id, kind, 0, payload)

    def _response(self, request_id: int) -> Response:
        response = self._responses.get(request_id)
        if response is None or self._output_ended:
            stream = self._begin_response(request_id)
            response = self._response_class(request_id, self.dialect, stream)
            self._responses[request_id] = response
        return response

    def _response_with(self, request_id: int, value: Value) -> Response:
        """Give the response that takes a value: a recorded one is of another kind than others."""
        if type(value) is not Recorded or self._response_class is not ObjectsResponse:
            return self._response(request_id)
        response = self._responses.get(request_id)
        if response is not None and not self._output_ended:
            if not isinstance(response, ObjectsResponse) or response.has_begun:
                return response
            # Only text and progress were sent.
            self._output_streams.release(response.stream)
        self._check_answerable(request_id)
        stream = self._output_streams.acquire_recorded(value.encoding)
        recorded = RecordedResponse(request_id, self.dialect, stream)
        self._responses[request_id] = recorded
        return recorded

    def _begin_response(self, request_id: int) -> OutputStream:
        self._check_answerable(request_id)
        return self._output_streams.acquire()

    def _check_answerable(self, request_id: int) -> None:
        if self._output_ended:
            message = "nothing can be sent after the connection has failed"
            raise LocalProtocolError(message)
        if request_id not in self._answerable:
            message = f"request {request_id} is not waiting for an answer"
            raise LocalProtocolError(message)

    def _finish(self, response: Response) -> None:
        del self._responses[response.request_id]
        self._end_response(response.request_id, response.stream)

    def _end_response(self, request_id: int, stream: OutputStream) -> None:
        self._answerable.discard(request_id)
        self._output_streams.release(stream)
        if not self._half_duplex:
            # In half duplex an id stays in use: its frames have not left before input ends.
            self._active.discard(request_id)
