"""The threads of blocking commands: a few of their own, and a few calls that wait for one.

Kept clones, content encoders and passwords have threads elsewhere, so that commands which block for
minutes keep nobody waiting but each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, fail
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from wiredaemon.commands import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.wire.limits import Limits

_RETRY: Final = 10
"""Seconds after which a client that found no place may come again."""


class CommandThreads:
    """Runs blocking calls, ``blocking_threads`` at once; ``blocking_waiting`` more wait.

    The threads start with the first call. They end with the reactor, after the calls that run,
    or with `end`.

    Args:
        reactor: Takes the results.
        limits: The bounds.
    """

    def __init__(self, reactor: Any, limits: Limits) -> None:  # noqa: ANN401 zope interfaces do not intersect
        self.reactor = reactor
        self.most = max(1, limits.blocking_threads)
        """Threads that there may be."""
        self._most_waiting = limits.blocking_waiting
        self._pool: ThreadPool | None = None
        self._trigger: Any = None
        self.running = 0
        """Calls that a thread has begun and not left, cancelled ones among them."""
        self.waiting: dict[Deferred[Any], Callable[[], Any]] = {}
        """Calls that wait for a thread, the oldest in front."""
        self._is_ending = False

    def call(self, call: Callable[[], Any]) -> Deferred[Any]:
        """Call a function in a thread, as soon as there is one.

        Returns:
            A Deferred of its result. Cancelled, it fails at once with `CancelledError`: a call that
            waits is never made, and one that runs keeps its thread until it returns. It fails with
            `ServerError` if too many calls wait already.
        """
        later: Deferred[Any] = Deferred(self._forget)
        if self.running < self.most:
            self._run(later, call)
        elif len(self.waiting) < self._most_waiting:
            self.waiting[later] = call
        else:
            return fail(
                ServerError(
                    f"busy, try again in {_RETRY} s: too many commands wait for a thread, of"
                    f" {self._most_waiting} that may (blocking_waiting)"
                )
            )
        return later

    def end(self) -> None:
        """End the threads: now if none is in use, else when the last call has returned."""
        if self.running:
            self._is_ending = True
        elif self._pool is not None:
            self.reactor.removeSystemEventTrigger(self._trigger)
            self._stop()

    def _forget(self, later: Deferred[Any]) -> None:
        self.waiting.pop(later, None)

    def _run(self, later: Deferred[Any], call: Callable[[], Any]) -> None:
        self.running += 1
        self._is_ending = False
        running = deferToThreadPool(self.reactor, self._started(), call)
        running.addBoth(self._returned, later)

    def _returned(self, result: Any, later: Deferred[Any]) -> None:  # noqa: ANN401 whatever a call gives
        self.running -= 1
        # First: what takes the result may call again, and those that wait were here before.
        if self.waiting:
            waiting = next(iter(self.waiting))
            self._run(waiting, self.waiting.pop(waiting))
        elif self._is_ending:
            self.end()
        if not later.called:
            later.callback(result)

    def _started(self) -> ThreadPool:
        if self._pool is None:
            self._pool = ThreadPool(minthreads=0, maxthreads=self.most, name="commands")
            self._pool.start()
            self._trigger = self.reactor.addSystemEventTrigger("during", "shutdown", self._stop)
        return self._pool

    def _stop(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()
