"""The pool of repository workers: which command goes to which worker, and how many there are.

Owns all workers and all commands. What happens to one process is left to ``process``, which command
comes next to ``queue``, how many workers there should be and who may take the last one to
``staff``, and when a worker is started again to ``restarts``.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from wiredaemon.commands import ServerError
from wiredaemon.net.repeated_lines import RepeatedLines
from wiredaemon.net.workers.calls import StreamCall, ValueCall, WorkersBusyError
from wiredaemon.net.workers.described import check_description, read_unavailable
from wiredaemon.net.workers.error_output import log_repeated
from wiredaemon.net.workers.extension_sets import ExtensionSets
from wiredaemon.net.workers.idle_workers import IdleWorkers
from wiredaemon.net.workers.process import (
    DEFAULT_WORKER_COMMAND,
    WorkerProcess,
    is_worn_out,
    wear_out,
)
from wiredaemon.net.workers.queue import CallQueue
from wiredaemon.net.workers.restarts import Restarts
from wiredaemon.net.workers.running_calls import RunningCalls
from wiredaemon.net.workers.slow_readers import SlowReaders
from wiredaemon.net.workers.spooled_queue import SpoolBudget
from wiredaemon.net.workers.staff import Staff, most_workers
from wiredaemon.net.workers.worker_state import WorkerState
from wiredaemon.repository.worker_calls import DESCRIBE, CallContext

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wiredaemon.net.workers.calls import Call
    from wiredaemon.net.workers.deadline import Reactor
    from wiredaemon.net.workers.worker_stream import WorkerStream
    from wiredaemon.wire.limits import Limits
    from wiredaemon.wire.values import Value

CANNOT_START: Final = "the repository worker cannot be started"
NOT_RUNNING: Final = "the repository workers are not running"

_log = Logger()


class WorkerPool:
    """Runs repository commands, one at a time on each worker.

    Args:
        reactor: The reactor, for processes and timers.
        limits: The fields ``worker_*``.
        command: The worker program and its arguments.
    """

    def __init__(
        self,
        reactor: Reactor,
        limits: Limits,
        *,
        command: Sequence[str] = DEFAULT_WORKER_COMMAND,
    ) -> None:
        self.reactor = reactor
        self._limits = limits
        self._command = command
        self._running = False
        self.repeated = RepeatedLines(reactor, log_repeated)
        self.spool_budget = SpoolBudget(limits.worker_spool)
        self.recoveries = 0
        """Abandoned transactions that were rolled back."""
        self.queue = CallQueue(most_workers(limits), limits.worker_queue)
        self.is_quiet = self.queue.is_quiet
        """Tells whether a worker is free that nobody else needs."""
        self.workers: set[WorkerProcess] = set()
        """All workers whose process is not gone."""
        self._calls = RunningCalls(reactor, limits, self.queue)
        self._idle = IdleWorkers(reactor, limits.worker_idle_seconds, self._end_idle)
        self._slow_readers = SlowReaders(reactor, limits, self._blocking_streams)
        self.relieve = self._slow_readers.relieve
        """Checks whether slow readers keep others waiting."""
        self._sets = ExtensionSets(limits.known_repositories)
        self.restarts = Restarts(reactor, self._balance)
        self.staff = Staff(
            limits,
            workers=self.workers,
            idle=self._idle.since,
            queue=self.queue,
            calls=self._calls,
            restarts=self.restarts,
        )
        self._stopped: Deferred[None] | None = None

    # --- life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the first workers, unless the pool runs; to be called once twistd has forked."""
        if not self._running:
            self._running = True
            self._balance()

    def stop(self) -> Deferred[None]:
        """End all workers and wait for them; a command that runs may finish if it is quick."""
        self._running = False
        for part in (self.restarts, self._slow_readers, self._idle, self._calls, self.repeated):
            part.stop()
        self.queue.refuse_all(NOT_RUNNING)
        if not self.workers:
            return succeed(None)
        if self._stopped is None:
            self._stopped = Deferred()
        waiter: Deferred[None] = Deferred()
        self._stopped.addCallback(waiter.callback)
        for worker in list(self.workers):
            self._end(worker)
        return waiter

    def renew(self) -> None:
        """Replace workers, which have read old settings; idle ones when another one is ready."""
        has_place = self.staff.has_place and not self.restarts.must_wait
        if not wear_out(self.workers) and has_place:
            self._start_worker()

    # --- calls -------------------------------------------------------------------------------

    def call(
        self, context: CallContext, command: bytes, arguments: Mapping[bytes, Value]
    ) -> Deferred[object]:
        """Run one value command.

        Args:
            context: The repository, the user and the permission; with ``RW`` the command is taken
                for a write.
            command: The command's name.
            arguments: The command's arguments, already checked.

        Returns:
            Fires with the result as decoded, or fails with `CommandError` or `ServerError`. When
            it is cancelled, the worker of a read is stopped after ``worker_read_grace``; a write
            goes on, and its worker runs nothing else until it is done.
        """
        call = ValueCall(self, context, command, arguments)
        self._accept(call)
        return call.result

    def open(  # noqa: PLR0913 what a stream is opened with
        self,
        context: CallContext,
        command: bytes,
        arguments: Mapping[bytes, Value],
        *,
        share: str | None,
        has_data: bool = False,
        is_short: bool = False,
    ) -> Deferred[WorkerStream]:
        """Run one stream command.

        Args:
            context: The repository, the user and the permission.
            command: The command's name.
            arguments: The command's arguments, already checked.
            share: Names the peer, which may hold half of the workers for streams; None for a peer
                that may hold all.
            has_data: Command data are sent through the stream.
            is_short: It takes little time: it does not wait behind those that may take long.

        Returns:
            Fires with the stream as soon as a worker has begun, or fails with `ServerError`. The
            caller must close the stream; what that means for the worker is as when `call` is
            cancelled.
        """
        call = StreamCall(
            *(self, context, command, arguments), share=share, has_data=has_data, is_short=is_short
        )
        self._accept(call)
        # If it has to wait, readers that were slow all the time may matter now.
        self.relieve()
        return call.result

    def describe(self, repository: bytes) -> Deferred[dict[bytes, object]]:
        """Return what the daemon must know of a repository, for `Description.parse`.

        Returns:
            Fires with the map, or fails with `RepositoryUnavailableError` or `ServerError`.
        """
        answer = self.call(CallContext(repository=repository), DESCRIBE, {})
        learn = partial(self._sets.learn, repository)
        return answer.addCallbacks(check_description, read_unavailable, (learn,))

    def _accept(self, call: ValueCall | StreamCall) -> None:
        if not self._running:
            call.refuse(ServerError(NOT_RUNNING))
            return
        # The count first: it is asked for each command.
        if self.restarts.failed_starts and self.restarts.have_failed and not self.staff.lasting:
            call.refuse(ServerError(CANNOT_START))
            return
        self.queue.add(call)
        self._hand_out()
        # Looked at after the handing out: a call that runs needs neither a place nor a worker, but
        # one that is long may have taken the last.
        if call.worker is None or call.is_long:
            self._start_if_wanted()
        if call.worker is None:
            surplus = self.queue.surplus(call)
            # Starting a worker may have failed at once, and refused all.
            if surplus is not None and self.queue.remove(surplus):
                surplus.refuse(WorkersBusyError(self._limits.worker_queue))

    def cancel(self, call: Call[Any]) -> None:
        """Note that nobody waits for a call any more."""
        if call.worker is None:
            self.queue.remove(call)
        else:
            self._calls.leave(call)

    def _blocking_streams(self) -> Sequence[StreamCall]:
        """Return the streams that hold workers, if another stream waits and cannot begin."""
        if not self.queue.has_waiting_streams:
            return ()
        has_place = bool(self._idle.since) or self.staff.has_place
        return () if has_place and self.queue.next() is not None else self.queue.running

    # --- workers -----------------------------------------------------------------------------

    def _balance(self) -> None:
        """Let idle workers run what waits, and start others where that is not enough."""
        # Before a long call takes the last worker, because the one that follows is not counted yet.
        while self._may_start and self.staff.lacks_one:
            self._start_worker()
        self._hand_out()
        self._start_if_wanted()

    def _hand_out(self) -> None:
        """Let idle workers run what waits: the one place that decides what goes where."""
        idle = self._idle.since
        pick = partial(self._sets.pick, idle)
        while idle and self.queue.has_waiting and (call := self._next(pick)) is not None:
            worker = self._sets.take(idle, call)
            if worker.has_exited():
                continue  # we are notified soon, and it is replaced then
            self.queue.begin(call)
            self._calls.begin(worker, call)
            call.run(worker)

    def _next(self, suits: Callable[[Call[Any]], object] = bool) -> Call[Any] | None:
        return self.queue.next(suits, may_be_long=self.staff.spares_one)

    def _start_if_wanted(self) -> None:
        """Start workers: the one place that decides how many there are."""
        while self._may_start and self.staff.wants_one:
            self._start_worker()
        # What waits now, while workers are idle, waits for one with other extensions.
        is_full = self._running and self.staff.is_settled and not self.staff.has_place
        if is_full and (idle := self._idle.since) and self._next() is not None:
            self._end(next(iter(idle)))

    @property
    def _may_start(self) -> bool:
        return self._running and not self.restarts.must_wait

    def _start_worker(self) -> None:
        worker = WorkerProcess(self.reactor, self._limits, self)
        try:
            worker.start(self._command)
        except OSError as error:
            self._start_failed(f"{self._command[0]}: {error}")
            return
        self.workers.add(worker)

    def _offer(self, worker: WorkerProcess) -> None:
        """Let a free worker run the next command, or end it if it is worn out."""
        if not self._running or is_worn_out(worker):
            self._end(worker)
            return
        self._idle.add(worker)
        # An idle pool has nothing to weigh: it spares each command 10 calls.
        if self.queue.has_waiting:
            self._balance()

    def _end(self, worker: WorkerProcess) -> None:
        self._idle.remove(worker)
        worker.end()

    def _end_idle(self, worker: WorkerProcess) -> None:
        """End a worker that has long been idle, unless it is kept ready."""
        if self.staff.may_end_idle:
            self._end(worker)

    # --- ProcessOwner ------------------------------------------------------------------------

    def worker_ready(self, worker: WorkerProcess) -> None:
        """Let a worker run its first command."""
        self.restarts.start_succeeded()
        for idle in filter(is_worn_out, list(self._idle.since)):
            self._end(idle)
        self._offer(worker)

    def worker_free(self, worker: WorkerProcess, other: Sequence[bytes]) -> bool:
        """Let a worker run its next command, and another one what it refused."""
        call = self._calls.of(worker) if other else None
        if call is not None:
            self._sets.refused(worker, call, other)
        is_moved = call is not None and self._running and self._calls.move(worker)
        self._calls.end(worker)
        if self.restarts.deaths:
            self.restarts.command_answered()
        self._offer(worker)
        return is_moved

    def take_back(self, worker: WorkerProcess) -> bool:
        """Let the command of a worker that has died wait for another one, once."""
        return self._running and self._calls.take_back(worker)

    def worker_lost(self, worker: WorkerProcess, state: WorkerState, reason: str) -> None:
        """Replace a worker, at once or later."""
        self.workers.discard(worker)
        self._idle.remove(worker)
        self._calls.end(worker)
        if not self._running:
            stopped = None if self.workers else self._stopped
            if stopped is not None:
                self._stopped = None
                self.repeated.stop()  # workers may write until they end
                stopped.callback(None)
        elif state is WorkerState.STARTING:
            self._start_failed(reason)
        elif state is WorkerState.ENDING:
            self._balance()
        else:
            _log.error("repository worker {pid} died: {reason}", pid=worker.pid, reason=reason)
            self.restarts.worker_died()
            self._balance()

    def _start_failed(self, reason: str) -> None:
        delay = self.restarts.start_failed()
        _log.error(
            "the repository worker cannot be started, next try in {delay} s: {command}: {reason}",
            delay=delay,
            command=" ".join(self._command),
            reason=reason,
        )
        if self.restarts.have_failed and not self.staff.lasting:
            self.queue.refuse_all(CANNOT_START)
