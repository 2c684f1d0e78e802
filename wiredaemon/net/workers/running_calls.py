"""The commands that run, each on a worker: how long they may, and what ends them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger

from wiredaemon.net.workers.deadline import Deadline

if TYPE_CHECKING:
    from wiredaemon.net.workers.calls import Call
    from wiredaemon.net.workers.deadline import Reactor
    from wiredaemon.net.workers.process import WorkerProcess
    from wiredaemon.net.workers.queue import CallQueue
    from wiredaemon.wire.limits import Limits

CHECK_SECONDS: Final = 1.0
"""Seconds between two looks at what runs: one timer for all, because most commands take 1 ms."""

_STOPPED: Final = float("inf")
"""The time of a call that was stopped already."""

_log = Logger()


class RunningCalls:
    """Calls by their workers.

    Args:
        reactor: The reactor, for timers.
        limits: ``read_seconds``, ``write_seconds`` and ``worker_read_grace``.
        queue: Is notified of what runs no more.
    """

    def __init__(self, reactor: Reactor, limits: Limits, queue: CallQueue) -> None:
        self._reactor = reactor
        self._queue = queue
        self._limits = limits
        self._calls: dict[WorkerProcess, Call[Any]] = {}
        self._seen: dict[Call[Any], tuple[float, int | None]] = {}
        """When each was seen to come on, and how far it was then."""
        self._deadline = Deadline(reactor)
        self._is_watched = False
        """The timer is set; known here, for it is asked for with each command."""

    def begin(self, worker: WorkerProcess, call: Call[Any]) -> None:
        """Note that a worker runs a call."""
        self._calls[worker] = call
        if not self._is_watched:
            self._is_watched = True
            self._deadline.set(CHECK_SECONDS, self._check)

    def of(self, worker: WorkerProcess) -> Call[Any] | None:
        """Return the call that a worker runs, if it runs one."""
        return self._calls.get(worker)

    def end(self, worker: WorkerProcess) -> None:
        """Note that a worker runs nothing more."""
        call = self._calls.pop(worker, None)
        if call is None:
            return
        if call.grace is not None:
            call.end_grace()
        self._seen.pop(call, None)
        self._queue.end(call)

    def take_back(self, worker: WorkerProcess) -> bool:
        """Let the call of a worker that has died wait for another one, if nobody notices."""
        call = self._calls.get(worker)
        if call is None or not call.may_be_retried:
            return False
        self.end(worker)
        call.take_back()
        self._queue.add_again(call)
        return True

    def move(self, worker: WorkerProcess) -> bool:
        """Let a call that its worker refused wait for another one, if it can be run again."""
        call = self._calls.get(worker)
        if call is None or not call.may_be_moved:
            return False
        self.end(worker)
        call.moves += 1
        call.worker = None
        self._queue.add_again(call)
        return True

    def leave(self, call: Call[Any]) -> None:
        """Note that nobody waits for a call; a read is stopped after some time."""
        if call.worker is not None and call.may_be_stopped:
            # Not at once: most reads end sooner than a new worker starts.
            call.grace = self._reactor.callLater(
                self._limits.worker_read_grace, _stop_left, call, call.worker
            )

    def stop(self) -> None:
        """Watch the time no more."""
        self._is_watched = False
        self._deadline.clear()

    def _check(self) -> None:
        now = self._reactor.seconds()
        for worker, call in list(self._calls.items()):
            since, before = self._seen.get(call, (now, -1))
            if since == _STOPPED:
                continue
            progress = call.progress
            has_come_on = progress is None or progress != before
            # The time of a write is counted from its beginning, whatever it says meanwhile.
            if call not in self._seen or (call.may_be_stopped and has_come_on):
                self._seen[call] = now, progress
            elif now - since >= self._most(call):
                self._seen[call] = _STOPPED, progress
                self._stop_late(worker, call)
        self._is_watched = bool(self._calls)
        if self._is_watched:
            self._deadline.set(CHECK_SECONDS, self._check)

    def _most(self, call: Call[Any]) -> float:
        limits = self._limits
        return limits.read_seconds if call.may_be_stopped else limits.write_seconds

    def _stop_late(self, worker: WorkerProcess, call: Call[Any]) -> None:
        name = "read_seconds" if call.may_be_stopped else "write_seconds"
        reason = f"the command took longer than {self._most(call):g} s ({name})"
        _log.info(
            "repository worker {pid} is stopped: {command} for {repository}: {reason}",
            pid=worker.pid,
            command=call.command.decode("ascii", "replace"),
            repository=call.context.repository.decode("utf-8", "replace"),
            reason=reason,
        )
        # A write rolls back what it has written; a hook that does not end is killed.
        worker.kill(reason, may_roll_back=not call.may_be_stopped)


def _stop_left(call: Call[Any], worker: WorkerProcess) -> None:
    _log.info(
        "repository worker {pid} is stopped: nobody waits for {command}",
        pid=worker.pid,
        command=call.command.decode("ascii", "replace"),
    )
    worker.kill()
