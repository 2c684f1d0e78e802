"""One repository worker: its process, and the shell around the daemon's end of its connection.

Owns what happens to one process: start, ready, one command after the other, end. Which command
goes where, and when a worker is started or replaced, is for ``net.worker_pool``.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Protocol

from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.net.workers.answers import ValueAnswer
from wiredaemon.protocol import (
    ClientConnection,
    ConnectionFailed,
    LocalProtocolError,
    RemoteProtocolError,
    RequestFailed,
    ResponseDataReceived,
)
from wiredaemon.repository.worker_calls import READY, WORKER_MODULE
from wiredaemon.wire.cbor import UnencodableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from twisted.internet.interfaces import IDelayedCall, IPushProducer
    from twisted.python.failure import Failure

    from wiredaemon.net.workers.answers import WorkerAnswer
    from wiredaemon.protocol.events import ClientEvent
    from wiredaemon.wire.limits import Limits
    from wiredaemon.wire.values import Value

DEFAULT_WORKER_COMMAND: Final = (sys.executable, "-P", "-m", WORKER_MODULE)

ENDED_TOO_EARLY: Final = "the repository worker ended before it answered"

END_SECONDS: Final = 5.0
"""Time an ending worker has after its input was closed, and again after SIGTERM."""

_STDOUT: Final = 1

_LONGEST_LINE: Final = 16384
"""Bytes of one line of standard error that are held."""

_log = Logger()


class Reactor(Protocol):
    """The part of a reactor that workers need."""

    def callLater(
        self, delay: float, action: Callable[..., object], /, *args: object
    ) -> IDelayedCall:
        """As of ``IReactorTime``."""

    def seconds(self) -> float:
        """As of ``IReactorTime``."""

    @property
    def spawnProcess(self) -> Any:  # noqa: ANN401 of its many arguments we give a part
        """As of ``IReactorProcess``."""


class WorkerState(Enum):
    """What a worker does."""

    STARTING = "it is not ready"
    IDLE = "it waits for a command"
    BUSY = "it runs a command"
    ENDING = "it was told to end"
    LOST = "its process is gone"


class Owner(Protocol):
    """Who is told of a worker's life."""

    def worker_ready(self, worker: WorkerProcess) -> None:
        """It can take its first command."""

    def worker_free(self, worker: WorkerProcess) -> None:
        """It has answered, and can take its next command."""

    def worker_lost(self, worker: WorkerProcess, state: WorkerState, reason: str) -> None:
        """Its process is gone; told once.

        Args:
            worker: Its own command, if any, has failed already.
            state: What it did before.
            reason: For the log.
        """


class WorkerProcess(ProcessProtocol):
    """One worker.

    Args:
        reactor: For its process and its timers.
        limits: ``worker_result`` and ``worker_start_seconds``.
        owner: Is told of its life.
    """

    def __init__(self, reactor: Reactor, limits: Limits, owner: Owner) -> None:
        self._reactor = reactor
        # The worker is ours: only the size of a result is bounded, and every item has a size.
        self.limits = replace(limits, cbor_elements=limits.worker_result)
        self._owner = owner
        self._connection = ClientConnection(limits=self.limits)
        self._answer: WorkerAnswer | None = None
        self._request_id = 0
        self._process: Any = None
        self._timer: IDelayedCall | None = None
        self._line = bytearray()
        self._last_line = ""
        self._exited = False
        self._output_lost = False
        self._paused = False
        """Its output is not read for now."""
        self._sends_data = False
        """Command data is under way."""
        self._exit_reason = ""
        self.state = WorkerState.STARTING
        self.commands = 0
        """Commands it has answered."""
        self.pid: int | None = None

    # --- life --------------------------------------------------------------------------------

    def start(self, command: Sequence[str]) -> None:
        """Start the process.

        Raises:
            OSError: The system does not give one.
        """
        self._process = self._reactor.spawnProcess(
            self,
            command[0],
            list(command),
            env={**os.environ, "HGPLAIN": "1", "HGENCODING": "utf-8"},
            childFDs={0: "w", 1: "r", 2: "r"},
        )
        self.pid = self._process.pid
        self._timer = self._reactor.callLater(self.limits.worker_start_seconds, self._start_late)
        ready = ValueAnswer(self.limits)
        ready.result.addCallbacks(self._on_ready, self._on_never_ready)
        self._send(ready, READY, {}, {})

    def has_exited(self) -> bool:
        """Say whether its process is gone, even if nobody was told yet."""
        if self._exited or self.pid is None:
            return True
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return False  # the reactor has looked, and is about to tell

    def run(
        self,
        answer: WorkerAnswer,
        command: bytes,
        arguments: Mapping[bytes, Value],
        extra: Mapping[bytes, Value],
        *,
        has_data: bool = False,
    ) -> None:
        """Run one command on an idle worker; ``answer`` takes what it says."""
        self.state = WorkerState.BUSY
        self._send(answer, command, arguments, extra, has_data=has_data)

    def end(self) -> None:
        """Let the worker end: it finishes its command, and is stopped if that takes long."""
        if self._exited or (self.state is WorkerState.ENDING and self._timer is not None):
            return
        self._close_input()
        self._set_timer(END_SECONDS, self._terminate)

    def _close_input(self) -> None:
        """Tell the worker to end, and give it all the time that it wants."""
        self.state = WorkerState.ENDING
        self._process.closeStdin()

    def kill(self) -> None:
        """Stop the worker at once; its command fails."""
        if self._exited:
            return
        self.state = WorkerState.ENDING
        self._signal("KILL")

    def _start_late(self) -> None:
        self._timer = None
        seconds = self.limits.worker_start_seconds
        self._last_line = f"it was not ready within {seconds:g} s"
        self._signal("KILL")

    def _terminate(self) -> None:
        self._timer = None
        self._signal("TERM")
        self._set_timer(END_SECONDS, self._signal, "KILL")

    def _signal(self, name: str) -> None:
        with suppress(ProcessExitedAlready):
            self._process.signalProcess(name)

    def _set_timer(self, seconds: float, action: Callable[..., object], *arguments: object) -> None:
        self._clear_timer()
        self._timer = self._reactor.callLater(seconds, action, *arguments)

    def _clear_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _on_ready(self, version: object) -> None:
        if self.state is not WorkerState.STARTING:
            return
        self._clear_timer()
        self.state = WorkerState.IDLE
        shown = version.decode("ascii", "replace") if isinstance(version, bytes) else "?"
        _log.info(
            "repository worker {pid} is ready (Mercurial {version})", pid=self.pid, version=shown
        )
        self._owner.worker_ready(self)

    def _on_never_ready(self, failure: Failure) -> None:
        """Its end is told on its own; only an error that it answered is told here."""
        if self.state is WorkerState.STARTING:
            self._last_line = failure.getErrorMessage()
            self._signal("KILL")

    # --- one command -------------------------------------------------------------------------

    def _send(
        self,
        answer: WorkerAnswer,
        command: bytes,
        arguments: Mapping[bytes, Value],
        extra: Mapping[bytes, Value],
        *,
        has_data: bool = False,
    ) -> None:
        self._answer = answer
        self._sends_data = has_data
        try:
            self._request_id = self._connection.send_command(
                command, arguments, extra=extra, has_data=has_data
            )
        except (UnencodableError, LocalProtocolError) as error:
            self._sends_data = False
            self._fail(ServerError(str(error)))
            return
        self._flush()

    def _flush(self) -> None:
        frames = self._connection.data_to_send()
        self._process.write(b"".join(part for frame in frames for part in frame))

    def _receive(self, event: ClientEvent) -> None:
        match event:
            case ResponseDataReceived():
                self._receive_response(event)
            case RequestFailed(kind=b"command"):
                self._fail(CommandError(event.message.replace(b"%", b"%%")))
            case RequestFailed():
                self._fail(ServerError(event.message))
            case ConnectionFailed():
                self._break(event.error)
            case _:
                # Text and progress: no command of a worker sends them yet.
                pass

    def _receive_response(self, event: ResponseDataReceived) -> None:
        answer = self._answer
        if answer is None:
            return
        try:
            answer.receive(event.data)
            if event.end:
                answer.check_end()
        except RemoteProtocolError as error:
            self._break(error)
            return
        if event.end:
            self._free()
            answer.finish()

    def _break(self, error: RemoteProtocolError) -> None:
        """Give up a worker that said what cannot be understood, or too much."""
        _log.error("repository worker {pid} is stopped: {error}", pid=self.pid, error=error.message)
        self.kill()
        self._fail(ServerError(f"the repository worker's answer is refused: {error.message}"))

    def _fail(self, error: Exception) -> None:
        answer = self._answer
        if answer is not None:
            self._free()
            answer.fail(error)

    def _free(self) -> None:
        """The command is over."""
        self._answer = None
        if self._paused:
            self.resume_output()
        if self.state is WorkerState.BUSY:
            if self._sends_data:
                # What would follow is for nobody.
                self.send_data(b"", end=True)
            self.commands += 1
            self.state = WorkerState.IDLE
            self._owner.worker_free(self)

    # --- Feed, for a stream ------------------------------------------------------------------

    def pause_output(self) -> None:
        """Read no more of its answer for now."""
        if not self._output_lost and not self._exited:
            self._paused = True
            self._process.pipes[_STDOUT].stopReading()

    def resume_output(self) -> None:
        """Read on."""
        self._paused = False
        if not self._output_lost:
            self._process.pipes[_STDOUT].startReading()

    def send_data(self, data: bytes, *, end: bool) -> None:
        """Give it command data."""
        self._connection.send_data(self._request_id, data, end=end)
        self._flush()
        if end:
            self._sends_data = False
            self._process.unregisterProducer()

    def break_data(self) -> None:
        """End a worker that waits for data which never comes: without input it gives up.

        What it has written it rolls back first, however long that takes.
        """
        self._sends_data = False
        self._process.unregisterProducer()
        if not self._exited:
            self._close_input()

    def watch_input(self, producer: IPushProducer) -> None:
        """Pause and resume who sends command data, as the worker takes them, until they end."""
        self._process.registerProducer(producer, True)  # noqa: FBT003 Twisted's signature

    # --- ProcessProtocol ---------------------------------------------------------------------

    def outReceived(self, data: bytes) -> None:
        """Take frames of the worker."""
        for event in self._connection.receive_data(data):
            self._receive(event)

    def errReceived(self, data: bytes) -> None:
        """Log what the worker, Mercurial, its extensions and hooks print, line by line."""
        self._line += data
        *lines, rest = self._line.split(b"\n")
        if len(rest) > _LONGEST_LINE:
            lines, rest = [*lines, rest], bytearray()
        self._line = rest
        for line in lines:
            self._log_line(line)

    def errConnectionLost(self) -> None:
        """Log what had no line end."""
        line, self._line = self._line, bytearray()
        if line:
            self._log_line(line)

    def _log_line(self, line: bytes | bytearray) -> None:
        shown = line.decode("utf-8", "backslashreplace").rstrip("\r")
        self._last_line = shown or self._last_line
        _log.info("repository worker {pid}: {line}", pid=self.pid, line=shown)

    def outConnectionLost(self) -> None:
        """No answer can come any more: nobody but the worker itself holds this pipe."""
        self._output_lost = True
        if self._exited:
            self._lose_soon()
        else:
            # It is about to exit, and then its reason is known.
            self._set_timer(END_SECONDS, self._signal, "KILL")

    def processExited(self, reason: Failure) -> None:
        """Learn why it ended; what it has said before may still be in the pipe."""
        self._clear_timer()
        self._exited = True
        self._exit_reason = reason.getErrorMessage()
        if self._paused:
            # No more than the pipe holds: whoever reads slowly must not keep a dead worker's place.
            self.resume_output()
        if self._output_lost:
            self._lose_soon()

    def processEnded(self, reason: Failure) -> None:  # noqa: ARG002 known from processExited
        """All pipes are closed."""
        self._lose()

    def _lose_soon(self) -> None:
        """Tell of the end, without waiting for programs that a hook left behind with our pipe.

        A worker that never was ready has no hooks, and its last words say why.
        """
        if self.state is WorkerState.STARTING:
            self._set_timer(END_SECONDS, self._lose)
        else:
            self._lose()

    def _lose(self) -> None:
        self._clear_timer()
        if self.state is WorkerState.LOST:
            return
        state, self.state = self.state, WorkerState.LOST
        self._fail(ServerError(ENDED_TOO_EARLY))
        last = f"; last line: {self._last_line}" if self._last_line else ""
        self._owner.worker_lost(self, state, f"{self._exit_reason.rstrip('.')}{last}")
