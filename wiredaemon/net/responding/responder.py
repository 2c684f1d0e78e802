"""The Responder: runs the commands of one connection and sends their results.

Owns which commands run, in which order, how far output may run ahead of the peer, and the answers
to failures. The transport owns answers outside of frames; the `ConnectionInput` owns the input.
"""

from __future__ import annotations

from types import CoroutineType
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger
from twisted.python.failure import Failure

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.commands.arguments import take_exact
from wiredaemon.commands.running import PLAIN, read_arguments, step
from wiredaemon.net.guard.turns import SECONDS
from wiredaemon.net.responding.blocking_request import BlockingRequest
from wiredaemon.net.responding.cancelling import stop_request
from wiredaemon.net.responding.command_data import NO_DATA
from wiredaemon.net.responding.context import CommandContext, complete_context
from wiredaemon.net.responding.deadlines import TIMEOUT, Deadlines
from wiredaemon.net.responding.failures import answer_failure, send_failure
from wiredaemon.net.responding.interfaces import NO_SOURCE, ExchangeRefusedError, Load
from wiredaemon.net.responding.responder_output import ResponderOutput
from wiredaemon.net.responding.running_request import RunningRequest
from wiredaemon.protocol import RemoteProtocolError
from wiredaemon.protocol.responses import is_worth_a_thread
from wiredaemon.wire.dialects import ResponseForm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.commands import Command
    from wiredaemon.net.guard.command_threads import CommandThreads
    from wiredaemon.net.guard.output_room import OutputRoom
    from wiredaemon.net.guard.turns import Turns
    from wiredaemon.net.responding.command_data import IncomingData, NoData
    from wiredaemon.net.responding.interfaces import Admitted, ResponseTransport
    from wiredaemon.protocol import RequestAborted, RequestReceived, ServerConnection
    from wiredaemon.wire.limits import Limits


# Shared by idle connections: a list of its own takes 72 bytes of each, and a deque 776.
_NO_QUEUE: Final[list[tuple[RequestReceived, Admitted, IncomingData | NoData]]] = []


class Responder(ResponderOutput):
    """Runs the commands of one connection.

    Implements `interfaces.Requests` for the connection's input, and `interfaces.Owner` for requests
    that do not end at once. Most do: `accept` answers them without an object of their own.

    Args:
        connection: Encodes results as frames.
        transport: Sends them.
        half_duplex: Commands run one after another, in the order in which they became complete.
        threads: Run the commands that block.
        limits: Bounds the commands that run.
        turns: Shares the time of the reactor among connections.
        room: Shares the memory for output.
    """

    _log = Logger()
    __slots__ = (
        "_aborted",
        "_has_all_input",
        "_is_starting",
        "_most_running",
        "_queue",
        "_waits_for_end",
        "deadlines",
        "dialect",
        "is_full_duplex",
        "is_text",
        "running",
        "stopping",
        "threads",
        "turns",
    )

    def __init__(  # noqa: PLR0913 all that running commands needs
        self,
        connection: ServerConnection,
        transport: ResponseTransport,
        *,
        half_duplex: bool,
        threads: CommandThreads,
        limits: Limits,
        turns: Turns,
        room: OutputRoom,
    ) -> None:
        super().__init__(connection, transport, room)
        self.dialect = connection.dialect
        self.is_text = self.dialect.response is ResponseForm.TEXT
        self.is_full_duplex = not half_duplex
        self._most_running = 1 if half_duplex else limits.running_commands
        self._waits_for_end = half_duplex and self.dialect.runs_at_end
        """Commands without data wait for the end of input."""
        self.threads, self.turns = threads, turns
        self._queue = _NO_QUEUE
        self.running: dict[int, RunningRequest] = {}
        """Requests whose command was called and that are not answered, by id."""
        self._is_starting = self._has_all_input = False
        self._aborted: Sequence[RequestAborted] = ()
        self.deadlines = Deadlines(threads.reactor)
        self.stopping = 0
        """Cancelled commands whose threads have not returned."""

    # --- requests, for the input -------------------------------------------------------------

    def accept(
        self, event: RequestReceived, admitted: Admitted, data: IncomingData | NoData
    ) -> None:
        """Accept a request that may run; it starts when no request is in front of it."""
        is_alone = not (self.running or self.stopping or self.output_paused or self._waits_for_end)
        may_start = is_alone or self._may_start(admitted.command)  # nearly always without a call
        if self._queue or self._is_starting or not may_start:
            if self._queue is _NO_QUEUE:
                self._queue = []
            self._queue.append((event, admitted, data))
            self.hold(event)
            return
        self._is_starting = True
        try:
            self._start(event, admitted, data)
        finally:
            self._is_starting = False
        if self.connection.output_size >= self.room.high:
            self.flush()

    def hold(self, event: RequestReceived) -> None:
        """Note that a request waits: its deadline begins."""
        if TIMEOUT in event.extra:
            self.deadlines.hold(event, self)

    def refuse(self, event: RequestReceived, error: BaseException | None) -> None:
        """Answer a request that may not run, or end the whole exchange."""
        self.deadlines.forget(event.request_id)
        if isinstance(error, ExchangeRefusedError):
            self.stop()
            self.transport.refused(error.response)
        elif isinstance(error, CommandError | ServerError):
            send_failure(self.connection, self.transport, event.request_id, error)

    def cancel(self, request_id: int) -> None:
        """Stop a request whose client wants no answer, and say so."""
        if self.connection.is_answerable(request_id):
            self.deadlines.forget(request_id)
            stop_request(self, request_id, self.connection.send_cancelled)

    def take_queued(self, request_id: int) -> IncomingData | NoData | None:
        """Remove a request that has not started, if it is there, and return its data."""
        for number, (event, _, data) in enumerate(self._queue):
            if event.request_id == request_id:
                del self._queue[number]
                return data
        return None

    def load(self) -> Load:
        """Return the state of all requests together."""
        if self.output_paused and self._queue:
            return Load.BLOCKED
        for request in self.running.values():
            data = request.data
            if data.ended or data.size:
                return Load.ANSWERING
        return Load.NEEDING_DATA if self.running else Load.ANSWERING

    def receive_end(self, aborted: Sequence[RequestAborted]) -> None:
        """Note that no request follows; ``aborted`` are those that ended half way."""
        self._has_all_input = True
        self._waits_for_end = False
        self._aborted = aborted
        self._go_on()

    def settle(self) -> None:
        """Start the requests that may start, flush output, and end if all is answered."""
        if self._queue:
            self._start_ready()
        if self.is_over or self._is_starting:
            return
        if self._has_all_input and not self._queue and not self.running:
            self._finish()
        # Else the output is held until the end of input: there is nothing to flush.
        elif self.is_full_duplex or not self.connection.output_held:
            self.flush()

    # --- running -----------------------------------------------------------------------------

    def _may_start(self, command: Command) -> bool:
        running = len(self.running)
        if running >= self._most_running or self.output_paused:
            return False
        # A cancelled command has left its place, but not its thread.
        if self.stopping and command.is_blocking and running + self.stopping >= self._most_running:
            return False
        return not self._waits_for_end or command.has_data

    def _start_ready(self) -> None:
        """Start requests of the queue, as far as they may start now."""
        if self._is_starting:
            return  # called from inside of `_start`: the loop that called it goes on
        self._is_starting, waits = True, False
        ends = self.turns.now() + SECONDS
        try:
            connection, queue, high = self.connection, self._queue, self.room.high
            while queue and not self.is_over and self._may_start(queue[0][1].command) and not waits:
                self._start(*queue.pop(0))
                if connection.output_size >= high:
                    self.flush()
                waits = self.turns.now() >= ends
        finally:
            self._is_starting = waits
        if waits:
            self.turns.wait(self._start_more)

    def _start_more(self) -> None:
        """Go on with the queue: other connections have had their turn."""
        self._is_starting = False
        self.progress()

    def _start(
        self, event: RequestReceived, admitted: Admitted, data: IncomingData | NoData
    ) -> None:
        """Call a command; most return their result at once, and need no `RunningRequest`."""
        command, connection = admitted.command, self.connection
        context = CommandContext(admitted.origin, data, command.permission)
        try:
            if event.extra or event.redirect is not None or command.cacheable:
                self._complete(context, event, command)
            keywords = None if self.is_text else take_exact(command.exact, event.arguments)
            if keywords is None:
                keywords = read_arguments(command, event.arguments, self.dialect)
            if command.is_blocking:
                blocking = BlockingRequest(event.request_id, command, context, data, self)
                self._keep(event, blocking)
                blocking.run_in_thread(keywords)
                return
            result = command.function(context, **keywords)
            if type(result) is CoroutineType:
                # By hand: a Deferred for each command would cost 7 of 17 us (commands/running.py).
                result = step(result)
            if (
                type(result) in PLAIN
                and data is NO_DATA
                and not self.is_text
                and not (connection.encodes and is_worth_a_thread(result))
            ):
                if not connection.output_ended:
                    connection.send_result(event.request_id, result)
                context.cancelled = True
                return
        except Exception:  # noqa: BLE001 a command may raise anything
            answer_failure(connection, self.transport, event.request_id, command, Failure())
            context.cancelled = True
            data.close()
            return
        request = RunningRequest(event.request_id, command, context, data, self)
        self._keep(event, request)
        request.take(result)

    def _complete(self, context: CommandContext, event: RequestReceived, command: Command) -> None:
        """Add to a context what few requests need."""
        complete_context(context, event, command, self.connection, self.flush)
        if TIMEOUT in event.extra:
            self.deadlines.start(event, context)

    def _keep(self, event: RequestReceived, request: RunningRequest) -> None:
        """Keep a request that is not answered at once."""
        self.running[event.request_id] = request
        moment = request.context.deadline
        if moment is not None:
            self.deadlines.watch(event, moment, self)

    def _go_on(self) -> None:
        """Resume every request whose objects had no room, those first that waited longest."""
        # In front: large answers would leave them no room.
        self._start_ready()
        for request_id, request in list(self.running.items()):
            if self.is_over or not self.has_room(request):
                break
            if request_id in self.running:
                self.running[request_id] = self.running.pop(request_id)
                request.go_on()
        if not self.is_over:
            self.settle()

    def _finish(self) -> None:
        """Answer the requests that were never complete, after all that were, and end."""
        for event in self._aborted:
            self.connection.send_error(event.request_id, event.reason.replace("%", "%%").encode())
        self.is_over = True
        self._forget_callbacks()
        self.transport.responses_finished(self.connection)

    # --- for running requests ----------------------------------------------------------------

    def progress(self) -> None:
        """Start requests, flush output and resume input, as far as an event allows it."""
        if not self.is_over:
            self.settle()
            if not self._has_all_input:  # else there is nothing to go on with
                self.source.proceed()

    def on_failed(self, request: RunningRequest, failure: Failure) -> None:
        """Answer a request whose command failed."""
        answer_failure(
            self.connection, self.transport, request.request_id, request.command, failure
        )
        request.end_failed()

    # --- failures ----------------------------------------------------------------------------

    def on_bug(self, failure: Failure) -> None:
        """Log what must not happen, and give up the connection."""
        self._log.failure("a responder broke", failure)
        self.fail(RemoteProtocolError("internal error", malformed=True))

    def fail(self, error: RemoteProtocolError) -> None:
        """End the connection for a mistake of the peer, with an error frame if one may be sent."""
        if self.is_over:
            return
        if not self.connection.failed:
            self.connection.fail(error)
        self.transport.send_output(self.connection)
        self.abandon(error)

    def abandon(self, error: RemoteProtocolError) -> None:
        """End an exchange without a complete request: the transport itself answers the error."""
        self.stop()
        self.transport.connection_failed(error)

    def _forget_callbacks(self) -> None:
        # Else cycles would keep the output of the transport.
        self.source = NO_SOURCE
        self.deadlines.stop()

    def stop(self) -> None:
        """Cancel every command."""
        self.is_over = True
        self._forget_callbacks()
        # Emptied first, because a cancelled command may call back.
        work = [*self.running.values(), *(data for _, _, data in self._queue)]
        self.running.clear()
        self._queue.clear()
        self.connection.drop_input()
        for each in work:
            each.cancel()
