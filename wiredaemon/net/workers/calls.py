"""Calls: the commands that a pool runs or is going to run, and the outcome of each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred

from wiredaemon.commands import Permission, ServerError
from wiredaemon.net.workers.answers import ValueAnswer
from wiredaemon.net.workers.worker_stream import StreamState, WorkerStream
from wiredaemon.repository.worker_calls import RECOVER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twisted.internet.interfaces import IDelayedCall

    from wiredaemon.net.workers.process import WorkerProcess
    from wiredaemon.net.workers.spooled_queue import SpoolBudget
    from wiredaemon.repository.worker_calls import CallContext
    from wiredaemon.wire.values import Value


_MOST_MOVES: Final = 3
"""Workers that may refuse a call: settings that change more often than that are a mistake."""

_RETRY: Final = 10
"""Seconds after which a call that found no place may be made again: most commands end sooner."""

ResultT = TypeVar("ResultT")


class WorkersBusyError(ServerError):
    """A call found no place: as many wait as may.

    Attributes:
        retry_after: The time after which another attempt makes sense, in seconds.
    """

    def __init__(self, most: int) -> None:
        super().__init__(
            f"busy, try again in {_RETRY} s: too many commands wait for a repository worker, of"
            f" {most} that may (worker_queue)"
        )
        self.retry_after = _RETRY


class StoppedError(ServerError):
    """A command was stopped at a limit, to which it would come again."""


class Pool(Protocol):
    """The pool, as its calls see it."""

    spool_budget: SpoolBudget
    relieve: Callable[[], None]
    """Checks whether slow readers keep others waiting."""

    def cancel(self, call: Call[Any]) -> None:
        """Note that nobody waits for a call any more."""


class Call(ABC, Generic[ResultT]):
    """One command, from the moment it is asked for until its worker is free again.

    Args:
        pool: The pool that runs the command.
        context: The repository, the user and the permission.
        command: The command's name.
        arguments: The command's arguments, already checked.
    """

    def __init__(
        self,
        pool: Pool,
        context: CallContext,
        command: bytes,
        arguments: Mapping[bytes, Value],
    ) -> None:
        self._pool = pool
        self.context = context
        self.command = command
        self.arguments = arguments
        self.result: Deferred[ResultT] = Deferred(lambda _: pool.cancel(self))
        """The Deferred that the caller has; no other one is made for the value."""
        self.worker: WorkerProcess | None = None
        """The worker that runs it, or has run it."""
        self.grace: IDelayedCall | None = None
        """Ends the worker of a command that nobody waits for any more."""
        self.is_long = self.context.permission is Permission.RW and command != RECOVER
        """It may hold its worker for long: hooks of a write run as long as they want."""
        self.share: str | None = None
        """The peer, of which all long calls together may hold a share of the workers; None for a
        peer that may hold all."""
        self.was_retried = False
        """A worker has died of it, or beside it."""
        self.moves = 0
        """Workers that have refused it, because they had other extensions."""

    @property
    def may_be_stopped(self) -> bool:
        """Nothing is lost if its worker is stopped: it only reads."""
        return self.context.permission is Permission.RO

    @property
    def may_be_retried(self) -> bool:
        """Another worker can run it once more, and nobody notices."""
        return self.may_be_stopped and not self.was_retried and self.grace is None

    @property
    def may_be_moved(self) -> bool:
        """Another worker can run it, for the first one has not begun."""
        return self.moves < _MOST_MOVES and self.grace is None and not self._is_left

    @property
    def _is_left(self) -> bool:
        return self.result.called

    @property
    def progress(self) -> int | None:
        """A number that grows as the answer comes; None while its reader keeps it from coming."""
        return 0

    @abstractmethod
    def run(self, worker: WorkerProcess) -> None:
        """Let an idle worker run it."""

    def refuse(self, error: ServerError) -> None:
        """Fail before a worker has begun."""
        if not self.result.called:
            self.result.errback(error)

    def take_back(self) -> None:
        """Wait for a worker again."""
        self.was_retried = True
        self.worker = None

    def end_grace(self) -> None:
        """Let the worker live: it has ended the command in time."""
        grace, self.grace = self.grace, None
        if grace is not None and grace.active():
            grace.cancel()


class ValueCall(Call[object]):
    """A command whose result is one bounded value."""

    def run(self, worker: WorkerProcess) -> None:
        """Let an idle worker run it."""
        self.worker = worker
        answer = ValueAnswer(worker.limits, self.result)
        worker.run(answer, self.command, self.arguments, self.context.encode())

    @property
    def may_be_retried(self) -> bool:
        """Somebody still waits for the value."""
        return super().may_be_retried and not self.result.called


class StreamCall(Call[WorkerStream]):
    """A command whose answer is passed on as it comes; its result is the stream.

    Args:
        pool: The pool that runs the command.
        context: The repository, the user and the permission.
        command: The command's name.
        arguments: The command's arguments, already checked.
        share: Names the peer, of which all streams together may hold a share of the workers; None
            for a peer that may hold all.
        has_data: Command data are sent through the stream.
        is_short: It takes little time, so that it is not long, unless it writes.
    """

    def __init__(  # noqa: PLR0913 what a stream is opened with
        self,
        pool: Pool,
        context: CallContext,
        command: bytes,
        arguments: Mapping[bytes, Value],
        *,
        share: str | None,
        has_data: bool,
        is_short: bool = False,
    ) -> None:
        super().__init__(pool, context, command, arguments)
        self.is_long = self.is_long or not is_short
        self.share = share
        self._has_data = has_data
        self.stream: WorkerStream | None = None

    @property
    def may_be_retried(self) -> bool:
        """Nothing of the answer was read, and no data were sent that would be missing now."""
        is_unread = self.stream is not None and self.stream.is_unread
        return super().may_be_retried and is_unread and not self._has_data

    @property
    def may_be_moved(self) -> bool:
        """No data were sent that would be missing now."""
        return super().may_be_moved and not self._has_data

    @property
    def _is_left(self) -> bool:
        return self.stream is None or not self.stream.is_unread

    @property
    def progress(self) -> int | None:
        """The frames that have come."""
        stream = self.stream
        if stream is None:
            return 0
        # A short one has the worker that is kept, which no reader may hold.
        is_held = self.is_long and stream.state is StreamState.PAUSED
        return None if is_held else stream.frames

    def run(self, worker: WorkerProcess) -> None:
        """Let an idle worker run it, and hand the stream over if that was not done before."""
        self.worker = worker
        stream, is_new = self.stream, self.stream is None
        if stream is None:
            self.stream = stream = WorkerStream(
                worker.connection,
                worker.limits,
                self._pool.spool_budget,
                has_data=self._has_data,
                on_full=self._pool.relieve,
                on_left=lambda: self._pool.cancel(self),
            )
            if not self.is_long:
                stream.spool()
        else:
            stream.restart(worker.connection)
        worker.run(
            stream, self.command, self.arguments, self.context.encode(), has_data=self._has_data
        )
        if is_new:
            self.result.callback(stream)
