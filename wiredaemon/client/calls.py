"""The calls of one `ClientConnection`: its events reach them, its frames reach the transport.

HTTP makes one `ClientCalls` for each call, raw TCP one for each connection; nothing else differs.
Reading is paused while objects wait to be taken; command data is sent as fast as the transport
takes it.
"""

from __future__ import annotations

from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import CancelledError, Deferred

from wiredaemon.client.call import SentRequest
from wiredaemon.client.errors import (
    BrokenProtocolError,
    ClientError,
    ConnectionLostError,
    NotOfferedError,
    SilentError,
)
from wiredaemon.client.failures import cause_of
from wiredaemon.client.flow_control import FlowControl
from wiredaemon.client.outcomes import failure_of, outcome_of
from wiredaemon.client.outgoing_data import pieces
from wiredaemon.client.silence import SilenceTimer
from wiredaemon.protocol import (
    ClientConnection,
    ConnectionFailed,
    LocalProtocolError,
    ProgressReceived,
    RemoteProtocolError,
    RequestFailed,
    ResponseDataReceived,
    TextOutputReceived,
)
from wiredaemon.protocol.objects import response_reader
from wiredaemon.wire.cbor import UnencodableError
from wiredaemon.wire.dialects import FrameType, RequestForm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twisted.python.failure import Failure

    from wiredaemon.client.call import Call
    from wiredaemon.client.options import ClientOptions
    from wiredaemon.client.outgoing_data import Data
    from wiredaemon.client.wire import Wire
    from wiredaemon.protocol.events import ClientEvent
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.values import Value

_OUTPUT: Final = (FrameType.TEXT_OUTPUT, FrameType.PROGRESS)
"""The frame types besides results that a server sends to clients that accept them."""


class ClientCalls:
    """The requests sent through one connection, and their responses."""

    def __init__(
        self,
        wire: Wire,
        dialect: Dialect,
        options: ClientOptions,
        reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
    ) -> None:
        """Begin with nothing sent.

        Args:
            wire: Sends the frames.
            dialect: The dialect of the frames.
            options: Encodings, limits and the time that a server may be silent.
            reactor: Measures that time.

        Raises:
            NotOfferedError: The dialect has no content encodings, and some are to be offered.
        """
        self.flow_control = FlowControl()
        """The push producer to register with the transport."""
        self._wire = wire
        self._dialect = dialect
        self._options = options
        try:
            self._connection = ClientConnection(
                dialect, content_encodings=options.content_encodings, limits=options.limits
            )
        except LocalProtocolError as error:
            raise NotOfferedError(str(error)) from error
        self._requests: dict[int, SentRequest] = {}
        self._untaken: dict[Call, int] = {}
        """Calls whose objects were not taken, with the bytes in which those arrived."""
        self._silence = SilenceTimer(reactor, self._silent)
        self._received: deque[bytes] = deque()
        """Received bytes that were not fed to the connection."""
        self._is_paused = False
        self._is_pumping = False
        self._input_ended: ClientError | None = None
        """The error of calls without a complete response, once the input has ended."""
        self._failure: BaseException | None = None

    @property
    def is_idle(self) -> bool:
        """Every request is answered."""
        return not self._requests

    # --- out ---------------------------------------------------------------------------------

    def start(
        self,
        call: Call,
        command: bytes,
        arguments: Mapping[bytes, Value],
        *,
        has_data: bool,
        extra: Mapping[bytes, Value],
    ) -> int:
        """Send a request and return its id; its response goes to ``call``.

        Raises:
            ClientError: The request cannot be sent; other calls go on.
        """
        if self._failure is not None:
            raise ConnectionLostError(f"the connection is gone: {self._failure}")
        more = dict(extra)
        if call.observer is not None:
            names: list[Value] = [
                kind.value.encode() for kind in _OUTPUT if kind in self._dialect.frames
            ]
            more[b"accepts"] = names
        if self._dialect.request is not RequestForm.MAP:
            # The request of such a dialect has no room for further keys.
            more.clear()
        try:
            request_id = self._connection.send_command(
                command, arguments, has_data=has_data, extra=more
            )
        except (LocalProtocolError, UnencodableError, ValueError) as error:
            raise ClientError(f"the request cannot be sent: {error}") from error
        reader = response_reader(self._dialect, self._options.limits)
        self._requests[request_id] = SentRequest(call=call, reader=reader)
        call.on_change = lambda: self._changed(call)
        self._flush()
        self._watch()
        return request_id

    def send_data(self, request_id: int, data: Data) -> Deferred[None]:
        """Send command data; the Deferred fires when all is sent, or the response came first.

        If the data's iterator fails, every call of the connection fails: the protocol cannot take
        a request back. The Deferred fails then, and also when the connection has failed.
        """
        sending = Deferred.fromCoroutine(self._send_pieces(request_id, data))
        request = self._requests.get(request_id)
        if request is not None:
            request.sending = sending
        return sending.addErrback(self._data_failed)

    async def _send_pieces(self, request_id: int, data: Data) -> None:
        try:
            async with aclosing(pieces(data)) as given:
                async for piece in given:
                    if request_id not in self._requests:
                        break
                    self._connection.send_data(request_id, piece)
                    self._flush()
                    await self.flow_control.drain()
        except CancelledError:
            if request_id in self._requests or self._failure is not None:
                raise
            # The answer came first.
        if self._failure is not None:
            raise self._failure
        # Also after an early answer: the connection is of use to others once its data is ended.
        self._connection.send_data(request_id, b"", end=True)
        self._flush()

    def _data_failed(self, failure: Failure) -> Failure:
        self.fail(cause_of(failure))
        return failure

    def _flush(self) -> None:
        """Hand the frames that may leave to the transport."""
        frames = self._connection.data_to_send()
        if frames:
            self._silence.resetTimeout()
            self._wire.write_frames(frames)

    # --- in ----------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Receive bytes, cut in any way."""
        self._silence.resetTimeout()
        self._received.append(data)
        self._pump()

    def receive_end(self, error: ClientError) -> None:
        """Note that no more input follows; unanswered calls fail with ``error``."""
        self._input_ended = error
        self._pump()

    def fail(self, error: BaseException) -> None:
        """Fail every call without a complete response, and close the connection."""
        if self._failure is not None:
            return
        self._failure = error
        requests, self._requests = self._requests, {}
        for request in requests.values():
            request.call.fail(error)
        self._watch()
        self._wire.abort()
        self.flow_control.stopProducing()
        for request in requests.values():
            if request.sending is not None:
                request.sending.cancel()

    def _silent(self) -> None:
        """Fail all calls after too long a silence."""
        seconds = self._options.silent_seconds
        self.fail(SilentError(f"the server was silent for {seconds:g} s"))

    def _changed(self, call: Call) -> None:
        """Go on reading after a caller has taken all objects, or waits for more."""
        if not call.has_waiting:
            self._untaken.pop(call, None)
        self._pump()

    def _pump(self) -> None:
        """Handle received bytes, until objects wait that nobody takes."""
        # A caller that takes an object in its callback comes back here.
        if self._is_pumping:
            return
        self._is_pumping = True
        try:
            while self._has_more() and self._failure is None and not self._is_full():
                self._receive(self._received.popleft() if self._received else b"")
        finally:
            self._is_pumping = False
        if self._input_ended is not None and self._failure is None and not self._has_more():
            self._end(self._input_ended)
        self._set_paused(paused=self._failure is None and self._is_full())

    def _has_more(self) -> bool:
        return bool(self._received) or self._connection.pending

    def _is_full(self) -> bool:
        """Return whether objects wait to be taken, and no caller waits for more.

        A caller may wait for one call before going on with another: both must be read then.
        """
        return bool(self._untaken) and not any(
            request.call.is_awaited for request in self._requests.values()
        )

    def _set_paused(self, *, paused: bool) -> None:
        if paused == self._is_paused:
            return
        self._is_paused = paused
        self._watch()
        if paused:
            self._wire.pause_input()
        else:
            self._wire.resume_input()

    def _watch(self) -> None:
        """Run the silence timer while it is the server's turn."""
        # While reading is paused, the silence is the caller's.
        is_server_due = bool(self._requests) and not self._is_paused
        self._silence.setTimeout(self._options.silent_seconds if is_server_due else None)

    def _end(self, error: ClientError) -> None:
        for event in self._connection.receive_end():
            if isinstance(event, ConnectionFailed):
                error = type(error)(f"{error}: {event.error}")
        self.fail(error)

    def _receive(self, data: bytes) -> None:
        for event in self._connection.receive_data(data):
            if self._failure is None:
                self._on_event(event)
        if self._failure is None:
            self._flush()

    def _on_event(self, event: ClientEvent) -> None:
        match event:
            case ResponseDataReceived(request_id=request_id):
                self._receive_response(self._requests[request_id], event)
            case RequestFailed(request_id=request_id):
                self._finish(request_id, failure_of(event))
            case TextOutputReceived(request_id=request_id, text=text):
                observer = self._requests[request_id].call.observer
                if observer is not None:
                    observer.receive_text(text)
            case ProgressReceived(request_id=request_id):
                observer = self._requests[request_id].call.observer
                if observer is not None:
                    observer.receive_progress(event)
            case ConnectionFailed(error=error):
                self.fail(BrokenProtocolError(f"the server broke the protocol: {error}"))
            case _:
                pass  # of sessions, which it does not ask for

    def _receive_response(self, request: SentRequest, event: ResponseDataReceived) -> None:
        if request.call.is_over:
            # Its caller has closed it.
            if event.end:
                self._finish(event.request_id, None)
            return
        try:
            objects = request.reader.receive_event(event)
        except RemoteProtocolError as error:
            self.fail(BrokenProtocolError(f"the server broke the protocol: {error}"))
            return
        if objects:
            request.incomplete = 0
            self._deliver(request.call, objects, len(event.data))
        else:
            self._count_incomplete(request, len(event.data))
        if event.end and self._failure is None:
            self._finish(event.request_id, outcome_of(request.reader))

    def _deliver(self, call: Call, objects: Sequence[object], size: int) -> None:
        call.receive_objects(objects)
        if not call.has_waiting:
            return
        self._untaken[call] = self._untaken.get(call, 0) + size
        if sum(self._untaken.values()) > self._options.untaken_bytes:
            message = (
                f"more than {self._options.untaken_bytes} bytes of responses wait to be taken, "
                "while another call on the same connection is waited for"
            )
            self.fail(ClientError(message))

    def _count_incomplete(self, request: SentRequest, size: int) -> None:
        request.incomplete += size
        if request.incomplete > self._options.largest_object:
            limit = self._options.largest_object
            self.fail(ClientError(f"an object of the response exceeds the limit of {limit} bytes"))

    def _finish(self, request_id: int, error: BaseException | None) -> None:
        request = self._requests.pop(request_id)
        if error is None:
            request.call.receive_end()
        else:
            request.call.fail(error)
        if request.sending is not None:
            request.sending.cancel()
        self._watch()
