"""One call: a client of our own protocol beside its server, and JSON in front of both.

Nothing is decided here that frames decide elsewhere: the request passes the connection's state
machines and limits, the admission, and the Responder, as one that came in frames does.

Source: docs/json.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.net.guard.held_memory import STEP
from wiredaemon.net.guard.output_room import OutputRoom
from wiredaemon.net.http.exchange import HttpExchange
from wiredaemon.net.http.held_body import tell_held
from wiredaemon.net.json.forms import STREAMS
from wiredaemon.net.json.outputs import DocumentOutput, StreamOutput
from wiredaemon.net.json.problems import failure_of, too_much, wrong_request
from wiredaemon.net.json.rules import DIALECT
from wiredaemon.net.responding.deadlines import TIMEOUT
from wiredaemon.net.responding.exchange import begin_exchange
from wiredaemon.net.responding.held_input import held_by
from wiredaemon.net.responding.interfaces import Admitted
from wiredaemon.protocol import (
    ClientConnection,
    ProgressReceived,
    RemoteProtocolError,
    RequestFailed,
    ResponseDataReceived,
    TextOutputReceived,
    response_reader,
)
from wiredaemon.wire.json_values import jsonable
from wiredaemon.wire.limits import Limits
from wiredaemon.wire.payloads import format_message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.commands import Command, Value
    from wiredaemon.net.guard.call_counts import CallCount
    from wiredaemon.net.http.application import Application
    from wiredaemon.net.http.request import StreamingRequest
    from wiredaemon.net.http.responses import HttpResponse
    from wiredaemon.net.json.outputs import Output
    from wiredaemon.net.json.rules import Call
    from wiredaemon.net.responding.context import Origin
    from wiredaemon.net.responding.responder import Responder
    from wiredaemon.protocol import RequestReceived, ServerConnection
    from wiredaemon.protocol.events import ClientEvent

# Small objects are joined up to 32 KiB as it is, which takes longer as JSON: a turn is to be short.
_ROOM: Final = OutputRoom(Limits(output_high=8192))
"""The output of a call in one turn, in front of JSON."""
_TOO_LARGE: Final = (
    "the answer exceeds the limit of {} bytes for one JSON document; application/x-ndjson and"
    " text/event-stream have one for each object (json_document)"
)
_ACCEPTED: Final[list[Value]] = [b"text-output", b"progress"]


class CallAdmission:
    """Admits the command of a call, whose head was accepted."""

    def __init__(self, command: Command, origin: Origin, calls: CallCount) -> None:
        self._calls = calls
        self._admitted = Admitted(command, origin)

    def begin_read(self) -> None:
        """Do nothing: the settings are those of the request's head, for the whole body."""

    def expects_data(self, event: RequestReceived) -> bool:  # noqa: ARG002 there is one request
        """Return whether the command reads data."""
        return self._admitted.command.has_data

    def admit(self, event: RequestReceived) -> Admitted:  # noqa: ARG002 as above
        """Return the command."""
        self._calls.begun += 1
        return self._admitted


class JsonExchange(HttpExchange):
    """The call of one command; receives the body of the request where that is command data.

    Args:
        request: The request, whose head was accepted.
        call: What is called, and how it is answered.
        origin: What the command sees.
        application: Limits, threads and turns.
        arguments: Those of the call, checked.
    """

    def __init__(
        self,
        request: StreamingRequest,
        call: Call,
        origin: Origin,
        application: Application,
        arguments: Mapping[bytes, Value],
    ) -> None:
        limits, guard = application.limits, application.guard
        self._request = request
        self._call = call
        self._arguments = arguments
        self._address = origin.peer.address
        self._most = limits.json_document
        self._client = ClientConnection(DIALECT, limits=limits)
        self._reader = response_reader(DIALECT, limits)
        self._unread = 0
        """Bytes of an object of which more will come."""
        self._request_id = 0
        """The id of the request; 0 until it is sent."""
        self._failure: HttpResponse | None = None
        """The end of the answer, if the command has failed."""
        self._input, self._responder = begin_exchange(
            self,
            CallAdmission(call.command, origin, guard.calls["json"]),
            DIALECT,
            half_duplex=True,
            threads=guard.threads,
            limits=limits,
            turns=guard.turns,
            room=_ROOM,
        )
        self._output = self._make_output(self._responder, limits)

    def _make_output(self, responder: Responder, limits: Limits) -> Output:
        media_type = self._call.media_type
        form = STREAMS.get(media_type)
        if form is None:
            return DocumentOutput(self._request, limits, is_list=self._call.command.gives_objects)
        return StreamOutput(self._request, media_type, form, responder, limits)

    # --- the request -------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Receive bytes of command data."""
        self._begin()
        if self._input is None:
            return
        self._client.send_data(self._request_id, data)
        self._pass_on()
        self._tell_held()

    def receive_end(self) -> None:
        """Note that the request is complete."""
        self._begin()
        if self._call.command.has_data and self._input is not None:
            self._client.send_data(self._request_id, b"", end=True)
            self._pass_on()
        if self._input is not None:
            self._input.receive_end()

    def _begin(self) -> None:
        """Send the request, if it is not sent."""
        if self._request_id or self._input is None:
            return
        call = self._call
        extra: dict[bytes, Value] = {}
        if call.milliseconds is not None:
            extra[TIMEOUT] = call.milliseconds
        if call.media_type in STREAMS:
            extra[b"accepts"] = _ACCEPTED
        self._request_id = self._client.send_command(
            call.command.name.encode(),
            self._arguments,
            has_data=call.command.has_data,
            extra=extra,
        )
        self._pass_on()

    def _pass_on(self) -> None:
        """Let the server receive what the client has sent."""
        data = b"".join(part for frame in self._client.data_to_send() for part in frame)
        if self._input is not None:
            self._input.receive_data(data)

    def held(self) -> tuple[int, int]:
        """Return the bytes that are held, and those of them in requests that have not ended."""
        if self._responder is None or self._input is None:
            return 0, 0
        size, unfinished = held_by(self._responder, self._input, 0, is_known=False)
        return size + self._output.held + self._unread, unfinished

    def connection_lost(self) -> None:
        """Cancel the command: the client has gone."""
        super().connection_lost()
        self._output.stop()

    def refuse(self, response: HttpResponse) -> None:
        """Cancel the command, and answer."""
        self._stop()
        self._output.fail(response)

    def _tell_held(self) -> None:
        # Twisted takes the channel from a request that is answered.
        channel = getattr(self._request, "channel", None)
        if channel is not None and (
            sum(self.held()) > STEP or channel in channel.site.guard.memory
        ):
            tell_held(channel)

    # --- called by the input and the Responder -----------------------------------------------

    def send_output(self, connection: ServerConnection) -> None:
        """Show the client what the server has sent, and send its objects on as JSON."""
        frames = connection.data_to_send()
        if not frames:
            return
        data = b"".join(part for frame in frames for part in frame)
        try:
            for event in self._client.receive_data(data):
                self._receive(event)
        except RemoteProtocolError as error:
            # Our own server's: an object is too deep or has too many elements.
            self._refuse_answer(f"the answer cannot be shown as JSON: {error.message}")
            return
        if not self._output.flush() or self._unread > self._most:
            self._refuse_answer(_TOO_LARGE.format(self._most))
        elif self._output.held > STEP:
            self._tell_held()

    def _refuse_answer(self, why: str) -> None:
        self.request_failed(why)
        self.refuse(too_much(why))

    def _receive(self, event: ClientEvent) -> None:
        match event:
            case ResponseDataReceived():
                objects = self._reader.receive_event(event)
                self._unread = 0 if objects else self._unread + len(event.data)
                for value in objects:
                    self._output.result(jsonable(value))
                error = self._reader.error
                if error is not None:
                    message = format_message(error.message, error.arguments)
                    self._failure = failure_of(b"command", message)
            case RequestFailed():
                self._failure = failure_of(event.kind, event.message)
            case TextOutputReceived():
                self._output.note("text", jsonable(event.text))
            case ProgressReceived():
                shown = {
                    "topic": event.topic,
                    "position": event.position,
                    "total": event.total,
                    "label": event.label,
                    "item": event.item,
                }
                known = {name: value for name, value in shown.items() if value is not None}
                self._output.note("progress", jsonable(known))

    def connection_failed(self, error: RemoteProtocolError) -> None:
        """Answer a request that crosses a limit of the connection."""
        self.request_failed(error.message)
        self.refused(wrong_request(error.message))

    def refused(self, response: HttpResponse) -> None:
        """Answer what admission refuses."""
        self._end()
        self._output.fail(response)

    def responses_finished(self, connection: ServerConnection) -> None:
        """Send the last output, and end the answer."""
        # Held, so that the last objects and the end of the response leave in one write.
        self._request.response.hold()
        self.send_output(connection)
        if self._responder is None:
            return  # it was refused
        self._end()
        if self._failure is None:
            self._output.finish()
        else:
            self._output.fail(self._failure)
