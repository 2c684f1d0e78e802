"""The input of one connection: requests to be admitted, data for their commands, the end.

Owns how far input may run ahead of the commands: the events that wait, and when the peer is paused.
The transport owns this object and feeds it; the `Requests`, implemented by the Responder, run the
admitted requests.

Source: server-state-machine, section 1; reliability, section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.net.guard.turns import LATE, LITTLE, SECONDS
from wiredaemon.net.responding.command_data import NO_DATA
from wiredaemon.net.responding.input_flow import InputFlow
from wiredaemon.net.responding.interfaces import Admitted, ExchangeRefusedError, Load
from wiredaemon.net.responding.states import (
    DECIDING,
    MAY_WAIT,
    InputStage,
    InputStep,
    advance_input,
)
from wiredaemon.protocol import (
    ConnectionFailed,
    DataReceived,
    PingReceived,
    RemoteProtocolError,
    RequestAborted,
    RequestCancelled,
    RequestCompleted,
    RequestReceived,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from wiredaemon.net.guard.turns import Turns
    from wiredaemon.net.responding.interfaces import (
        Admission,
        InputTransport,
        Requests,
    )
    from wiredaemon.protocol import ServerConnection
    from wiredaemon.protocol.events import ServerEvent
    from wiredaemon.wire.limits import Limits


_SOME: Final = 8  # the clock is looked at after so many events


class ConnectionInput(InputFlow):
    """Receives the bytes of one connection and admits the requests in them.

    Args:
        connection: Parses the bytes into events.
        transport: The transport, which is paused while too much input waits.
        admission: Decides which commands may run.
        requests: Runs the admitted requests.
        limits: Bounds the command data that may wait.
        turns: Shares the time of the reactor among connections.
    """

    __slots__ = (
        "_aborted",
        "_admission",
        "_asked",
        "_completed",
        "_most_pings",
        "_pinged",
        "_pings",
        "_turn_ends",
        "_turns",
        "backlog",
    )

    def __init__(  # noqa: PLR0913, PLR0917 all that one connection needs
        self,
        connection: ServerConnection,
        transport: InputTransport,
        admission: Admission,
        requests: Requests,
        limits: Limits,
        turns: Turns,
    ) -> None:
        self._turns = turns
        self._turn_ends = 0.0  # in the time of `Turns.now`
        super().__init__(connection, transport, requests, limits)
        self._admission = admission
        self.backlog: list[ServerEvent] = []
        """Events after a request whose admission is being decided."""
        self._completed = False
        """At least one request of the connection has arrived completely."""
        self._aborted: tuple[RequestAborted, ...] = ()
        """Requests that ended half way and were not admitted; they are answered last."""
        self._pinged, self._pings, self._most_pings = 0.0, 0, limits.session_pings
        """The begin of the second in which pings are counted, and their number."""
        self._asked: int | None = None
        """The request whose admission is being decided; None if it was cancelled."""
        self._is_working = False
        """Events are being handled: a call of `proceed` meanwhile does nothing, for one follows."""
        self._is_paused = False

    # --- bytes -------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Receive bytes from the peer, cut in any way."""
        turns, was_paused = self._turns, self._is_paused
        now = turns.now()
        self._turn_ends = now + SECONDS
        if now - turns.current.began > LATE and self._stage in MAY_WAIT:
            self._turn_ends = now
            if len(data) > LITTLE:
                self._connection.hold_data(data)
                self._check_turn()
                self.proceed()
                return
        self._is_working = True
        self._receive(self._connection.receive_data(data))
        self._is_working = False
        self.proceed()
        if was_paused and self._is_paused and self._data.incoming:
            # TLS delivers a few records more after each pause, and a body may be many of them.
            self._transport.pause_input()

    def receive_end(self) -> None:
        """Note that no more bytes follow."""
        if not self._requests.is_over:
            self._stage = advance_input(self._stage, InputStep.PEER_ENDED)
            self.proceed()

    def proceed(self) -> None:
        """Handle input that waits, and read from the peer or pause it.

        The Responder calls this when a request has ended or the peer accepts answers again.
        """
        connection, requests = self._connection, self._requests
        if self._is_working or requests.is_over:
            return
        if self._stage is InputStage.ENDED and not self._is_paused:
            return  # all input was handled, and the peer is not paused
        pending = connection.pending
        if pending:
            self._read_on()
            pending = connection.pending
        if self._stage is InputStage.OPEN and not pending:
            # Nearly always nothing waits and the peer takes answers: the table need not be asked.
            incoming = self._data.incoming
            backed_up = bool(incoming) and self._data.is_backed_up(self._is_paused)
            if not (backed_up or self._is_paused or requests.output_paused):
                return
        if self._stage is InputStage.ENDING and not pending:
            self._end()
        self._regulate(self._waiting())

    def _read_on(self) -> None:
        """Handle the frames that wait inside, as far as requests in front of them were answered."""
        self._is_working = True
        connection, requests = self._connection, self._requests
        while connection.pending and not requests.is_over and self._stage not in DECIDING:
            # Little input may decode to much data.
            if self._data.incoming and self._data.is_backed_up(self._is_paused):
                break
            # Read beyond the limit of requests while every command waits for data: that data may
            # lie after the requests that wait, and would never be reached.
            beyond = not connection.may_read_on
            if beyond and requests.load() is not Load.NEEDING_DATA:
                break  # what waits needs an answer first
            self._receive(connection.receive_data(b"", beyond=beyond))
            self._check_turn()
        self._is_working = False

    def _end(self) -> None:
        """Handle the end of input, once all frames in front of it were handled."""
        self._stage = advance_input(self._stage, InputStep.ALL_SEEN)
        # Asked before the call below, which releases held output.
        was_held = self._connection.output_held
        events = self._connection.receive_end()
        for event in events:
            if isinstance(event, RequestAborted) and was_held and not self._completed:
                # Not `fail`: the end of input has released the output, so an error frame would be
                # sent, but a body without a complete request gets a 400 (docs/decisions.md).
                self._requests.abandon(RemoteProtocolError(event.reason, malformed=True))
                return
        if events:
            self._is_working = True
            self._receive(events)
            self._is_working = False
        if not self._requests.is_over:
            self._requests.receive_end(self._aborted)

    def fail(self, message: str) -> None:
        """End the connection because the peer does not go on."""
        if not self._requests.is_over:
            self._requests.fail(RemoteProtocolError(message, malformed=True))

    # --- events ------------------------------------------------------------------------------

    def _receive(self, events: Sequence[ServerEvent]) -> None:
        requests = self._requests
        # Settings are looked up once for all requests of a read (docs/decisions.md).
        self._admission.begin_read()
        for first in range(0, len(events), _SOME):
            for event in events[first : first + _SOME]:
                if requests.is_over:
                    return
                if self._stage in DECIDING and type(event) is not RequestCancelled:
                    self._hold(event)
                # The two commonest events by their exact types, in front of the match below.
                elif type(event) is RequestReceived and not event.has_data:
                    self._completed = True
                    self._admit(event)
                elif type(event) is DataReceived:
                    self._data.receive(event)
                else:
                    self._on_event(event)
            if len(events) - first >= _SOME:
                self._check_turn()
        # The last data of this read: its command is woken once for all of it.
        if self._data.unfed is not None:
            self._data.wake()
        requests.settle()  # once for all events of a read: their answers leave in one write

    def _hold(self, event: ServerEvent) -> None:
        """Keep an event until a request in front of it is admitted or refused."""
        self.backlog.append(event)
        if type(event) is RequestReceived:
            self._requests.hold(event)

    def _check_turn(self) -> None:
        """Let others go first, if this connection has had its turn; what follows waits inside."""
        if self._turns.now() >= self._turn_ends and self._stage in MAY_WAIT:
            self._stage = advance_input(self._stage, InputStep.ASK)
            self._turns.wait(self._go_on)

    def _go_on(self) -> None:
        """Handle the events that wait, and then further input."""
        self._stage = advance_input(self._stage, InputStep.DECIDED)
        # Decided at once: the events after it are still being handled.
        if self._is_working:
            return
        backlog, self.backlog = self.backlog, []
        if self._requests.is_over:
            return
        self._is_working = True
        self._turn_ends = self._turns.now() + SECONDS
        self._receive(backlog)
        self._is_working = False
        self.proceed()

    def _on_event(self, event: ServerEvent) -> None:
        match event:
            case RequestReceived():
                # A command that declares no data starts when its data has ended: whether the
                # request is complete is known only then.
                if self._admission.expects_data(event):
                    self._admit(event)
                else:
                    self._data.drop(event)
                    self._requests.hold(event)
            case RequestCompleted():
                self._completed = True
                request = self._data.complete(event.request_id)
                if request is not None:
                    self._admit(request)
            case RequestAborted():
                if not self._data.abort(event):
                    self._aborted += (event,)
            case RequestCancelled():
                self.forget(event.request_id)
                self._requests.cancel(event.request_id)
            case PingReceived():
                self._count_ping()
            case ConnectionFailed():
                self._requests.fail(event.error)

    def _count_ping(self) -> None:
        now = self._turns.now()
        if now - self._pinged >= 1:
            self._pinged, self._pings = now, 0
        self._pings += 1
        if self._pings > self._most_pings:
            self.fail(f"pings in a second exceed the limit of {self._most_pings} (session_pings)")

    def forget(self, request_id: int) -> None:
        """Drop all that waits of a request that is stopped, admitted or not."""
        if self._asked == request_id:
            self._asked = None
        self.backlog = [
            event for event in self.backlog if getattr(event, "request_id", None) != request_id
        ]
        self._data.cancel(request_id)

    # --- admission ---------------------------------------------------------------------------

    def _admit(self, event: RequestReceived) -> None:
        try:
            admitted = self._admission.admit(event)
        except (ExchangeRefusedError, CommandError, ServerError) as error:
            self._requests.refuse(event, error)
            return
        if not isinstance(admitted, Admitted):
            self._decide_later(event, admitted)
        elif event.has_data:
            self._accept(event, admitted)
        else:
            self._requests.accept(event, admitted, NO_DATA)

    def _accept(self, event: RequestReceived, admitted: Admitted) -> None:
        """Pass on a request, with its data if the command reads any."""
        command = admitted.command
        if not (event.has_data and command.has_data):
            self._requests.accept(event, admitted, NO_DATA)
            return
        data = self._data.open(event.request_id, command.data_limit, self._on_data_taken)
        self._requests.accept(event, admitted, data)

    def _decide_later(self, event: RequestReceived, asked: Deferred[Admitted]) -> None:
        """Hold all further events until the admission of a request is decided."""
        requests = self._requests
        self._stage = advance_input(self._stage, InputStep.ASK)
        self._asked = event.request_id
        requests.hold(event)

        def decided(admitted: Admitted) -> None:
            if not requests.is_over and self._asked is not None:
                self._accept(event, admitted)

        def refused(failure: Failure) -> None:
            failure.trap(ExchangeRefusedError, CommandError, ServerError)
            if not requests.is_over and self._asked is not None:
                requests.refuse(event, failure.value)

        asked.addCallbacks(decided, refused).addCallback(lambda _: self._go_on()).addErrback(
            self._on_bug
        )

    def _on_bug(self, failure: Failure) -> None:
        # A callback that raised has left the flag set; without this, input would stop for ever.
        self._is_working = False
        self._requests.on_bug(failure)
