"""The Responder: runs the commands of one connection and sends what they give.

The same for every transport. It owns which commands run, how far output may run ahead of the peer
and input ahead of the commands, and what a failure becomes. What bytes travel in, and what an
answer outside of the frames looks like, is the sink's.
"""

from __future__ import annotations

from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.commands.arguments import check_arguments
from wiredaemon.commands.running import (
    Waiting,
    is_async_objects,
    is_objects,
    present,
    read_arguments,
    step,
)
from wiredaemon.net.beside import BesideResult
from wiredaemon.net.blocking import BlockingContext, run_in_thread
from wiredaemon.net.command_data import NO_DATA, IncomingData
from wiredaemon.net.context import CommandContext
from wiredaemon.net.job import END, Job
from wiredaemon.net.sink import Admission, ExchangeRefusedError, Sink
from wiredaemon.protocol import (
    ConnectionFailed,
    DataReceived,
    RemoteProtocolError,
    RequestAborted,
    RequestCompleted,
    RequestReceived,
)
from wiredaemon.protocol.responses import is_worth_a_thread
from wiredaemon.wire.cbor import UnencodableError
from wiredaemon.wire.dialects import FrameType, ResponseForm
from wiredaemon.wire.payloads import format_message
from wiredaemon.wire.values import RawBytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.commands import TextForm
    from wiredaemon.net.context import Beside
    from wiredaemon.net.sink import Admitted
    from wiredaemon.protocol import ServerConnection
    from wiredaemon.protocol.events import ServerEvent
    from wiredaemon.protocol.responses import EncodingWork
    from wiredaemon.wire.limits import Limits

_CRASHED: Final = b"the command failed; the server's log says why"
_UNSENDABLE: Final = b"the result of the command cannot be sent; the server's log says why"
_VALUES: Final = frozenset({RawBytes, bytes, str, int, bool, dict, list, type(None)})
"""What most commands give: known at one look to be neither objects nor something to wait for."""


@implementer(IPushProducer)
class Responder:
    """Runs the commands of one connection."""

    _log = Logger()

    def __init__(  # noqa: PLR0913 its collaborators
        self,
        connection: ServerConnection,
        sink: Sink,
        admission: Admission,
        *,
        half_duplex: bool,
        reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
        limits: Limits,
    ) -> None:
        """Begin with nothing received.

        Args:
            connection: Says what bytes mean.
            sink: Takes what is to be sent.
            admission: Decides what may run.
            half_duplex: Commands run one after another, in the order they became complete.
            reactor: For threads and for taking turns.
            limits: How much may wait, and run.
        """
        self._connection = connection
        self._sink = sink
        self._admission = admission
        self._dialect = connection.dialect
        self._is_text = self._dialect.response is ResponseForm.TEXT
        self._is_strict = self._dialect.strict_arguments
        self._most_running = 1 if half_duplex else limits.running_commands
        self._waits_for_end = half_duplex and self._dialect.runs_at_end
        self._reactor = reactor
        self._limits = limits
        self._held: dict[int, RequestReceived] = {}
        """Requests whose undeclared data is not complete."""
        self._dropped: dict[int, int] = {}
        """Bytes of undeclared data, by request."""
        self._deciding: Deferred[None] | None = None
        """It is being asked whether a request may run."""
        self._backlog: list[ServerEvent] = []
        """What came behind that request."""
        # A list, though it is taken from the front: it is short, and an empty deque is not small.
        self._queue: list[Job] = []
        self._running: dict[int, Job] = {}
        self._aborted: list[RequestAborted] = []
        """Requests that ended half way."""
        self._completed = 0
        """Requests that arrived whole."""
        self._fed: IncomingData | None = None
        """Data that its command was not told of yet."""
        self._is_reading = False
        self._end_is_due = False
        """Input has ended behind what was not looked at yet."""
        self._input_ended = False
        self._input_paused = False
        self._output_paused = False
        self._is_starting = False
        self._over = False

    # --- input -------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer."""
        self._receive(self._connection.receive_data(data))

    def _read_on(self) -> None:
        """Take what the connection holds back until requests in front of it are answered."""
        self._is_reading = True
        while self._connection.pending and not (self._over or self._deciding):
            events = self._connection.receive_data(b"")
            if not events:
                if not self._input_paused:
                    self._pause_input()
                break
            self._receive(events)
        self._is_reading = False
        if not (self._connection.pending or self._deciding):
            self._resume_input()
            if self._end_is_due:
                self._end_is_due = False
                self.receive_end()

    def receive_end(self) -> None:
        """Say that no more bytes follow."""
        if self._over:
            return
        if self._deciding or self._connection.pending:
            self._end_is_due = True
            return
        was_held = self._connection.output_held
        events = self._connection.receive_end()
        aborted = [event for event in events if isinstance(event, RequestAborted)]
        if aborted and was_held and not self._completed:
            # Not by `_fail`: the end of input has released the output, and this is no frame.
            self._stop()
            self._sink.connection_failed(RemoteProtocolError(aborted[0].reason, malformed=True))
            return
        self._receive(events)
        self._input_ended = True
        self._advance_all()

    def connection_lost(self) -> None:
        """Stop everything: nobody is there any more."""
        self._stop()

    def _receive(self, events: Sequence[ServerEvent]) -> None:
        for event in events:
            if self._over:
                return
            if self._deciding:
                self._backlog.append(event)
            elif type(event) is RequestReceived and not event.has_data:
                self._completed += 1
                self._admit(event)
            elif type(event) is DataReceived:
                self._on_data(event)
            else:
                self._on_event(event)
            # Before later frames count: what a command does must not depend on how input was cut.
            if self._queue:
                self._start_ready()
        if self._fed is not None:
            self._wake_fed()
        self._settle()

    def _on_event(self, event: ServerEvent) -> None:
        match event:
            case RequestReceived():
                if self._admission.expects_data(event):
                    self._admit(event)
                else:
                    self._held[event.request_id] = event
            case RequestCompleted():
                self._completed += 1
                self._on_completed(event.request_id)
            case RequestAborted():
                self._on_aborted(event)
            case ConnectionFailed():
                self._fail(event.error)

    def _on_data(self, event: DataReceived) -> None:
        job = self._running.get(event.request_id) or self._find(event.request_id)
        if self._fed is not None and (job is None or job.data is not self._fed):
            self._wake_fed()
        if job is not None:
            self._feed(job, event.data)
            return
        if event.request_id not in self._held:
            return  # its command has ended already
        dropped = self._dropped.get(event.request_id, 0) + len(event.data)
        self._dropped[event.request_id] = dropped
        if dropped > self._limits.undeclared_data:
            message = (
                f"data of request {event.request_id}, whose command takes none, exceeds the "
                f"limit of {self._limits.undeclared_data} bytes (undeclared_data)"
            )
            self._fail(RemoteProtocolError(message, malformed=True))

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
            self._wake_fed()
        if job.data.size > self._limits.buffered_data and not self._is_running(job):
            self._settle()  # it may have come in the same read
        if self._over or job.data.size <= self._limits.buffered_data:
            return
        if not self._is_running(job):
            message = (
                f"data of request {job.request_id} has to wait for an earlier command and "
                f"exceeds the limit of {self._limits.buffered_data} bytes (buffered_data)"
            )
            self._fail(RemoteProtocolError(message, malformed=True))
            return
        self._pause_input()

    def _wake_fed(self) -> None:
        """Let the command that was fed take its data, once for all that was read."""
        fed, self._fed = self._fed, None
        if fed is not None:
            fed.wake()

    def _pause_input(self) -> None:
        self._input_paused = True
        self._sink.pause_input()

    def _resume_input(self) -> None:
        """Let the peer go on, if nothing is against it any more."""
        if not self._input_paused or self._over or self._deciding or self._connection.pending:
            return
        if self._output_paused and self._queue:
            return
        if all(job.data.size <= self._limits.buffered_data // 2 for job in self._running.values()):
            self._input_paused = False
            self._sink.resume_input()

    def _on_completed(self, request_id: int) -> None:
        job = self._find(request_id)
        if job is not None:
            if isinstance(job.data, IncomingData):
                job.data.receive_end()
            return
        event = self._held.pop(request_id, None)
        if event is not None:
            self._dropped.pop(request_id, None)
            self._admit(event)

    def _on_aborted(self, event: RequestAborted) -> None:
        self._held.pop(event.request_id, None)
        job = self._find(event.request_id)
        if job is not None and isinstance(job.data, IncomingData):
            job.data.abort(event.reason)
        elif job is None:
            self._aborted.append(event)

    def _beside(self, event: RequestReceived) -> Beside | None:
        """Give what takes text and progress, if the request says that its peer takes them.

        No protocol says how a peer could tell; Mercurial's clients hang on such frames. Ours put
        ``accepts: [text-output, progress]`` into the request map, where others ignore it.
        """
        accepts = event.extra.get(b"accepts")
        if FrameType.PROGRESS not in self._dialect.frames or not isinstance(accepts, list):
            return None
        return BesideResult(self._connection, event.request_id, accepts, self._flush)

    def _find(self, request_id: int) -> Job | None:
        job = self._running.get(request_id)
        if job is None:
            job = next((each for each in self._queue if each.request_id == request_id), None)
        return job

    # --- running -----------------------------------------------------------------------------

    def _admit(self, event: RequestReceived) -> None:
        try:
            admitted = self._admission.admit(event)
        except (ExchangeRefusedError, CommandError, ServerError) as error:
            self._refuse(event, error)
            return
        if isinstance(admitted, Deferred):
            self._decide_later(event, admitted)
        else:
            self._accept(event, admitted)

    def _accept(self, event: RequestReceived, admitted: Admitted) -> None:
        command, origin = admitted
        reads_data = event.has_data and command.has_data
        data = IncomingData(self._resume_input) if reads_data else NO_DATA
        beside = self._beside(event) if event.extra else None
        job = Job(event, command, CommandContext(origin, data, command.permission, beside))
        if reads_data:
            job.data = data
        if self._queue or self._is_starting or not self._may_start(job):
            self._queue.append(job)
        else:
            self._is_starting = True
            self._start(job)
            self._is_starting = False

    def _refuse(self, event: RequestReceived, error: BaseException | None) -> None:
        if isinstance(error, ExchangeRefusedError):
            self._stop()
            self._sink.refused(error.answer)
        elif isinstance(error, CommandError | ServerError):
            self._send_failure(event.request_id, error)

    def _decide_later(self, event: RequestReceived, asked: Deferred[Admitted]) -> None:
        """Look at nothing else until it is known whether a request may run."""

        def decided(admitted: Admitted) -> None:
            if not self._over:
                self._accept(event, admitted)

        def refused(failure: Failure) -> None:
            failure.trap(ExchangeRefusedError, CommandError, ServerError)
            if not self._over:
                self._refuse(event, failure.value)

        def go_on(_: object) -> None:
            self._deciding = None
            if self._over:
                return
            backlog, self._backlog = self._backlog, []
            self._receive(backlog)
            self._read_on()

        self._deciding = deciding = asked.addCallbacks(decided, refused).addCallback(go_on)
        if deciding.called:
            self._deciding = None
        else:
            self._pause_input()
        deciding.addErrback(self._on_bug)

    def _settle(self) -> None:
        """Start what may start, send what may be sent, and see whether all is done."""
        if self._queue:
            self._start_ready()
        if self._over or self._is_starting:
            return
        self._flush()
        if self._output_paused and self._queue and not self._input_paused:
            # More requests would only wait as well.
            self._pause_input()
        if self._connection.pending and not self._is_reading:
            self._read_on()
        if self._input_ended and not self._queue and not self._running:
            self._finish()

    def _start_ready(self) -> None:
        if self._is_starting:
            return  # a command that did not wait long; the loop below goes on
        self._is_starting = True
        try:
            connection, queue = self._connection, self._queue
            while queue and not self._over and self._may_start(queue[0]):
                self._start(queue.pop(0))
                if connection.output_size >= self._limits.output_high and not connection.failed:
                    self._flush()  # the peer may have had enough
        finally:
            self._is_starting = False

    def _finish(self) -> None:
        """Answer what was never complete, behind all that was, and end."""
        for event in self._aborted:
            self._connection.send_error(event.request_id, event.reason.replace("%", "%%").encode())
        self._flush()
        self._over = True
        self._sink.responses_finished()

    def _may_start(self, job: Job) -> bool:
        if len(self._running) >= self._most_running or self._output_paused:
            return False
        return self._input_ended or not self._waits_for_end or job.command.has_data

    def _start(self, job: Job) -> None:
        """Call a command; most have given their result with that."""
        command = job.command
        try:
            if self._is_text:
                keywords = read_arguments(command, job.arguments, self._dialect)
            else:
                keywords = check_arguments(command.arguments, job.arguments, strict=self._is_strict)
            if command.is_blocking:
                self._running[job.request_id] = job
                self._start_blocking(job, keywords)
                return
            result = command.function(job.context, **keywords)
            if type(result) is CoroutineType:
                result = step(result)
            if (
                type(result) in _VALUES
                and job.data is NO_DATA
                and not self._is_text
                and not (self._connection.encodes and is_worth_a_thread(result))
            ):
                if not self._connection.output_ended:
                    self._connection.send_result(job.request_id, result)
                job.context.cancelled = True
                return
        except Exception:  # noqa: BLE001 a command may raise anything
            self._end_failed(job, Failure())
            return
        self._running[job.request_id] = job
        self._take(job, result)

    def _start_blocking(self, job: Job, keywords: dict[str, object]) -> None:
        context = BlockingContext(job.context, self._reactor)
        job.waiting = run_in_thread(
            self._reactor,
            lambda: job.command.function(context, **keywords),
            lambda objects: Deferred.fromCoroutine(self._deliver(job, objects)),
            END,
        )
        self._await(job)

    def _take(self, job: Job, result: Any) -> None:  # noqa: ANN401 whatever a command gives
        """Go on with what a command gave so far.

        If input has failed behind it, the answer goes nowhere and the command is stopped in a
        moment.
        """
        if isinstance(result, Waiting):
            job.waiting = Deferred.fromCoroutine(result.coroutine)
            self._await(job)
        elif isinstance(result, Deferred):
            job.waiting = result
            self._await(job)
        elif is_objects(result) or is_async_objects(result):
            job.objects = result
            if not self._connection.output_ended:
                self._advance(job)
        elif self._connection.output_ended:
            self._end(job)
        else:
            self._end_with(job, result)

    def _await(self, job: Job) -> None:
        """Go on when what the job waits for has come."""
        waiting = cast("Deferred[Any]", job.waiting)

        def received(result: Any) -> None:  # noqa: ANN401 whatever a command gives
            job.waiting = None
            if not self._is_running(job):
                job.close()
                return
            if job.objects is None or result is END:
                self._take(job, result)
            else:
                self._take_object(job, result)
            self._settle()

        def failed(failure: Failure) -> None:
            job.waiting = None
            if self._is_running(job):
                self._end_failed(job, failure)
                self._settle()

        waiting.addCallbacks(received, failed)
        waiting.addErrback(self._on_bug)

    def _is_running(self, job: Job) -> bool:
        """Say whether its answer is still open; a thread may end after that."""
        return self._running.get(job.request_id) is job

    def _on_bug(self, failure: Failure) -> None:
        self._log.failure("a responder broke", failure)
        self._fail(RemoteProtocolError("internal error", malformed=True))

    def _end_with(self, job: Job, result: Any) -> None:  # noqa: ANN401 whatever a command gives
        if result is END:
            self._connection.end_response(job.request_id)
        else:
            try:
                value = present(job.command, result, self._dialect)
                work = self._encoding_work(job, value)
                if work is not None:
                    self._end_behind(job, self._encode_aside(job, work))
                    return
                self._connection.send_result(job.request_id, value)
            except Exception:  # noqa: BLE001 a text form may raise anything
                self._end_failed(job, Failure())
                return
        self._end(job)

    def _end_behind(self, job: Job, sent: Deferred[bool]) -> None:
        """End a request whose only object is encoded aside."""

        def end(is_sent: bool) -> None:  # noqa: FBT001 of a Deferred
            if is_sent:
                self._end_with(job, END)
                self._settle()

        sent.addCallback(end).addErrback(self._on_bug)

    def _end(self, job: Job) -> None:
        self._running.pop(job.request_id, None)
        job.context.cancelled = True
        job.data.discard()
        if self._input_paused:
            self._resume_input()

    # --- objects -----------------------------------------------------------------------------

    def _advance_all(self) -> None:
        """Let every job go on that output had stalled."""
        for job in list(self._running.values()):
            if self._over or self._is_stalled(job):
                break
            if job.room is not None:
                room, job.room = job.room, None
                room.callback(None)
            elif job.is_resting:
                self._advance(job)
        if not self._over:
            self._settle()

    def _advance(self, job: Job) -> None:
        """Send a generator's objects until output has enough for one turn."""
        while self._is_running(job):
            if self._is_stalled(job):
                return
            if self._connection.output_size >= self._limits.output_high and (
                not self._connection.output_held
            ):
                # The others' turn; this one goes on in the next.
                job.turn = self._reactor.callLater(0, self._advance_again, job)
                self._flush()
                return
            try:
                value = job.next_object()
            except Exception:  # noqa: BLE001 a command may raise anything
                self._end_failed(job, Failure())
                return
            if isinstance(value, Waiting):
                job.waiting = Deferred.fromCoroutine(value.coroutine)
                self._await(job)
                return
            if value is END:
                self._end_with(job, END)  # which ends the loop
                continue
            sent = self._send_object(job, value)
            if isinstance(sent, Deferred):
                self._advance_behind(job, sent)
            if sent is not True:
                return

    def _advance_behind(self, job: Job, sent: Deferred[bool]) -> None:
        """Go on with objects behind one that is encoded aside."""

        def advance(is_sent: bool) -> None:  # noqa: FBT001 of a Deferred
            if is_sent:
                self._advance(job)
                self._settle()

        sent.addCallback(advance).addErrback(self._on_bug)

    def _advance_again(self, job: Job) -> None:
        job.turn = None
        self._advance(job)
        if not self._over:
            self._settle()

    def _take_object(self, job: Job, value: Any) -> None:  # noqa: ANN401 whatever a command gives
        """Send an object that had to be waited for, and go on."""
        sent = self._send_object(job, value)
        if isinstance(sent, Deferred):
            self._advance_behind(job, sent)
        elif sent:
            self._advance(job)

    def _send_object(self, job: Job, value: Any) -> bool | Deferred[bool]:  # noqa: ANN401 whatever a command gives
        """Send an object, and say whether it could be; a Deferred where that takes a while."""
        try:
            shown = present(job.command, value, self._dialect)
            work = self._encoding_work(job, shown)
            if work is not None:
                return self._encode_aside(job, work)
            self._connection.send_object(job.request_id, shown)
        except Exception:  # noqa: BLE001 a generator inside a value may raise anything
            self._end_failed(job, Failure())
            return False
        return True

    def _encoding_work(self, job: Job, value: Any) -> EncodingWork | None:  # noqa: ANN401 whatever a command gives
        if not self._connection.encodes:
            return None
        return self._connection.encoding_work(job.request_id, value)

    def _encode_aside(self, job: Job, work: EncodingWork) -> Deferred[bool]:
        """Have a large object content encoded in a thread, and send it; nothing else runs on.

        Returns:
            Fires with False if the request has ended meanwhile. It never fails.
        """

        def encoded(_: None) -> bool:
            job.encoding = None
            if not self._is_running(job):
                return False
            self._connection.send_encoded(job.request_id, work)
            return True

        def failed(failure: Failure) -> bool:
            job.encoding = None
            if self._is_running(job):
                self._on_bug(failure)
            return False

        pool = self._reactor.getThreadPool()
        job.encoding = deferToThreadPool(self._reactor, pool, work.run)
        return job.encoding.addCallback(encoded).addErrback(failed)

    async def _deliver(self, job: Job, objects: Sequence[Any]) -> None:
        """Take objects from a thread; it goes on when there is room for more."""
        if not self._is_running(job):
            raise CancelledError
        for value in objects:
            sent = self._send_object(job, value)
            if isinstance(sent, Deferred):
                sent = await sent
            if not sent:
                self._settle()
                raise CancelledError
        self._flush()
        if not self._is_running(job):
            raise CancelledError
        if self._is_stalled(job):
            job.room = Deferred()
            await job.room

    def _is_stalled(self, job: Job) -> bool:
        """Say whether output has no room; a job that still reads its data makes room."""
        if self._output_paused:
            return True
        if (
            not self._connection.output_held
            or self._connection.output_size < self._limits.output_high
        ):
            return False
        if job.command.has_data and not job.data.ended:
            self._connection.release_output()
            self._flush()
            return self._output_paused
        return True

    # --- failures ----------------------------------------------------------------------------

    def _end_failed(self, job: Job, failure: Failure) -> None:
        """Answer a request whose command failed."""
        error = failure.value
        if not isinstance(error, CommandError | ServerError):
            self._log.failure(
                "command {command} failed for {peer}",
                failure,
                command=job.command.name,
                peer=job.context.peer.address,
            )
            shown = _UNSENDABLE if isinstance(error, UnencodableError) else _CRASHED
            self._send_failure(job.request_id, ServerError(shown))
        else:
            self._send_failure(job.request_id, error, job.command.text)
        self._end(job)
        job.close()

    def _send_failure(
        self, request_id: int, error: CommandError | ServerError, text: TextForm | None = None
    ) -> None:
        """Send a failure in the dialect's form; ``text`` is the command's, if it has one."""
        if self._connection.output_ended:
            return  # the input behind the request was broken: nothing more is answered
        if self._is_text and text is not None and text.failure is not None:
            self._connection.send_result(request_id, text.failure(_text_of(error)))
        elif isinstance(error, CommandError):
            self._connection.send_error(request_id, error.message, error.arguments)
        else:
            self._connection.send_server_error(request_id, error.text)

    def _fail(self, error: RemoteProtocolError) -> None:
        if self._over:
            return
        if not self._connection.failed:
            self._connection.fail(error)
        self._flush()
        self._stop()
        self._sink.connection_failed(error)

    def _stop(self) -> None:
        """Cancel every command."""
        self._over = True
        jobs = [*self._running.values(), *self._queue]
        self._running.clear()
        self._queue.clear()
        for job in jobs:
            job.cancel()

    # --- output ------------------------------------------------------------------------------

    def _flush(self) -> None:
        if self._deciding and self._connection.failed:
            return  # the error belongs behind the answer to the request in front of it
        frames = self._connection.data_to_send()
        if frames:
            self._sink.write_frames(frames)

    def pauseProducing(self) -> None:
        """The peer takes no more for now."""
        self._output_paused = True

    def resumeProducing(self) -> None:
        """The peer takes more."""
        self._output_paused = False
        if not self._over:
            self._advance_all()
            self._resume_input()

    def stopProducing(self) -> None:
        """The transport has gone."""
        self._stop()


def _text_of(error: CommandError | ServerError) -> bytes:
    if isinstance(error, CommandError):
        return format_message(error.message, error.arguments)
    return error.text
