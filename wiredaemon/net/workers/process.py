"""The process of one repository worker: it is started, runs commands one by one, and is ended.

Owns the life of one process. What is said through its pipes is left to ``connection``; which
command a worker gets, and when one is started or replaced, to ``pool``.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger

from wiredaemon.commands import ServerError
from wiredaemon.net.workers.answers import ValueAnswer, limits_of_answers
from wiredaemon.net.workers.calls import StoppedError
from wiredaemon.net.workers.connection import WorkerConnection
from wiredaemon.net.workers.deadline import Deadline
from wiredaemon.net.workers.error_output import ErrorOutput
from wiredaemon.net.workers.process_groups import signal_group
from wiredaemon.net.workers.resident_memory import ResidentMemory, bound
from wiredaemon.net.workers.worker_state import (
    TRANSITIONS,
    WorkerInput,
    WorkerState,
    impossible,
)
from wiredaemon.repository.worker_calls import READY, WORKER_MODULE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from twisted.python.failure import Failure

    from wiredaemon.net.repeated_lines import RepeatedLines
    from wiredaemon.net.workers.answers import WorkerAnswer
    from wiredaemon.net.workers.deadline import Reactor
    from wiredaemon.protocol import RemoteProtocolError
    from wiredaemon.wire.limits import Limits
    from wiredaemon.wire.values import Value

# -P keeps the folder that the daemon was started in from shadowing modules of the worker.
DEFAULT_WORKER_COMMAND: Final = (sys.executable, "-P", "-m", WORKER_MODULE)

ENDED_TOO_EARLY: Final = "the repository worker ended before it answered"

END_SECONDS: Final = 5.0
"""Seconds that an ending worker has after its input was closed, and again after SIGTERM.

Enough to roll back what a usual push has written; twice this is what stopping the daemon may take.
"""

_log = Logger()


class ProcessOwner(Protocol):
    """The pool, as its processes see it."""

    repeated: RepeatedLines
    """Counts the lines that workers print."""

    def worker_ready(self, worker: WorkerProcess) -> None:
        """Note that a worker can take its first command."""

    def worker_free(self, worker: WorkerProcess, other: Sequence[bytes]) -> bool:
        """Note that a worker has answered, and can take its next command.

        The arguments and the result are as of `ConnectionOwner.command_ended`.
        """

    def take_back(self, worker: WorkerProcess) -> bool:
        """Return whether the command of a worker that has died is run by another one."""

    def worker_lost(self, worker: WorkerProcess, state: WorkerState, reason: str) -> None:
        """Note that a worker's process is gone; called once.

        Args:
            worker: The process that ended; its command, if any, has failed already.
            state: The state that it was in before.
            reason: Why it ended, for the log.
        """


class WorkerProcess(ProcessProtocol):
    """One worker.

    Args:
        reactor: The reactor, for the process and its timer.
        limits: ``worker_result`` and ``worker_start_seconds``.
        owner: Is notified of its life.
    """

    transport: Any
    """Set by Twisted: the process that runs, with its ``pipes``, which no interface names."""
    connection: WorkerConnection
    """The connection over its pipes; it exists as soon as the process was started."""
    memory: ResidentMemory
    _errors: ErrorOutput

    def __init__(self, reactor: Reactor, limits: Limits, owner: ProcessOwner) -> None:
        self._reactor = reactor
        self.limits = limits_of_answers(limits)
        self._owner = owner
        self._deadline = Deadline(reactor)
        self._exit_reason: str | None = None
        """The way in which the process ended; None while it runs."""
        self._output_lost = False
        """The pipe of its output is closed: no answer can come any more."""
        self._is_signalled = False
        self._stop_reason = ""
        self._start_failure = ""
        """Why it was stopped before it was ready."""
        self.state = WorkerState.STARTING
        self.repository: bytes | None = None
        """The first one that it was given, which has decided its extensions."""
        self.extensions: bytes | None = None
        """Its set of extensions, where it has said so."""
        self.commands = 0
        """Commands it has answered."""
        self.pid: int | None = None

    def advance(self, seen: WorkerInput) -> WorkerState:
        """Change the state, which nothing else does, and return the new one.

        Raises:
            LocalProtocolError: The input cannot happen in this state, which stays as it was.
        """
        try:
            self.state = TRANSITIONS[self.state, seen]
        except KeyError:
            raise impossible(self.state, seen) from None
        return self.state

    # --- life --------------------------------------------------------------------------------

    def start(self, command: Sequence[str]) -> None:
        """Start the process.

        Raises:
            OSError: The system does not let us.
        """
        self._reactor.spawnProcess(
            self,
            command[0],
            list(command),
            env=dict(os.environ),
            childFDs={0: "w", 1: "r", 2: "r"},
        )
        # Importing Mercurial and the extensions of the server's files may hang, on a network disk.
        self._deadline.set(self.limits.worker_start_seconds, self._start_late)
        ready: Deferred[object] = Deferred()
        ready.addCallbacks(self._on_ready, self._on_never_ready)
        self.connection.send_command(ValueAnswer(self.limits, ready), READY, {}, {})

    def has_exited(self) -> bool:
        """Return whether the process is gone, even if we were not notified yet.

        A worker may have been killed while it was idle; a command that it got now would fail.
        """
        if self._exit_reason is not None or self.pid is None:
            return True
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return False  # the reactor has waited for it, and is about to notify us

    def run(
        self,
        answer: WorkerAnswer,
        command: bytes,
        arguments: Mapping[bytes, Value],
        extra: Mapping[bytes, Value],
        *,
        has_data: bool = False,
    ) -> None:
        """Run one command on an idle worker; ``answer`` receives its output."""
        self.advance(WorkerInput.RUN)
        self.connection.send_command(answer, command, arguments, extra, has_data=has_data)

    def end(self) -> None:
        """Let the worker end: it finishes its command, and is stopped if that takes long."""
        # Told already: a second call must not give it more time.
        if self.state is WorkerState.ENDING and self._deadline.is_set:
            return
        if self._exit_reason is None:
            self.close_input()
            self._deadline.set(END_SECONDS, self._terminate)

    def kill(self, reason: str = "", *, may_roll_back: bool = False) -> None:
        """Stop the worker, whose command fails.

        Args:
            reason: The reason, which the peer may read.
            may_roll_back: Let it roll back what it was writing, for a limited time.
        """
        if self._exit_reason is None:
            self._stop_reason = reason
            self.advance(WorkerInput.END)
            if may_roll_back:
                self._terminate()
            else:
                self._signal("KILL")

    def _start_late(self) -> None:
        self._start_failure = f"it was not ready within {self.limits.worker_start_seconds:g} s"
        self._signal("KILL")

    def _terminate(self) -> None:
        self._signal("TERM")
        self._deadline.set(END_SECONDS, self._signal, "KILL")

    def _signal(self, name: str) -> None:
        """Send the worker, and all that its hooks have started, a signal."""
        self._is_signalled = True
        if not signal_group(self.pid, name):
            with suppress(ProcessExitedAlready):
                self.transport.signalProcess(name)

    def _on_ready(self, version: object) -> None:
        if self.advance(WorkerInput.READY) is not WorkerState.IDLE:
            return
        self._deadline.clear()
        shown = version.decode("ascii", "replace") if isinstance(version, bytes) else "?"
        _log.info(
            "repository worker {pid} is ready (Mercurial {version})", pid=self.pid, version=shown
        )
        self._owner.worker_ready(self)

    def _on_never_ready(self, failure: Failure) -> None:
        """Stop a worker that answered with an error; how it ended by itself is known already."""
        if self.state is WorkerState.STARTING:
            self._start_failure = failure.getErrorMessage()
            self._signal("KILL")

    # --- ConnectionOwner ---------------------------------------------------------------------

    def command_ended(self, other: Sequence[bytes]) -> bool:
        """Let the worker have its next command."""
        # Not so for the question whether it is ready, nor for what is answered while it ends.
        was_busy = self.state is WorkerState.BUSY
        self.advance(WorkerInput.ANSWERED)
        if not was_busy:
            return False
        self.commands += 1
        return self._owner.worker_free(self, other)

    def answer_refused(self, error: RemoteProtocolError) -> None:
        """Stop a worker that said what cannot be understood, or too much."""
        _log.error("repository worker {pid} is stopped: {error}", pid=self.pid, error=error.message)
        self.kill()

    def close_input(self) -> None:
        """Let the worker end in its own time: it does when its input ends."""
        if self._exit_reason is None:
            self.advance(WorkerInput.END)
            self.transport.closeStdin()

    # --- ProcessProtocol ---------------------------------------------------------------------

    def connectionMade(self) -> None:
        """Begin the connection: the process runs."""
        self.pid = pid = self.transport.pid
        self.connection = WorkerConnection(self.limits, self.transport, self)
        self._errors = ErrorOutput(pid, self._owner.repeated)
        self.memory = ResidentMemory(pid)
        bound(pid, self.limits.worker_memory_hard)

    def outReceived(self, data: bytes) -> None:
        """Receive frames."""
        self.connection.receive_data(data)

    def errReceived(self, data: bytes) -> None:
        """Log what is printed."""
        self._errors.receive_data(data)

    def errConnectionLost(self) -> None:
        """Log the rest of what was printed."""
        self._errors.receive_end()

    def outConnectionLost(self) -> None:
        """Note that no answer can come any more: nothing but the worker itself holds this pipe."""
        self._output_lost = True
        if self._exit_reason is not None:
            self._lose_soon()
        else:
            # It is about to exit, and then the reason is known.
            self._deadline.set(END_SECONDS, self._signal, "KILL")

    def processExited(self, reason: Failure) -> None:
        """Learn why it ended; what it has said before may still be in the pipe."""
        self._deadline.clear()
        self._exit_reason = reason.getErrorMessage().rstrip(".")
        if self._is_signalled or reason.check(ProcessDone) is None:
            # It did not end by itself, so that a hook may have been running.
            signal_group(self.pid, "KILL")
        self.connection.stop_pausing()
        if self._output_lost:
            self._lose_soon()

    def processEnded(self, reason: Failure) -> None:  # noqa: ARG002 known from processExited
        """Note that all pipes are closed."""
        self._lose()

    def _lose_soon(self) -> None:
        """Notify the owner without waiting for programs that a hook left behind with our pipe.

        A worker that never was ready has no hooks, and its last line says why it was not.
        """
        if self.state is WorkerState.STARTING:
            self._deadline.set(END_SECONDS, self._lose)
        else:
            self._lose()

    def _lose(self) -> None:
        self._deadline.clear()
        if self.state is WorkerState.LOST:
            return
        state = self.state
        self.advance(WorkerInput.LOSE)
        self.memory.close()
        if state is not WorkerState.BUSY or not self._owner.take_back(self):
            reason = self._stop_reason
            self.connection.fail(StoppedError(reason) if reason else ServerError(ENDED_TOO_EARLY))
        last_line = self._start_failure or self._errors.last_line
        shown = f"; last line: {last_line}" if last_line else ""
        self._owner.worker_lost(self, state, f"{self._exit_reason}{shown}")


def is_worn_out(worker: WorkerProcess) -> bool:
    """Return whether a worker should be replaced: it has run its commands, or has grown."""
    limits, memory = worker.limits, worker.memory
    # The count first: it costs no system call.
    return worker.commands >= limits.worker_commands or memory.recent() > limits.worker_memory


def wear_out(workers: Collection[WorkerProcess]) -> bool:
    """Have workers replaced after their next command; return whether others are starting.

    Those that are starting stay: each renewal would end them before their first command.
    """
    ready = [worker for worker in workers if worker.state is not WorkerState.STARTING]
    for worker in ready:
        worker.commands = worker.limits.worker_commands
    return len(ready) < len(workers)
