"""The input of one connection: requests to be admitted, data for their commands, the end.

Owns how far input may run ahead of the commands: what waits to be looked at, and when the peer is
paused. The transport owns this object and feeds it; what becomes of an admitted request is for the
`Requests`, the Responder.

Source: server-state-machine, section 1; reliability, section 3.
"""

from __future__ import annotations

from enum import IntEnum, auto
from typing import TYPE_CHECKING, Final

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.net.responding.command_data import NO_DATA, IncomingData
from wiredaemon.net.responding.interfaces import Admitted, ExchangeRefusedError, Load
from wiredaemon.protocol import (
    ConnectionFailed,
    DataReceived,
    LocalProtocolError,
    RemoteProtocolError,
    RequestAborted,
    RequestCompleted,
    RequestReceived,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from wiredaemon.net.responding.interfaces import (
        Admission,
        InputTransport,
        Requests,
    )
    from wiredaemon.protocol import ServerConnection
    from wiredaemon.protocol.events import ServerEvent
    from wiredaemon.wire.limits import Limits


# Enums of integers, for the tables are asked for each read: other members are hashed in Python.


class Stage(IntEnum):
    """How far the input of a connection has come."""

    OPEN = auto()
    DECIDING = auto()
    """It is asked whether a request may run; what came behind it is not looked at."""
    ENDING = auto()
    """The peer has sent all, and frames of it are not looked at yet."""
    DECIDING_LAST = auto()
    """As `DECIDING`, and the peer has sent all."""
    ENDED = auto()


class Step(IntEnum):
    """What moves the input from one stage to another."""

    ASK = auto()
    DECIDED = auto()
    PEER_ENDED = auto()
    ALL_SEEN = auto()


STAGES: Final[Mapping[tuple[Stage, Step], Stage]] = {
    (Stage.OPEN, Step.ASK): Stage.DECIDING,
    (Stage.OPEN, Step.PEER_ENDED): Stage.ENDING,
    (Stage.DECIDING, Step.DECIDED): Stage.OPEN,
    (Stage.DECIDING, Step.PEER_ENDED): Stage.DECIDING_LAST,
    (Stage.ENDING, Step.ASK): Stage.DECIDING_LAST,
    (Stage.ENDING, Step.ALL_SEEN): Stage.ENDED,
    (Stage.DECIDING_LAST, Step.DECIDED): Stage.ENDING,
}
_DECIDING: Final = frozenset({Stage.DECIDING, Stage.DECIDING_LAST})


def advance(stage: Stage, step: Step) -> Stage:
    """Return the stage that follows.

    Raises:
        LocalProtocolError: The step is not possible in that stage.
    """
    try:
        return STAGES[stage, step]
    except KeyError:
        raise LocalProtocolError(f"{step.name} while {stage.name}") from None


class Backlog(IntEnum):
    """What a connection has received and nobody has taken."""

    NOTHING = auto()
    FRAMES = auto()
    """Frames wait inside: as many requests as may be are not answered."""
    DECISION = auto()
    """Events wait behind a request that is being decided."""
    DATA = auto()
    """A running command does not take its data as fast as it comes."""


MAY_READ: Final[Mapping[tuple[Backlog, Load], bool]] = {
    (Backlog.NOTHING, Load.ANSWERING): True,
    (Backlog.NOTHING, Load.NEEDING_DATA): True,
    # Requests that came now would only wait as well.
    (Backlog.NOTHING, Load.BLOCKED): False,
    (Backlog.FRAMES, Load.ANSWERING): False,
    # More bytes would wait behind the same frames; those are read beyond the limit instead.
    (Backlog.FRAMES, Load.NEEDING_DATA): False,
    (Backlog.FRAMES, Load.BLOCKED): False,
    (Backlog.DECISION, Load.ANSWERING): False,
    (Backlog.DECISION, Load.NEEDING_DATA): False,
    (Backlog.DECISION, Load.BLOCKED): False,
    (Backlog.DATA, Load.ANSWERING): False,
    (Backlog.DATA, Load.NEEDING_DATA): False,
    (Backlog.DATA, Load.BLOCKED): False,
}
"""Whether the peer is read from: the one place that decides it."""


class ConnectionInput:
    """Takes the bytes of one connection and admits the requests in them.

    Args:
        connection: Says what the bytes mean.
        transport: Is paused while too much waits.
        admission: Decides what may run.
        requests: Runs what is admitted.
        limits: How much may wait.
    """

    __slots__ = (
        "_aborted",
        "_admission",
        "_backlog",
        "_completed",
        "_connection",
        "_data",
        "_is_paused",
        "_is_working",
        "_limits",
        "_requests",
        "_stage",
        "_transport",
        "_unfed",
        "_unwanted",
    )

    def __init__(
        self,
        connection: ServerConnection,
        transport: InputTransport,
        admission: Admission,
        requests: Requests,
        limits: Limits,
    ) -> None:
        self._connection = connection
        self._transport = transport
        self._admission = admission
        self._requests = requests
        self._limits = limits
        self._stage = Stage.OPEN
        self._backlog: list[ServerEvent] = []
        """Events behind a request that is being decided."""
        self._unwanted: dict[int, tuple[RequestReceived, int]] = {}
        """Requests whose commands take no data, until it is complete, and its bytes so far."""
        self._data: dict[int, tuple[IncomingData, int]] = {}
        """The data of requests that is not complete, and how many bytes of it there may be."""
        self._unfed: IncomingData | None = None
        """Data that was received in this read and whose command has not been woken."""
        self._completed = False
        """A request has arrived whole."""
        self._aborted: list[RequestAborted] = []
        """Requests that ended half way and were never admitted."""
        self._is_working = False
        """Events are being handled: whoever calls back meanwhile leaves the rest to that."""
        self._is_paused = False

    # --- bytes -------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer, in any cuts."""
        was_paused = self._is_paused
        self._is_working = True
        self._receive(self._connection.receive_data(data))
        self._is_working = False
        self.proceed()
        if was_paused and self._is_paused and self._data:
            # TLS delivers a few records more after a pause, and command data may be many of them.
            self._transport.pause_input()

    def receive_end(self) -> None:
        """Note that no more bytes follow."""
        if not self._requests.is_over:
            self._stage = advance(self._stage, Step.PEER_ENDED)
            self.proceed()

    def proceed(self) -> None:
        """Look at what waits inside, and read from the peer or pause it.

        The Responder calls this whenever a request has ended or the peer takes answers again.
        """
        connection, requests = self._connection, self._requests
        if self._is_working or requests.is_over:
            return
        pending = connection.pending
        if pending:
            self._read_on()
            pending = connection.pending
        stage = self._stage
        if stage is Stage.ENDING and not pending:
            self._end()
        if stage is Stage.OPEN and not pending and not self._data:
            self._regulate(Backlog.NOTHING)  # nearly always, so nothing else is looked at
        else:
            self._regulate(self._waiting())

    def _read_on(self) -> None:
        """Take the frames that wait inside, as far as requests in front of them were answered."""
        self._is_working = True
        connection, requests = self._connection, self._requests
        while connection.pending and not requests.is_over and self._stage not in _DECIDING:
            # Commands that wait for data would wait for ever if it lies behind other requests.
            beyond = requests.load() is Load.NEEDING_DATA
            events = connection.receive_data(b"", beyond=beyond)
            if not events and connection.pending:
                break
            self._receive(events)
        self._is_working = False

    def _end(self) -> None:
        """Handle the end of input, once all in front of it was looked at."""
        self._stage = advance(self._stage, Step.ALL_SEEN)
        was_held = self._connection.output_held
        events = self._connection.receive_end()
        aborted = next((event for event in events if isinstance(event, RequestAborted)), None)
        if aborted is not None and was_held and not self._completed:
            # No failure like others: the end of input has released the output, so an error frame
            # would be the answer, where there is none of frames.
            self._requests.abandon(RemoteProtocolError(aborted.reason, malformed=True))
            return
        if events:
            self._is_working = True
            self._receive(events)
            self._is_working = False
        if not self._requests.is_over:
            self._requests.receive_end(self._aborted)

    # --- the peer ----------------------------------------------------------------------------

    def _regulate(self, backlog: Backlog) -> None:
        """Pause the peer or go on reading, where the table says other than what is."""
        requests = self._requests
        if requests.is_over:
            return
        # Behind the end nothing is read, but who was paused in front of it must not stay so.
        may_read = self._stage is Stage.ENDED or MAY_READ[backlog, requests.load()]
        if may_read is not self._is_paused:
            return
        self._is_paused = not self._is_paused
        if self._is_paused:
            self._transport.pause_input()
        else:
            self._transport.resume_input()

    def _waiting(self) -> Backlog:
        if self._stage in _DECIDING:
            return Backlog.DECISION
        if self._connection.pending:
            return Backlog.FRAMES
        if self._data:
            # Paused at the limit, read on at half of it: else each piece would pause and resume.
            limit = self._limits.buffered_data
            most = limit // 2 if self._is_paused else limit
            for request_id, (data, _) in self._data.items():
                if data.size > most and self._requests.find(request_id) is not None:
                    return Backlog.DATA
        return Backlog.NOTHING

    def _on_data_taken(self) -> None:
        if self._is_paused and not self._is_working:
            self._regulate(self._waiting())

    # --- events ------------------------------------------------------------------------------

    def _receive(self, events: Sequence[ServerEvent]) -> None:
        requests = self._requests
        self._admission.begin_read()
        for event in events:
            if requests.is_over:
                return
            if self._stage in _DECIDING:
                self._backlog.append(event)
            elif type(event) is RequestReceived and not event.has_data:
                self._completed = True
                self._admit(event)
            elif type(event) is DataReceived:
                self._on_data(event)
            else:
                self._on_event(event)
        if self._unfed is not None:
            self._wake_unfed()
        requests.settle()

    def _on_event(self, event: ServerEvent) -> None:
        match event:
            case RequestReceived():
                if self._admission.expects_data(event):
                    self._admit(event)
                else:
                    self._unwanted[event.request_id] = (event, 0)
            case RequestCompleted():
                self._completed = True
                self._on_completed(event.request_id)
            case RequestAborted():
                self._on_aborted(event)
            case ConnectionFailed():
                self._requests.fail(event.error)

    def _on_completed(self, request_id: int) -> None:
        fed = self._data.pop(request_id, None)
        if fed is not None:
            fed[0].receive_end()
        elif request_id in self._unwanted:
            self._admit(self._unwanted.pop(request_id)[0])

    def _on_aborted(self, event: RequestAborted) -> None:
        self._unwanted.pop(event.request_id, None)
        fed = self._data.pop(event.request_id, None)
        if fed is not None:
            fed[0].abort(event.reason)
        else:
            self._aborted.append(event)

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
        """Hand on a request, with its data if the command takes any."""
        command = admitted.command
        if not (event.has_data and command.has_data):
            self._requests.accept(event, admitted, NO_DATA)
            return
        data = IncomingData(self._on_data_taken)
        limit = command.data_limit
        self._data[event.request_id] = (
            data,
            self._limits.command_data if limit is None else limit,
        )
        self._requests.accept(event, admitted, data)

    def _decide_later(self, event: RequestReceived, asked: Deferred[Admitted]) -> None:
        """Look at nothing else until it is known whether a request may run."""
        requests = self._requests
        self._stage = advance(self._stage, Step.ASK)

        def decided(admitted: Admitted) -> None:
            if not requests.is_over:
                self._accept(event, admitted)

        def refused(failure: Failure) -> None:
            failure.trap(ExchangeRefusedError, CommandError, ServerError)
            if not requests.is_over:
                requests.refuse(event, failure.value)

        def go_on(_: object) -> None:
            self._stage = advance(self._stage, Step.DECIDED)
            if requests.is_over or self._is_working:
                return  # decided at once: the events behind it are still being handled
            backlog, self._backlog = self._backlog, []
            self._is_working = True
            self._receive(backlog)
            self._is_working = False
            self.proceed()

        asked.addCallbacks(decided, refused).addCallback(go_on).addErrback(self._on_bug)

    def _on_bug(self, failure: Failure) -> None:
        self._is_working = False
        self._requests.on_bug(failure)

    # --- data --------------------------------------------------------------------------------

    def _on_data(self, event: DataReceived) -> None:
        fed = self._data.get(event.request_id)
        if self._unfed is not None and (fed is None or fed[0] is not self._unfed):
            self._wake_unfed()
        if fed is not None:
            self._feed(event.request_id, *fed, event.data)
        elif event.request_id in self._unwanted:
            self._drop(event)

    def _drop(self, event: DataReceived) -> None:
        request, dropped = self._unwanted[event.request_id]
        dropped += len(event.data)
        self._unwanted[event.request_id] = (request, dropped)
        if dropped > self._limits.undeclared_data:
            message = (
                f"data of request {event.request_id}, whose command takes none, exceeds the "
                f"limit of {self._limits.undeclared_data} bytes (undeclared_data)"
            )
            self._requests.fail(RemoteProtocolError(message, malformed=True))

    def _feed(self, request_id: int, data: IncomingData, limit: int, piece: bytes) -> None:
        if data.ended:
            return
        if data.received + len(piece) > limit:
            data.abort(f"command data exceeds the limit of {limit} bytes (command_data)")
            return
        data.hold(piece)
        self._unfed = data
        if data.size > self._limits.buffered_data:
            self._on_too_much(request_id, data)

    def _on_too_much(self, request_id: int, data: IncomingData) -> None:
        """Let a command take its data now; the peer is paused behind this read if it does not."""
        requests, limit = self._requests, self._limits.buffered_data
        self._wake_unfed()
        if data.size > limit and requests.find(request_id) is None:
            requests.settle()  # the request may have come in the same read
        if requests.is_over or data.size <= limit or requests.find(request_id) is not None:
            return
        message = (
            f"data of request {request_id} has to wait for an earlier command and "
            f"exceeds the limit of {limit} bytes (buffered_data)"
        )
        requests.fail(RemoteProtocolError(message, malformed=True))

    def _wake_unfed(self) -> None:
        """Wake the command whose data has come, once for all that was read of it."""
        unfed, self._unfed = self._unfed, None
        if unfed is not None:
            unfed.wake()
