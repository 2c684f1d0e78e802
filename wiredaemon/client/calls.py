"""The calls of one `ClientConnection`: its events reach them, its frames reach the transport.

HTTP makes one `ClientCalls` for each call, raw TCP one for each connection; nothing else differs.
Reading is paused while objects wait to be taken; command data is sent as fast as the transport
takes it. Of the event loop only the `Runtime` is known.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, assert_never

from wiredaemon.client.data_turns import DataTurns
from wiredaemon.client.errors import (
    PASSED,
    BrokenProtocolError,
    ClientError,
    ConnectionLostError,
    DeadlineError,
    NotOfferedError,
    SilentError,
)
from wiredaemon.client.flow_control import FlowControl
from wiredaemon.client.frame_writer import FrameWriter
from wiredaemon.client.idle_timer import IdleTimer
from wiredaemon.client.outcomes import failure_of
from wiredaemon.client.outgoing_data import encode_where_known, is_small, send_pieces
from wiredaemon.client.requests import SentRequest, name_bytes
from wiredaemon.client.untaken import UntakenObjects
from wiredaemon.protocol import (
    ClientConnection,
    ConnectionFailed,
    GoAwayReceived,
    LocalProtocolError,
    PongReceived,
    ProgressReceived,
    RequestFailed,
    ResponseDataReceived,
    SessionStarted,
    TextOutputReceived,
)
from wiredaemon.wire.dialects import FrameType
from wiredaemon.wire.values import UnencodableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.client.call import Call
    from wiredaemon.client.options import ClientOptions
    from wiredaemon.client.requests import Request
    from wiredaemon.client.runtime import Runtime
    from wiredaemon.client.wire import Wire
    from wiredaemon.protocol.events import ClientEvent
    from wiredaemon.wire.dialects import Dialect


class ClientCalls:
    """The requests sent through one connection, and their responses."""

    def __init__(
        self,
        wire: Wire,
        dialect: Dialect,
        options: ClientOptions,
        runtime: Runtime,
        *,
        is_shared: bool = True,
    ) -> None:
        """Begin with nothing sent.

        Args:
            wire: Sends the frames.
            dialect: The dialect of the frames.
            options: Encodings, limits and the time that a server may be silent.
            runtime: Measures that time, and runs what sends data.
            is_shared: The connection goes on when one call is given up; else it is closed then.

        Raises:
            NotOfferedError: The dialect has no content encodings, and some are to be offered.
        """
        self.flow_control = FlowControl(runtime)
        """Is paused and resumed by the transport."""
        self.on_go_away: Callable[[str], None] = lambda _: None
        """Is called when the server will accept no further request."""
        self._wire = wire
        self._dialect = dialect
        self._options = options
        self._runtime = runtime
        self._is_shared = is_shared
        try:
            self._connection = ClientConnection(
                dialect,
                content_encodings=[name_bytes(one) for one in options.content_encodings],
                offers_session=is_shared and FrameType.SESSION in dialect.frames,
                limits=options.limits,
            )
        except LocalProtocolError as error:
            raise NotOfferedError(str(error)) from error
        self._requests: dict[int, SentRequest] = {}
        self.data_turns = DataTurns(runtime, self._requests, options.limits.running_commands)
        self._untaken = UntakenObjects(options.untaken_bytes)
        self._silence = IdleTimer(runtime, self._silent)
        self.writer = FrameWriter(self._connection, wire, runtime, self._silence)
        self._received: deque[bytes] = deque()
        """Received bytes that were not fed to the connection."""
        self.is_holding = self._is_paused = self._is_pumping = False
        self._input_ended: ClientError | None = None
        """The error of calls without a complete response, once the input has ended."""
        self.failure: BaseException | None = None  # after it nothing is sent or received

    @property
    def is_idle(self) -> bool:
        """Every request is answered."""
        return not self._requests

    @property
    def has_session(self) -> bool:
        """The server knows the extension by which calls are cancelled one by one."""
        return self._connection.has_session

    # --- out ---------------------------------------------------------------------------------

    def is_sending(self, request_id: int) -> bool:
        """Return whether more data of a request follows."""
        return self._connection.is_sending(request_id)

    def start(self, call: Call, request: Request) -> int:
        """Send a request and its data, and return its id; its response goes to ``call``.

        Raises:
            ClientError: The request cannot be sent; other calls go on.
        """
        if self.failure is not None:
            raise ConnectionLostError(f"the connection is gone: {self.failure}")
        now = self._runtime.now() if request.deadline is not None else 0.0
        has_extra = request.path is not None or request.deadline is not None or call.observer
        try:
            request_id = self._connection.send_command(
                request.command,
                request.arguments,
                has_data=request.data is not None,
                extra=request.further_keys(call, self._dialect, now) if has_extra else None,
            )
        except (LocalProtocolError, UnencodableError, ValueError) as error:
            raise ClientError(f"the request cannot be sent: {error}") from error
        sent = self._requests[request_id] = SentRequest(call)
        call.carrier = self
        call.request_id = request_id
        if request.deadline is not None:
            late = partial(self._fail_call, request_id, DeadlineError(PASSED))
            sent.timer = self._runtime.call_later(max(request.deadline - now, 0.0), late)
        data = request.data
        if data is not None and is_small(data) and self.data_turns.has_turn(request_id):
            self._connection.send_data(request_id, data, end=True)
        elif data is not None:
            self.data_turns.begin(request_id)
            sending = send_pieces(self, request_id, data)
            sent.sending = self._runtime.run(sending, partial(self._data_sent, request_id, sent))
        self.writer.flush()
        if len(self._requests) == 1:
            self.watch()
        return request_id

    def send_data(self, request_id: int, data: bytes, *, end: bool = False) -> None:
        """Send a piece of command data at once."""
        if self.failure is None:
            self._connection.send_data(request_id, data, end=end)
            self.writer.write()

    def _data_sent(
        self, request_id: int, request: SentRequest, error: BaseException | None
    ) -> None:
        if error is not None and not request.is_stopped:
            # Cancelled by others, at the end of the loop for instance, it is not whole either.
            if isinstance(error, self._runtime.cancelled):
                error = ConnectionLostError("the sender of the data was cancelled")
            # Without a session only the end of the connection says that the data is not whole.
            if self.has_session and request_id in self._requests:
                self._fail_call(request_id, error)
            else:
                self.fail(error)
        # Also after an early answer: the connection is of use to others once its data is ended.
        elif self.is_sending(request_id):
            self.send_data(request_id, b"", end=True)
        self.data_turns.end(request_id)

    def cancel_all(self) -> None:
        """Have the server stop all commands, if it can be told."""
        for request_id in self._requests:
            self._connection.cancel(request_id)
        self.writer.write()

    # --- in ----------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Receive bytes, cut in any way."""
        if self._silence.timer is not None:
            self._silence.touch()
        self._received.append(data)
        self._pump()

    def receive_end(self, error: ClientError) -> None:
        """Note that no more input follows; unanswered calls fail with ``error``."""
        self._input_ended = error
        self._pump()

    def fail(self, error: BaseException) -> None:
        """Fail every call without a complete response, and close the connection."""
        if self.failure is not None:
            return
        self.failure = error
        self.writer.is_over = True
        requests = list(self._requests.values())
        self._requests.clear()
        self.watch()
        self._wire.abort()
        for request in requests:
            request.stop()
        self.flow_control.resume()
        self.data_turns.wake()
        for request in requests:
            request.call.fail(error)

    def _silent(self) -> None:
        self.fail(SilentError.after(self._options.silent_seconds))

    def _fail_call(self, request_id: int, error: BaseException) -> None:
        """Fail one call, and have the server stop its command."""
        call = self._requests[request_id].call
        call.recovery = None
        call.fail(error)
        self.call_closed(call)

    def call_closed(self, call: Call) -> None:
        """Have the server stop a command, whose call is over."""
        request = self._requests.get(call.request_id)
        # An answered call's id may be another's by now.
        if request is None or request.call is not call:
            return
        if not self._is_shared:
            # HTTP has no other way to stop one response than to close its connection.
            self.fail(ConnectionLostError("the call was closed"))
            return
        if self._connection.cancel(call.request_id):
            request.stop()
            self.writer.flush()

    def call_changed(self, call: Call) -> None:
        """Go on reading after a caller has taken all objects, or waits for more."""
        self._untaken.taken(call)
        if self._is_paused or self._received or self._connection.pending:
            self._pump()

    def _pump(self) -> None:
        """Handle received bytes, until objects wait that nobody takes."""
        # A caller that takes an object in its callback comes back here.
        if self._is_pumping:
            return
        self._is_pumping = self.is_holding = True
        untaken, connection, received = self._untaken, self._connection, self._received
        try:
            while True:
                has_more = bool(received) or connection.pending
                # Asked here and not by a call: nearly always nothing is untaken.
                is_full = bool(untaken.sizes) and untaken.are_too_many(self._requests.values())
                if not has_more or is_full or self.failure is not None:
                    break
                data = received.popleft() if received else b""
                for event in connection.receive_data(data):
                    # First, because nearly all events are.
                    if type(event) is ResponseDataReceived:
                        self._receive_response(event)
                    elif self.failure is None:
                        self._on_event(event)
                # Answers to pings, and what callbacks have asked for.
                if connection.has_output:
                    self.writer.write()
        finally:
            self._is_pumping = False
        if self._input_ended is not None and self.failure is None and not has_more:
            self._end(self._input_ended)
        is_paused = is_full and self.failure is None
        if is_paused is not self._is_paused:
            self._set_paused(paused=is_paused)
        self.is_holding = is_paused or has_more or bool(untaken.sizes)

    def _set_paused(self, *, paused: bool) -> None:
        self._is_paused = paused
        self.watch()
        if paused:
            self._wire.pause_input()
        else:
            self._wire.resume_input()

    def watch(self) -> None:
        """Run the silence timer while it is the server's turn."""
        if self._options.silent_seconds is None:
            return
        # While reading is paused, the silence is the caller's.
        is_server_due = bool(self._requests) and self._wire.is_connected and not self._is_paused
        self._silence.set(self._options.silent_seconds if is_server_due else None)

    def _end(self, error: ClientError) -> None:
        for event in self._connection.receive_end():
            if isinstance(event, ConnectionFailed):
                error = type(error)(f"{error}: {event.error}")
        self.fail(error)

    def _on_event(self, event: ClientEvent) -> None:
        match event:
            case ResponseDataReceived():
                self._receive_response(event)
            case RequestFailed(request_id=request_id):
                self._finish(request_id, failure_of(event))
            case TextOutputReceived() | ProgressReceived():
                raised = self._requests[event.request_id].observe(event)
                if raised is not None:
                    self._fail_call(event.request_id, raised)
            case ConnectionFailed(error=error):
                self.fail(BrokenProtocolError(f"the server broke the protocol: {error}"))
            case GoAwayReceived(reason=reason):
                self.on_go_away(reason.decode("utf-8", "replace"))
            case SessionStarted():
                self.data_turns.most = event.running_commands or self.data_turns.most
                encode_where_known(self._connection, self._options, event)
            case PongReceived():
                pass
            case _:
                assert_never(event)

    def _receive_response(self, event: ResponseDataReceived) -> None:
        request = self._requests.get(event.request_id)
        if request is None:
            return  # the connection has failed meanwhile
        try:
            outcome = request.receive(event, self._dialect, self._options, self._untaken)
        except ClientError as error:
            self.fail(error)
            return
        if event.end and self.failure is None:  # a woken caller may have closed it
            self._finish(event.request_id, outcome)

    def _finish(self, request_id: int, error: BaseException | None) -> None:
        request = self._requests.pop(request_id)
        if self.data_turns.waiting:
            self.data_turns.wake()
        request.finish(error)
        if not self._requests:
            self.watch()
