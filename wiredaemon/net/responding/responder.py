"""The Responder: runs the commands of one connection and sends what they give.

The same for every transport. It owns which commands run, how far output may run ahead of the peer
and input ahead of the commands, and what a failure becomes. What bytes travel in, and what an
answer outside of the frames looks like, is the sink's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from wiredaemon.commands import CommandError, Followed, ServerError
from wiredaemon.commands.arguments import check_arguments
from wiredaemon.commands.running import (
    Waiting,
    is_async_objects,
    is_objects,
    present,
    read_arguments,
    start,
)
from wiredaemon.net.cache.keys import CachedAs
from wiredaemon.net.responding.blocking import BlockingContext, run_in_thread
from wiredaemon.net.responding.command_data import NO_DATA, IncomingData
from wiredaemon.net.responding.connection_input import Intake
from wiredaemon.net.responding.context import CommandContext
from wiredaemon.net.responding.interfaces import Admission, ExchangeRefusedError, Sink
from wiredaemon.net.responding.running_request import END, Job
from wiredaemon.net.responding.side_output import BesideResult
from wiredaemon.protocol import (
    RemoteProtocolError,
    RequestReceived,
)
from wiredaemon.protocol.responses import MisplacedError, is_worth_a_thread
from wiredaemon.wire.cbor import UnencodableError
from wiredaemon.wire.dialects import FrameType, ResponseForm
from wiredaemon.wire.payloads import format_message
from wiredaemon.wire.values import RawBytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.commands import TextForm
    from wiredaemon.net.responding.context import Beside
    from wiredaemon.net.responding.interfaces import Admitted
    from wiredaemon.protocol import ServerConnection
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

    __slots__ = (
        "_connection",
        "_dialect",
        "_intake",
        "_is_starting",
        "_is_strict",
        "_is_text",
        "_limits",
        "_most_running",
        "_output_paused",
        "_reactor",
        "_sink",
        "_waits_for_end",
        "is_over",
        "queue",
        "running",
    )

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
        self._intake = Intake(connection, sink, admission, self, limits)
        self._dialect = connection.dialect
        self._is_text = self._dialect.response is ResponseForm.TEXT
        self._is_strict = self._dialect.strict_arguments
        self._most_running = 1 if half_duplex else limits.running_commands
        self._waits_for_end = half_duplex and self._dialect.runs_at_end
        self._reactor = reactor
        self._limits = limits
        # A list, though it is taken from the front: it is short, and an empty deque is not small.
        self.queue: list[Job] = []
        self.running: dict[int, Job] = {}
        self._output_paused = False
        self._is_starting = False
        self.is_over = False

    # --- input -------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer."""
        self._intake.receive_data(data)

    def receive_end(self) -> None:
        """Say that no more bytes follow."""
        self._intake.receive_end()

    def connection_lost(self) -> None:
        """Stop everything: nobody is there any more."""
        self.stop()

    # --- requests, for the intake ------------------------------------------------------------

    @property
    def is_stuck(self) -> bool:
        """The peer takes no answers, and requests wait: more would only wait as well."""
        return self._output_paused and bool(self.queue)

    @property
    def is_starving(self) -> bool:
        """Nothing is answered before more data has come."""
        return bool(self.running) and all(job.is_hungry for job in self.running.values())

    def find(self, request_id: int) -> Job | None:
        """Give a request that was accepted and is not answered."""
        job = self.running.get(request_id)
        if job is None and self.queue:
            job = next((each for each in self.queue if each.request_id == request_id), None)
        return job

    def accept(self, event: RequestReceived, admitted: Admitted) -> None:
        """Take a request that may run; it is started if nothing is in front of it."""
        command, origin = admitted
        reads_data = event.has_data and command.has_data
        data = IncomingData(self._intake.resume) if reads_data else NO_DATA
        beside = self._beside(event) if event.extra else None
        context = CommandContext(origin, data, command.permission, beside)
        if event.redirect is not None:
            context.followed = Followed.parse(event.redirect)
        if command.cacheable and self._dialect.response is ResponseForm.OBJECTS:
            context.cached_as = CachedAs(
                command.name.encode(), self._dialect.media_type, self._connection.content_encoding
            )
        job = Job(event, command, context)
        if reads_data:
            job.data = data
        if self.queue or self._is_starting or not self._may_start(job):
            self.queue.append(job)
            return
        self._is_starting = True
        try:
            self._start(job)
        finally:
            self._is_starting = False
        if self._connection.output_size >= self._limits.output_high:
            self._flush_early()

    def refuse(self, event: RequestReceived, error: BaseException | None) -> None:
        """Answer a request that may not run, or end the whole exchange."""
        if isinstance(error, ExchangeRefusedError):
            self.stop()
            self._sink.refused(error.answer)
        elif isinstance(error, CommandError | ServerError):
            self._send_failure(event.request_id, error)

    def _beside(self, event: RequestReceived) -> Beside | None:
        """Give what takes text and progress, if the request says that its peer takes them.

        No protocol says how a peer could tell; Mercurial's clients hang on such frames. Ours put
        ``accepts: [text-output, progress]`` into the request map, where others ignore it.
        """
        accepts = event.extra.get(b"accepts")
        if FrameType.PROGRESS not in self._dialect.frames or not isinstance(accepts, list):
            return None
        return BesideResult(self._connection, event.request_id, accepts, self._flush)

    # --- running -----------------------------------------------------------------------------

    def settle(self) -> None:
        """Start what may start, send what may be sent, and see whether all is done."""
        if self.queue:
            self.start_ready()
        if self.is_over or self._is_starting:
            return
        self._flush()
        if self.is_stuck:
            self._intake.pause_once()
        if self._connection.pending:
            self._intake.read_on()
        if self._intake.ended and not self.queue and not self.running:
            self._finish()

    def start_ready(self) -> None:
        """Start requests that wait for others, or for the peer, as far as they may now."""
        if self._is_starting:
            return  # a command that did not wait long; the loop below goes on
        self._is_starting = True
        try:
            connection, queue = self._connection, self.queue
            while queue and not self.is_over and self._may_start(queue[0]):
                self._start(queue.pop(0))
                if connection.output_size >= self._limits.output_high:
                    self._flush_early()
        finally:
            self._is_starting = False

    def _flush_early(self) -> None:
        """Send in the middle of a read, for the peer may have had enough.

        Where input has failed, answers to what was in front of that are not complete yet.
        """
        if not self._connection.failed:
            self._flush()

    def _finish(self) -> None:
        """Answer what was never complete, behind all that was, and end."""
        for event in self._intake.aborted:
            self._connection.send_error(event.request_id, event.reason.replace("%", "%%").encode())
        self._flush()
        self.is_over = True
        self._sink.responses_finished()

    def _may_start(self, job: Job) -> bool:
        if len(self.running) >= self._most_running or self._output_paused:
            return False
        return self._intake.ended or not self._waits_for_end or job.command.has_data

    def _start(self, job: Job) -> None:
        """Call a command; most have given their result with that."""
        command = job.command
        try:
            if self._is_text:
                keywords = read_arguments(command, job.arguments, self._dialect)
            else:
                keywords = check_arguments(command.arguments, job.arguments, strict=self._is_strict)
            if command.is_blocking:
                self.running[job.request_id] = job
                self._start_blocking(job, keywords)
                return
            result = start(command, job.context, keywords)
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
        self.running[job.request_id] = job
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
            if not self.is_running(job):
                job.close()
                return
            if job.objects is None or result is END:
                self._take(job, result)
            else:
                self._take_object(job, result)
            self.settle()

        def failed(failure: Failure) -> None:
            job.waiting = None
            if self.is_running(job):
                self._end_failed(job, failure)
                self.settle()

        waiting.addCallbacks(received, failed)
        waiting.addErrback(self.on_bug)

    def is_running(self, job: Job) -> bool:
        """Say whether its answer is still open; a thread may end after that."""
        return self.running.get(job.request_id) is job

    def on_bug(self, failure: Failure) -> None:
        """Log what must not happen, and give up the connection."""
        self._log.failure("a responder broke", failure)
        self.fail(RemoteProtocolError("internal error", malformed=True))

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
                self.settle()

        sent.addCallback(end).addErrback(self.on_bug)

    def _end(self, job: Job) -> None:
        self.running.pop(job.request_id, None)
        job.context.cancelled = True
        job.data.discard()
        self._intake.resume()

    # --- objects -----------------------------------------------------------------------------

    def advance_all(self) -> None:
        """Let every job go on that output had stalled."""
        for job in list(self.running.values()):
            if self.is_over or self._is_stalled(job):
                break
            if job.room is not None:
                room, job.room = job.room, None
                room.callback(None)
            elif job.is_resting:
                self._advance(job)
        if not self.is_over:
            self.settle()

    def _advance(self, job: Job) -> None:
        """Send a generator's objects until output has enough for one turn."""
        while self.is_running(job):
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
                self.settle()

        sent.addCallback(advance).addErrback(self.on_bug)

    def _advance_again(self, job: Job) -> None:
        job.turn = None
        self._advance(job)
        if not self.is_over:
            self.settle()

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
            if not self.is_running(job):
                return False
            self._connection.send_encoded(job.request_id, work)
            return True

        def failed(failure: Failure) -> bool:
            job.encoding = None
            if self.is_running(job):
                self.on_bug(failure)
            return False

        pool = self._reactor.getThreadPool()
        job.encoding = deferToThreadPool(self._reactor, pool, work.run)
        return job.encoding.addCallback(encoded).addErrback(failed)

    async def _deliver(self, job: Job, objects: Sequence[Any]) -> None:
        """Take objects from a thread; it goes on when there is room for more."""
        if not self.is_running(job):
            raise CancelledError
        for value in objects:
            sent = self._send_object(job, value)
            if isinstance(sent, Deferred):
                sent = await sent
            if not sent:
                self.settle()
                raise CancelledError
        self._flush()
        if not self.is_running(job):
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
        if isinstance(error, MisplacedError):
            self._send_failure(job.request_id, ServerError(str(error)))
        elif not isinstance(error, CommandError | ServerError):
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

    def fail(self, error: RemoteProtocolError) -> None:
        """Give up the connection for a mistake of the peer."""
        if self.is_over:
            return
        if not self._connection.failed:
            self._connection.fail(error)
        self._flush()
        self.stop()
        self._sink.connection_failed(error)

    def stop(self) -> None:
        """Cancel every command."""
        self.is_over = True
        jobs = [*self.running.values(), *self.queue]
        self.running.clear()
        self.queue.clear()
        for job in jobs:
            job.cancel()

    # --- output ------------------------------------------------------------------------------

    def _flush(self) -> None:
        if self._intake.is_deciding and self._connection.failed:
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
        if not self.is_over:
            self.advance_all()
            self._intake.resume()

    def stopProducing(self) -> None:
        """The transport has gone."""
        self.stop()


def _text_of(error: CommandError | ServerError) -> bytes:
    if isinstance(error, CommandError):
        return format_message(error.message, error.arguments)
    return error.text
