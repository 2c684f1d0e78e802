"""The server's side of a connection, for every dialect: the receiving half, and the whole.

It routes frames to streams, settings and requests. A request parses its own frames; the table in
``states`` decides what the connection as a whole accepts.

Source: server-state-machine, section 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.protocol.errors import RemoteProtocolError
from wiredaemon.protocol.events import (
    ConnectionFailed,
    DataReceived,
    RequestAborted,
    RequestCompleted,
    RequestReceived,
)
from wiredaemon.protocol.map_requests import MapRequestMachine
from wiredaemon.protocol.named_requests import NamedRequestMachine
from wiredaemon.protocol.open_requests import LARGE
from wiredaemon.protocol.server_session import ServerSession
from wiredaemon.protocol.states import (
    Incomplete,
    InputEvent,
    InputState,
    OutputEvent,
    advance_input,
    frame_event,
    refused_frame,
)
from wiredaemon.wire.dialects import CONTINUATION, EOS, FrameType, RequestForm
from wiredaemon.wire.frames import (
    BEGIN,
    HEADER_SIZE,
    FrameError,
    whole_frame,
)
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from wiredaemon.protocol.events import ServerEvent
    from wiredaemon.protocol.requests import RequestsState
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.frames import Frame, RawFrame

_NO_LIMITS_GIVEN: Final = Limits()

_MACHINES: Final[dict[RequestForm, type[MapRequestMachine | NamedRequestMachine]]] = {
    RequestForm.MAP: MapRequestMachine,
    RequestForm.FRAMES: NamedRequestMachine,
}

_REQUESTS: Final = InputState.REQUESTS
"""Compared for each frame: to find a member in its enumeration takes 0.05 us."""
_FEW_FRAMES: Final = 2
"""Frames of the largest size sent, 32 KiB, that one read of 64 KiB holds."""
_STEP_SIZE: Final = 32768
"""Bytes of large requests that one call reads at least; 65,536 numbers take 20 ms to decode."""
_STEP: Final = 64
"""Frames that one call reads: a read of 256 KiB may hold 29,000 of one octet, which take 30 ms."""
_CLOSED: Final = frozenset({InputState.ENDED, InputState.ERRORED})
"""The states in which no more input is read."""


class ServerConnection(ServerSession):
    """One connection as the server sees it; for HTTP, one request body and its answer.

    The caller's loop: `receive_data`, act on the events and answer with `send_result` and the
    like, then send what `data_to_send` returns. While `pending`, call `receive_data` without data:
    at once if `may_read_on`, else once requests were answered.
    """

    __slots__ = (
        "_empty_frames",
        "_input_state",
        "_requests",
    )

    def __init__(
        self, dialect: Dialect, *, half_duplex: bool, limits: Limits = _NO_LIMITS_GIVEN
    ) -> None:
        """Begin with nothing received or sent."""
        super().__init__(dialect, half_duplex=half_duplex, limits=limits)
        self._input_state = InputState.INITIAL if dialect.sender_settings else InputState.REQUESTS
        self._empty_frames = 0
        self._requests = _MACHINES[dialect.request](dialect, limits, self._open_requests)

    def _advance_input(self, event: InputEvent) -> None:
        """Change the state of the input; no other code does."""
        self._input_state = advance_input(self._input_state, event)

    # --- state ------------------------------------------------------------------------------

    @property
    def state(self) -> InputState | RequestsState:
        """The state of the input, with that of the requests in place of ``REQUESTS``."""
        if self._input_state in {InputState.REQUESTS, InputState.ENDED}:
            return self._requests.state
        return self._input_state

    @property
    def failed(self) -> bool:
        """The peer broke the protocol: no further input is read."""
        return self._input_state is InputState.ERRORED

    @property
    def pending(self) -> bool:
        """Frames wait inside, to be read by a call of `receive_data` without data."""
        return self._reader.pending and self._input_state is not InputState.ERRORED

    @property
    def incomplete(self) -> tuple[Incomplete | None, int]:
        """The unit of input that has begun and not ended, and a number that no later one has.

        A request counts from its first frame on, also where its frames come in pieces.
        """
        if self._input_state is InputState.SETTINGS:
            return Incomplete.REQUEST, 0
        request = self._requests.oldest_incomplete()
        if request is not None:
            # Odd numbers for requests, even ones for frames.
            return Incomplete.REQUEST, 2 * request.number + 1
        held, frames = self._reader.held, self._reader.count
        if not held or self._reader.pending:
            return None, 0
        kind = Incomplete.HEADER if held < HEADER_SIZE else Incomplete.REQUEST
        return kind, 2 * frames + 2

    @property
    def is_receiving(self) -> bool:
        """Requests have begun and not ended."""
        return bool(self._requests.receiving)

    @property
    def held_input(self) -> tuple[int, int]:
        """The bytes of input that are held, and those of them in requests that have not ended."""
        held, unfinished = self._reader.held, self._requests.unannounced()
        decoder = 0 if self._encoded is None else self._encoded.held
        size = held + unfinished + self._open_requests.held + decoder
        return size, unfinished if self._reader.pending else unfinished + held

    def drop_input(self) -> None:
        """Forget requests that have not ended, and all bytes: the connection is over."""
        self._requests.abort()
        self._reader.drop()

    # --- input ------------------------------------------------------------------------------

    def receive_data(self, data: bytes, *, beyond: bool = False) -> list[ServerEvent]:
        """Read bytes, cut in any way, and return the events that they cause.

        A peer's mistake never raises: the last event is then a `ConnectionFailed`, and nothing
        after it is read. Many frames take several calls, none of which takes long: `pending`.

        Args:
            data: The next bytes.
            beyond: Read what is `pending` too, because requests that are not answered need data;
                one complete request too many is then an error.
        """
        events: list[ServerEvent] = []
        # Each frame may complete a request, so no more frames are read than requests have room. In
        # half duplex nothing is answered before the end of input: a request too many is an error.
        is_bounded = not (beyond or self._is_half_duplex)
        left = _STEP
        while left and self._input_state not in _CLOSED:
            # Asked for anew in each turn: requests of this read have taken some of it.
            room = min(self._open_requests.room, left) if is_bounded else left
            is_much = len(data) + self._reader.held >= _STEP_SIZE
            try:
                # What answers may not be in the way of: cancel makes room.
                frames = self._reader.receive_data(data, room) or self._session_frames()
            except FrameError as error:
                events.append(self._fail(RemoteProtocolError(str(error), malformed=True), 0))
                break
            # For many frames the room is checked once here; few are mostly data, and need none.
            fit = is_bounded or _FEW_FRAMES < len(frames) <= self._open_requests.room
            is_enough = self._receive_frames(frames, events, fit=fit, is_much=is_much)
            # Without progress the frames inside wait for an answer.
            if is_enough or not self._reader.pending or not (frames or data):
                break
            left -= len(frames)
            data = b""
        return events

    def hold_data(self, data: bytes) -> None:
        """Keep bytes for a later call of `receive_data`, because others have their turn now."""
        self._reader.receive_data(data, 0)

    def _receive_frames(
        self, frames: list[RawFrame], events: list[ServerEvent], *, fit: bool, is_much: bool
    ) -> bool:
        """Receive frames; return whether they are so much that the rest was put back.

        Nearly all go a shorter way than `_receive_frame`. It is for a request in one frame, or a
        piece of data, on an open stream: no `Frame` is made, no table is looked up, and the number
        of requests is checked once for all frames. It takes 0.8 us a request instead of 4.1.

        Args:
            frames: The frames as the reader returned them.
            events: The list to append the events to.
            fit: Whether there is room for a request in each frame.
            is_much: Whether large requests may be so many that the rest must be put back.
        """
        # Bound once for all frames of a read: 64 requests with their results take 112 us, and 416
        # where each frame goes through `_receive_frame`.
        receive_plain, streams = self._requests.receive_plain, self._input_streams.open
        waiting, size, following = self._open_requests.waiting, 0, iter(frames)
        for raw in following:
            request_id, stream_id, stream_flags, kind, payload = raw
            try:
                # Beginning an open stream again changes nothing.
                if (stream_flags > BEGIN or stream_id not in streams) and self._begin_stream(
                    raw, following, events
                ):
                    return True
                event = None
                # Settings, and the frames after them, are left to `_receive_frame`.
                if self._input_state is _REQUESTS or self._begins_requests(kind):
                    event = receive_plain(request_id, kind, payload)
                if event is None:
                    self._receive_frame(whole_frame(raw), events)
                else:
                    self._empty_frames = 0
                    if fit and type(event) is RequestReceived:
                        waiting.add(request_id)
                    elif type(event) is RequestReceived:
                        self._open_requests.complete(request_id)
                    events.append(event)
            except RemoteProtocolError as error:
                events.append(self._fail(error, request_id))
                return False
            if is_much and type(event) is not DataReceived and len(payload) > LARGE:
                size += len(payload)
                if size >= _STEP_SIZE:
                    self._reader.put_back(list(following))
                    return True
        return False

    def _begins_requests(self, kind: int) -> bool:
        """Return whether a frame is the first of the connection and belongs to a request."""
        event = frame_event(self.dialect.types.get(kind >> 4))
        if self._input_state is not InputState.INITIAL or event is not InputEvent.REQUEST_FRAME:
            return False
        self._advance_input(event)
        return True

    def receive_frame(self, frame: Frame) -> list[ServerEvent]:
        """Receive one frame for debugreflect, also after a failure: wrong ones then fail again."""
        events: list[ServerEvent] = []
        try:
            self._input_streams.receive_from_client(frame.stream_id, frame.stream_flags)
            self._receive_frame(frame, events)
        except RemoteProtocolError as error:
            events.append(self._fail(error, frame.request_id))
        return events

    def receive_end(self) -> list[ServerEvent]:
        """Note that no more input follows; in half duplex this releases the output.

        Each request that is incomplete and not answered causes a `RequestAborted`. Input that ends
        inside a frame fails the connection.
        """
        events: list[ServerEvent] = []
        while self.pending and self.may_read_on:
            events += self.receive_data(b"")
        if self._input_state in _CLOSED:
            return events
        try:
            self._reader.receive_end()
        except FrameError as error:
            return [*events, self._fail(RemoteProtocolError(str(error), malformed=True), 0)]
        # First: what answers the events below may leave (server-state-machine, section 1.11).
        self._advance_input(InputEvent.END)
        self._advance_output(OutputEvent.INPUT_ENDED)
        # A command may wait for data of each of these, and its client for an answer.
        for request in self._requests.abort():
            request_id = request.request_id
            if request.announced and not self._open_requests.is_answerable(request_id):
                continue  # answered before its data ended
            part = "command data" if request.is_requested else "request frames"
            reason = f"input ended before the {part} of request {request_id}"
            self._open_requests.announce(request_id)
            events.append(RequestAborted(request_id=request_id, reason=reason))
        return events

    def fail(self, error: RemoteProtocolError) -> None:
        """Fail the connection for a reason that only the caller can see."""
        self._fail(error, 0)

    def _fail(self, error: RemoteProtocolError, request_id: int) -> ConnectionFailed:
        # Requests in front of the failure are still answered.
        self._fail_output(error, request_id)
        self._advance_input(InputEvent.FAILURE)
        return ConnectionFailed(error=error)

    # --- one frame --------------------------------------------------------------------------

    def _receive_frame(self, frame: Frame, events: list[ServerEvent]) -> None:
        """Receive any frame of an open stream."""
        self._count_empty(frame)
        for event in self._route(frame):
            match event:
                case RequestReceived(has_data=True):
                    self._open_requests.announce(event.request_id)
                case RequestReceived():
                    self._open_requests.complete(event.request_id)
                case RequestCompleted():
                    self._open_requests.complete_data(event.request_id)
            events.append(event)

    def _count_empty(self, frame: Frame) -> None:
        if frame.payload:
            self._empty_frames = 0
            return
        # A cancel is empty and gives work back, so that many of them are no attack.
        if self._session is not None and frame.type_number == self._session.number:
            return
        # The end of data is often empty, and many uploads may end together. Nobody can send it
        # endlessly: each needs a request, which it completes. Both flags together continue.
        is_end = frame.flags & (CONTINUATION | EOS) == EOS
        if is_end and self.dialect.types.get(frame.type_number) is FrameType.COMMAND_DATA:
            return
        self._empty_frames += 1
        if self._empty_frames > self._limits.empty_frames:
            message = (
                f"empty frames in a row exceed the limit of {self._limits.empty_frames} "
                "(empty_frames)"
            )
            raise RemoteProtocolError(message, malformed=True)

    def _route(self, frame: Frame) -> list[ServerEvent]:
        kind = self.dialect.types.get(frame.type_number)
        refused = refused_frame(self._input_state, kind, frame.type_number)
        if refused is not None:
            raise refused
        self._advance_input(frame_event(kind))
        if self._input_state is not InputState.SETTINGS:
            if kind is FrameType.STREAM_SETTINGS and self._encoded is not None:
                self._encoded.receive_settings(frame)
                return []
            if kind is FrameType.SESSION and self._session is not None:
                return self._receive_session(self._session, frame, self._requests)
            return self._requests.receive_frame(frame)
        if self._receive_offer(frame):
            self._advance_input(InputEvent.SETTINGS_COMPLETE)
        return []
