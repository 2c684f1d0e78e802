"""The pool of repository workers: which command goes to which worker, and how many there are.

What happens to one process is in ``net.worker_process``.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.net.workers.calls import StreamCall, ValueCall
from wiredaemon.net.workers.process import DEFAULT_WORKER_COMMAND, WorkerProcess, WorkerState
from wiredaemon.net.workers.queue import WaitingCalls
from wiredaemon.net.workers.slow_readers import SlowReaders
from wiredaemon.net.workers.spooled_queue import SpoolBudget
from wiredaemon.repository.worker_calls import DESCRIBE, UNAVAILABLE, CallContext

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twisted.internet.interfaces import IDelayedCall
    from twisted.python.failure import Failure

    from wiredaemon.net.workers.answers import WorkerStream
    from wiredaemon.net.workers.calls import Call
    from wiredaemon.net.workers.process import Reactor
    from wiredaemon.wire.limits import Limits
    from wiredaemon.wire.values import Value

CANNOT_START: Final = "the repository worker cannot be started"
NOT_RUNNING: Final = "the repository workers are not running"

FIRST_DELAY: Final = 0.5
"""Seconds until the second try of what has failed once."""
LONGEST_DELAY: Final = 30.0
_LEAST_PROCESSES: Final = 8

_log = Logger()


class RepositoryUnavailableError(Exception):
    """A repository cannot be opened or its configuration cannot be read."""

    def __init__(self, reason: str) -> None:
        """Say which file or folder, and why; for the operator, it names paths of the server."""
        super().__init__(reason)
        self.reason = reason


class Backoff:
    """How long to wait before something that failed is tried again."""

    def __init__(self) -> None:
        """Begin without a failure."""
        self.failures = 0
        """In a row."""

    def fail(self) -> float:
        """Count a failure and give the seconds to wait, twice as many each time."""
        self.failures += 1
        # The exponent is bounded, as a float's is.
        doubled: float = FIRST_DELAY * 2.0 ** min(self.failures - 1, 32)
        return min(LONGEST_DELAY, doubled)

    def reset(self) -> None:
        """Count a success."""
        self.failures = 0


class WorkerPool:
    """Runs repository commands, one at a time on each worker.

    Args:
        reactor: For processes and timers.
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
        self._most = limits.worker_processes or max(_LEAST_PROCESSES, 2 * (os.cpu_count() or 1))
        self._running = False
        self._waiting = WaitingCalls(self._most, limits.worker_queue)
        self.spool_budget = SpoolBudget(limits.worker_spool)
        self.recoveries = 0
        """Abandoned transactions that were rolled back."""
        self._workers: set[WorkerProcess] = set()
        """All whose process is not gone."""
        self._calls: dict[WorkerProcess, Call] = {}
        """What the busy ones run."""
        self._idle: dict[WorkerProcess, IDelayedCall] = {}
        """And when each is ended; the one used last at the end."""
        self._slow_readers = SlowReaders(reactor, limits, self._calls, self._keeps_streams_waiting)
        self._starts = Backoff()
        self._deaths = Backoff()
        self._retry: IDelayedCall | None = None
        self._stopped: Deferred[None] | None = None

    # --- life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the first worker; to be called once twistd has forked."""
        self._running = True
        self._balance()

    def stop(self) -> Deferred[None]:
        """End all workers and wait for them; a command that runs may finish if it is quick."""
        self._running = False
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._slow_readers.stop()
        self._refuse_queue(NOT_RUNNING)
        if not self._workers:
            return succeed(None)
        if self._stopped is None:
            self._stopped = Deferred()
        waiter: Deferred[None] = Deferred()
        self._stopped.addCallback(waiter.callback)
        for worker in list(self._workers):
            self._end(worker)
        return waiter

    # --- calls -------------------------------------------------------------------------------

    def call(
        self,
        context: CallContext,
        command: bytes,
        arguments: Mapping[bytes, Value],
    ) -> Deferred[object]:
        """Run one value command.

        Args:
            context: On what, for whom and with what right; with ``RW`` the command is taken for a
                write.
            command: Its name.
            arguments: Checked ones.

        Returns:
            Fires with the result as decoded, or fails with `CommandError` or `ServerError`. When
            it is cancelled, the worker of a read is stopped after ``worker_read_grace``; a write
            goes on, and its worker serves nobody else until it is done.
        """
        call = ValueCall(self, command, arguments, context)
        self._accept(call)
        return call.result

    def open(
        self,
        context: CallContext,
        command: bytes,
        arguments: Mapping[bytes, Value],
        *,
        share: str | None,
        has_data: bool = False,
    ) -> Deferred[WorkerStream]:
        """Run one stream command.

        Args:
            context: On what, for whom and with what right.
            command: Its name.
            arguments: Checked ones.
            share: Who asks: one may hold half of the workers for streams. None may hold all.
            has_data: Command data is sent through the stream.

        Returns:
            Fires with the stream as soon as a worker has begun, or fails with `ServerError`. Who
            gets it must close it; what that means for the worker is as when `call` is cancelled.
        """
        call = StreamCall(self, share, has_data, command, arguments, context)
        self._accept(call)
        self.relieve()
        return call.opened

    def describe(self, repository: bytes) -> Deferred[dict[bytes, object]]:
        """Give what the daemon must know of a repository: see ``repository.describe``.

        Returns:
            Fires with the map, or fails with `RepositoryUnavailableError` or `ServerError`.
        """
        answer = self.call(CallContext(repository=repository), DESCRIBE, {})
        return answer.addCallbacks(_check_description, _read_unavailable)

    def _accept(self, call: ValueCall | StreamCall) -> None:
        if not self._running:
            call.refuse(NOT_RUNNING)
            return
        if self._cannot_start:
            call.refuse(CANNOT_START)
            return
        self._waiting.add(call)
        self._balance()
        if self._waiting.is_one_too_many(call) and self._waiting.take(call):
            call.refuse("busy: too many commands wait for a repository worker")

    @property
    def _cannot_start(self) -> bool:
        """There is no worker, and the last tries to start one failed.

        A single one that failed is no reason yet: it may have been killed.
        """
        return self._retry is not None and self._starts.failures > 1 and not self._lasting()

    def cancel(self, call: Call) -> None:
        """Note that nobody waits for a call any more."""
        if self._waiting.take(call):
            return
        if call.may_be_stopped:
            call.grace = self.reactor.callLater(
                self._limits.worker_read_grace, self._stop_read, call
            )

    def _stop_read(self, call: Call) -> None:
        for worker, running in list(self._calls.items()):
            if running is call:
                _log.info(
                    "repository worker {pid} is stopped: nobody waits for {command}",
                    pid=worker.pid,
                    command=call.command.decode("ascii", "replace"),
                )
                worker.kill()

    def _refuse_queue(self, text: str) -> None:
        for call in self._waiting.take_all():
            call.refuse(text)

    def relieve(self) -> None:
        """See whether slow readers keep others waiting."""
        self._slow_readers.relieve()

    def _keeps_streams_waiting(self) -> bool:
        """Say whether a stream waits that cannot begin."""
        has_place = bool(self._idle) or len(self._workers) < self._most
        return self._waiting.has_streams and not (has_place and self._next_call() is not None)

    # --- workers -----------------------------------------------------------------------------

    def _balance(self) -> None:
        """Give idle workers what waits, and start one more where that is not enough.

        The one place that decides which command goes next and how many workers there are.
        """
        while self._idle and (call := self._next_call()) is not None:
            worker, timer = self._idle.popitem()
            timer.cancel()
            if worker.has_exited():
                continue  # told soon, and replaced then
            self._waiting.take(call)
            self._run(worker, call)
        while self._running and self._retry is None and self._wants_worker():
            self._start_worker()

    def _next_call(self) -> Call | None:
        """Give what an idle worker should do."""
        running = [call for call in self._calls.values() if isinstance(call, StreamCall)]
        return self._waiting.next(running)

    def _wants_worker(self) -> bool:
        if len(self._workers) >= self._most:
            return False
        states = {worker.state for worker in self._lasting()}
        # One after the other: by the time that one is ready, others may have become idle.
        waits = WorkerState.STARTING not in states and self._next_call() is not None
        return not states or waits

    def _lasting(self) -> list[WorkerProcess]:
        """The workers that were not told to end."""
        return [worker for worker in self._workers if worker.state is not WorkerState.ENDING]

    def _start_worker(self) -> None:
        worker = WorkerProcess(self.reactor, self._limits, self)
        try:
            worker.start(self._command)
        except OSError as error:
            self._start_failed(f"{self._command[0]}: {error}")
            return
        self._workers.add(worker)

    def _run(self, worker: WorkerProcess, call: Call) -> None:
        self._calls[worker] = call
        call.run(worker)

    def _offer(self, worker: WorkerProcess) -> None:
        """Take an idle worker for the next command, or replace it if it is worn out."""
        if not self._running or self._is_worn_out(worker):
            self._end(worker)
            return
        self._idle[worker] = self.reactor.callLater(
            self._limits.worker_idle_seconds, self._on_idle_long, worker
        )
        self._balance()

    def _is_worn_out(self, worker: WorkerProcess) -> bool:
        if worker.commands >= self._limits.worker_commands:
            return True
        return worker.pid is not None and resident_memory(worker.pid) > self._limits.worker_memory

    def _on_idle_long(self, worker: WorkerProcess) -> None:
        if len(self._lasting()) > 1:
            self._end(worker)
        else:
            self._idle[worker] = self.reactor.callLater(
                self._limits.worker_idle_seconds, self._on_idle_long, worker
            )

    def _end(self, worker: WorkerProcess) -> None:
        self._forget_idle(worker)
        worker.end()

    def _forget_idle(self, worker: WorkerProcess) -> None:
        timer = self._idle.pop(worker, None)
        if timer is not None and timer.active():
            timer.cancel()

    # --- Owner -------------------------------------------------------------------------------

    def worker_ready(self, worker: WorkerProcess) -> None:
        """Let it work."""
        self._starts.reset()
        self._offer(worker)

    def worker_free(self, worker: WorkerProcess) -> None:
        """Let it do what comes next."""
        self._calls.pop(worker).end()
        self._deaths.reset()
        self._offer(worker)

    def worker_lost(self, worker: WorkerProcess, state: WorkerState, reason: str) -> None:
        """Replace it, at once or later."""
        self._workers.discard(worker)
        call = self._calls.pop(worker, None)
        if call is not None:
            call.end()
        self._forget_idle(worker)
        if not self._running:
            self._finish_stop()
        elif state is WorkerState.STARTING:
            self._start_failed(reason)
        elif state is WorkerState.ENDING:
            self._balance()
        else:
            self._died(worker, reason)

    def _finish_stop(self) -> None:
        if not self._workers and self._stopped is not None:
            stopped, self._stopped = self._stopped, None
            stopped.callback(None)

    def _start_failed(self, reason: str) -> None:
        delay = self._starts.fail()
        _log.error(
            "the repository worker cannot be started, next try in {delay} s: {command}: {reason}",
            delay=delay,
            command=" ".join(self._command),
            reason=reason,
        )
        self._try_later(delay)
        if self._cannot_start:
            self._refuse_queue(CANNOT_START)

    def _died(self, worker: WorkerProcess, reason: str) -> None:
        _log.error("repository worker {pid} died: {reason}", pid=worker.pid, reason=reason)
        first = not self._deaths.failures
        delay = self._deaths.fail()
        if first:
            self._balance()
        else:
            self._try_later(delay)

    def _try_later(self, delay: float) -> None:
        if self._retry is None:
            self._retry = self.reactor.callLater(delay, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._balance()


def resident_memory(pid: int) -> int:
    """The bytes of memory that a process holds; 0 where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_bytes().split()
        return int(fields[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return 0


def _check_description(description: object) -> dict[bytes, object]:
    if not isinstance(description, dict):
        raise ServerError("the repository worker gave no description")
    return description


def _read_unavailable(failure: Failure) -> Failure:
    error = failure.value
    if isinstance(error, CommandError) and error.message == UNAVAILABLE and error.arguments:
        raise RepositoryUnavailableError(error.arguments[0].decode("utf-8", "surrogateescape"))
    return failure


__all__ = [
    "CANNOT_START",
    "DEFAULT_WORKER_COMMAND",
    "NOT_RUNNING",
    "Backoff",
    "RepositoryUnavailableError",
    "WorkerPool",
    "resident_memory",
]
