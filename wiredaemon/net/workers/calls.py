"""Commands that a pool runs, or is going to: what becomes of each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from wiredaemon.commands import Permission, ServerError
from wiredaemon.net.workers.answers import ValueAnswer, WorkerStream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twisted.internet.interfaces import IDelayedCall

    from wiredaemon.net.workers.process import WorkerProcess
    from wiredaemon.net.workers.spooled_queue import SpoolBudget
    from wiredaemon.repository.worker_calls import CallContext
    from wiredaemon.wire.values import Value


class Pool(Protocol):
    """The pool as its calls see it."""

    spool_budget: SpoolBudget

    def cancel(self, call: Call) -> None:
        """Note that nobody waits for a call any more."""

    def relieve(self) -> None:
        """See whether slow readers keep others waiting."""


class Call(ABC):
    """One command that somebody waits for, or has waited for."""

    def __init__(
        self, command: bytes, arguments: Mapping[bytes, Value], context: CallContext
    ) -> None:
        self.command = command
        self.arguments = arguments
        self.context = context
        self.grace: IDelayedCall | None = None
        """Ends the worker of a command that nobody waits for."""

    @property
    def may_be_stopped(self) -> bool:
        """Nothing is lost with it when nobody waits for it any more."""
        return self.context.permission is Permission.RO

    @abstractmethod
    def run(self, worker: WorkerProcess) -> None:
        """Let an idle worker do it."""

    @abstractmethod
    def refuse(self, text: str) -> None:
        """Fail before a worker was asked."""

    def end(self) -> None:
        """Note that the worker has done with it."""
        if self.grace is not None and self.grace.active():
            self.grace.cancel()


class ValueCall(Call):
    """One with a bounded result."""

    def __init__(self, pool: Pool, *what: Any) -> None:  # noqa: ANN401 as of Call
        super().__init__(*what)
        self.result: Deferred[object] = Deferred(lambda _: pool.cancel(self))

    def run(self, worker: WorkerProcess) -> None:
        """Let an idle worker do it."""
        answer = ValueAnswer(worker.limits)
        answer.result.addCallbacks(self._give, self._fail)
        worker.run(answer, self.command, self.arguments, self.context.encode())

    def refuse(self, text: str) -> None:
        """Fail before a worker was asked."""
        self._fail(Failure(ServerError(text)))

    def _give(self, value: object) -> None:
        if not self.result.called:
            self.result.callback(value)

    def _fail(self, failure: Failure) -> None:
        if not self.result.called:
            self.result.errback(failure)


class StreamCall(Call):
    """One whose answer is passed on as it comes."""

    def __init__(self, pool: Pool, share: str | None, has_data: bool, *what: Any) -> None:  # noqa: ANN401, FBT001 as of Call
        super().__init__(*what)
        self._pool = pool
        self.share = share
        """Who asks, for the share of workers that one may hold; None for who may hold all."""
        self._has_data = has_data
        self.opened: Deferred[WorkerStream] = Deferred(lambda _: pool.cancel(self))
        self.stream: WorkerStream | None = None
        self.seen: int | None = None
        """Bytes that its reader had taken when that was looked at last; None if it never was."""

    def run(self, worker: WorkerProcess) -> None:
        """Let an idle worker do it, and give its stream."""
        self.stream = stream = WorkerStream(
            worker,
            worker.limits,
            self._pool.spool_budget,
            has_data=self._has_data,
            on_full=self._pool.relieve,
            on_left=lambda: self._pool.cancel(self),
        )
        worker.run(
            stream, self.command, self.arguments, self.context.encode(), has_data=self._has_data
        )
        self.opened.callback(stream)

    def refuse(self, text: str) -> None:
        """Fail before a worker was asked."""
        if not self.opened.called:
            self.opened.errback(Failure(ServerError(text)))
