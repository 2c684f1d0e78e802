"""What arrives on a connection: requests to be admitted, data for their commands, the end.

Owns how far input may run ahead of the commands: what waits to be looked at, and when the peer is
paused. What becomes of an admitted request is the Responder's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.net.responding.command_data import IncomingData
from wiredaemon.net.responding.interfaces import Admission, ExchangeRefusedError, Sink
from wiredaemon.protocol import (
    ConnectionFailed,
    DataReceived,
    RemoteProtocolError,
    RequestAborted,
    RequestCompleted,
    RequestReceived,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.python.failure import Failure

    from wiredaemon.net.responding.interfaces import Admitted
    from wiredaemon.net.responding.responder import Responder
    from wiredaemon.net.responding.running_request import Job
    from wiredaemon.protocol import ServerConnection
    from wiredaemon.protocol.events import ServerEvent
    from wiredaemon.wire.limits import Limits


class Intake:
    """The input of one connection, on its way to the Responder."""

    __slots__ = (
        "_admission",
        "_backlog",
        "_completed",
        "_connection",
        "_deciding",
        "_end_is_due",
        "_fed",
        "_held",
        "_is_reading",
        "_limits",
        "_paused",
        "_responder",
        "_sink",
        "aborted",
        "ended",
    )

    def __init__(
        self,
        connection: ServerConnection,
        sink: Sink,
        admission: Admission,
        responder: Responder,
        limits: Limits,
    ) -> None:
        """Begin with nothing received."""
        self._connection = connection
        self._sink = sink
        self._admission = admission
        self._responder = responder
        self._limits = limits
        self._held: dict[int, tuple[RequestReceived, int]] = {}
        """Requests whose undeclared data is not complete, and how many bytes of it have come."""
        self._deciding: Deferred[None] | None = None
        """It is being asked whether a request may run."""
        self._backlog: list[ServerEvent] = []
        """What came behind that request."""
        self._completed = 0
        """Requests that arrived whole."""
        self._fed: IncomingData | None = None
        """Data that its command was not told of yet."""
        self._is_reading = False
        self._end_is_due = False
        """Input has ended behind what was not looked at yet."""
        self._paused = False
        self.ended = False
        """All input was looked at."""
        self.aborted: list[RequestAborted] = []
        """Requests that ended half way."""

    # --- bytes -------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer."""
        self._receive(self._connection.receive_data(data))

    def read_on(self) -> None:
        """Take what the connection holds back until requests in front of it are answered."""
        if self._is_reading or not self._connection.pending:
            return
        self._is_reading = True
        connection, responder = self._connection, self._responder
        while connection.pending and not (responder.is_over or self.is_deciding):
            events = connection.receive_data(b"", beyond=responder.is_starving)
            if not events and self.is_behind:
                self.pause_once()
                break
            self._receive(events)
        self._is_reading = False
        self._catch_up()

    def _catch_up(self) -> None:
        """Let the peer go on, or end, once nothing waits to be looked at."""
        if self.is_behind:
            return
        self.resume()
        if self._end_is_due:
            self._end_is_due = False
            self.receive_end()

    def receive_end(self) -> None:
        """Say that no more bytes follow."""
        if self._responder.is_over:
            return
        if self.is_behind:
            self._end_is_due = True
            return
        was_held = self._connection.output_held
        events = self._connection.receive_end()
        aborted = [event for event in events if isinstance(event, RequestAborted)]
        if aborted and was_held and not self._completed:
            # No failure like others: the end of input has released the output, and this is no
            # frame.
            self._responder.stop()
            self._sink.connection_failed(RemoteProtocolError(aborted[0].reason, malformed=True))
            return
        self._receive(events)
        self.ended = True
        self._responder.advance_all()

    @property
    def is_behind(self) -> bool:
        """Something that was received waits to be looked at."""
        return self._deciding is not None or self._connection.pending

    @property
    def is_deciding(self) -> bool:
        """It is being asked whether a request may run."""
        return self._deciding is not None

    # --- events ------------------------------------------------------------------------------

    def _receive(self, events: Sequence[ServerEvent]) -> None:
        responder = self._responder
        for event in events:
            if responder.is_over:
                return
            if self._deciding is not None:
                self._backlog.append(event)
            elif type(event) is RequestReceived and not event.has_data:
                self._completed += 1
                self._admit(event)
            elif type(event) is DataReceived:
                self._on_data(event)
            else:
                self._on_event(event)
            # Before later frames count: what a command does must not depend on how input was cut.
            if responder.queue:
                responder.start_ready()
        if self._fed is not None:
            self._wake_fed()
        responder.settle()

    def _on_event(self, event: ServerEvent) -> None:
        match event:
            case RequestReceived():
                if self._admission.expects_data(event):
                    self._admit(event)
                else:
                    self._held[event.request_id] = (event, 0)
            case RequestCompleted():
                self._completed += 1
                self._on_completed(event.request_id)
            case RequestAborted():
                self._on_aborted(event)
            case ConnectionFailed():
                self._responder.fail(event.error)

    def _on_completed(self, request_id: int) -> None:
        job = self._responder.find(request_id)
        if job is not None:
            if isinstance(job.data, IncomingData):
                job.data.receive_end()
            return
        held = self._held.pop(request_id, None)
        if held is not None:
            self._admit(held[0])

    def _on_aborted(self, event: RequestAborted) -> None:
        self._held.pop(event.request_id, None)
        job = self._responder.find(event.request_id)
        if job is not None and isinstance(job.data, IncomingData):
            job.data.abort(event.reason)
        elif job is None:
            self.aborted.append(event)

    # --- admission ---------------------------------------------------------------------------

    def _admit(self, event: RequestReceived) -> None:
        try:
            admitted = self._admission.admit(event)
        except (ExchangeRefusedError, CommandError, ServerError) as error:
            self._responder.refuse(event, error)
            return
        if isinstance(admitted, Deferred):
            self._decide_later(event, admitted)
        else:
            self._responder.accept(event, admitted)

    def _decide_later(self, event: RequestReceived, asked: Deferred[Admitted]) -> None:
        """Look at nothing else until it is known whether a request may run."""
        responder = self._responder

        def decided(admitted: Admitted) -> None:
            if not responder.is_over:
                responder.accept(event, admitted)

        def refused(failure: Failure) -> None:
            failure.trap(ExchangeRefusedError, CommandError, ServerError)
            if not responder.is_over:
                responder.refuse(event, failure.value)

        def go_on(_: object) -> None:
            self._deciding = None
            if not responder.is_over:
                backlog, self._backlog = self._backlog, []
                self._receive(backlog)
                self.read_on()
                self._catch_up()

        self._deciding = deciding = asked.addCallbacks(decided, refused).addCallback(go_on)
        if deciding.called:
            self._deciding = None
        else:
            self.pause()
        deciding.addErrback(responder.on_bug)

    # --- data --------------------------------------------------------------------------------

    def _on_data(self, event: DataReceived) -> None:
        job = self._responder.find(event.request_id)
        if self._fed is not None and (job is None or job.data is not self._fed):
            self._wake_fed()
        if job is not None:
            self._feed(job, event.data)
        elif event.request_id in self._held:
            self._drop(event)
        # Else its command has ended already.

    def _drop(self, event: DataReceived) -> None:
        request, dropped = self._held[event.request_id]
        dropped += len(event.data)
        self._held[event.request_id] = (request, dropped)
        if dropped > self._limits.undeclared_data:
            message = (
                f"data of request {event.request_id}, whose command takes none, exceeds the "
                f"limit of {self._limits.undeclared_data} bytes (undeclared_data)"
            )
            self._responder.fail(RemoteProtocolError(message, malformed=True))

    def _feed(self, job: Job, data: bytes) -> None:
        if job.data.ended or not isinstance(job.data, IncomingData):
            return
        limit = self._limits.command_data
        if job.command.data_limit is not None:
            limit = job.command.data_limit
        if job.data.received + len(data) > limit:
            job.data.abort(f"command data exceeds the limit of {limit} bytes (command_data)")
            return
        job.data.hold(data)
        self._fed = job.data
        if job.data.size > self._limits.buffered_data:
            self._on_too_much(job)

    def _on_too_much(self, job: Job) -> None:
        """See whether a command takes its data now, or else pause the peer."""
        responder, limit = self._responder, self._limits.buffered_data
        self._wake_fed()
        if job.data.size > limit and not responder.is_running(job):
            responder.settle()  # it may have come in the same read
        if responder.is_over or job.data.size <= limit:
            return
        if responder.is_running(job):
            self.pause()
            return
        message = (
            f"data of request {job.request_id} has to wait for an earlier command and "
            f"exceeds the limit of {limit} bytes (buffered_data)"
        )
        responder.fail(RemoteProtocolError(message, malformed=True))

    def _wake_fed(self) -> None:
        """Let the command that was fed take its data, once for all that was read."""
        fed, self._fed = self._fed, None
        if fed is not None:
            fed.wake()

    # --- the peer ----------------------------------------------------------------------------

    def pause(self) -> None:
        """Stop reading; TLS gives a few more records, so perhaps again."""
        self._paused = True
        self._sink.pause_input()

    def pause_once(self) -> None:
        """Stop reading, unless that was said."""
        if not self._paused:
            self.pause()

    def resume(self) -> None:
        """Let the peer go on, if nothing is against it any more."""
        responder = self._responder
        if not self._paused or responder.is_over or self.is_behind or responder.is_stuck:
            return
        few = self._limits.buffered_data // 2
        if all(job.data.size <= few for job in responder.running.values()):
            self._paused = False
            self._sink.resume_input()
