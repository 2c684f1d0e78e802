"""Workers that wait for a command, and when they have waited too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.net.workers.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.net.workers.deadline import Reactor
    from wiredaemon.net.workers.process import WorkerProcess


class IdleWorkers:
    """Idle workers, the one that was used last first: so few as possible are kept busy.

    One timer serves all of them: a timer for each would be set and cancelled with every command.

    Args:
        reactor: The reactor, for the timer.
        seconds: Time after which a worker is offered to ``on_idle_long``, ``worker_idle_seconds``.
        on_idle_long: Ends a worker, if it should end.
    """

    def __init__(
        self, reactor: Reactor, seconds: float, on_idle_long: Callable[[WorkerProcess], None]
    ) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._on_idle_long = on_idle_long
        self._deadline = Deadline(reactor)
        self._is_watched = False
        """The timer is set; known here, for it is asked for with each command."""
        self.since: dict[WorkerProcess, float] = {}
        """The time since when each is idle; the one used last at the end."""

    def add(self, worker: WorkerProcess) -> None:
        """Let a worker wait."""
        self.since[worker] = self._reactor.seconds()
        if not self._is_watched:
            self._is_watched = True
            self._deadline.set(self._seconds, self._check)

    def take(self) -> WorkerProcess:
        """Let the worker that was used last wait no more.

        Raises:
            KeyError: None waits.
        """
        return self.since.popitem()[0]

    def remove(self, worker: WorkerProcess) -> None:
        """Let a worker wait no more, if it does."""
        self.since.pop(worker, None)

    def stop(self) -> None:
        """Watch the time no more."""
        self._is_watched = False
        self._deadline.clear()

    def _check(self) -> None:
        now = self._reactor.seconds()
        for worker, since in list(self.since.items()):
            if since + self._seconds <= now:
                # One that is kept is asked again after the same time.
                self.since[worker] = now
                self._on_idle_long(worker)
        self._is_watched = bool(self.since)
        if self._is_watched:
            self._deadline.set(min(self.since.values()) + self._seconds - now, self._check)
