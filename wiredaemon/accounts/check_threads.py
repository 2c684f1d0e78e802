"""The threads in which passwords are verified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred

THREADS: Final = 2
"""Passwords verified at once: each keeps a processor busy, which the reactor needs too."""


class CheckThreads:
    """A few threads of their own, so that no command keeps logins waiting and no login a command.

    They start with the first check and end with the reactor, after the checks that run:
    ``CheckQueue`` gives them no more than run at once.
    """

    def __init__(self, reactor: Any) -> None:  # noqa: ANN401 zope interfaces do not intersect
        self._reactor = reactor
        self._pool: ThreadPool | None = None

    def call(
        self, check: Callable[[bytes, str], bool], password: bytes, hashed: str
    ) -> Deferred[bool]:
        """Run a check in a thread; more than ``THREADS`` wait for each other."""
        return deferToThreadPool(self._reactor, self._started(), check, password, hashed)

    def _started(self) -> ThreadPool:
        if self._pool is None:
            self._pool = ThreadPool(minthreads=0, maxthreads=THREADS, name="logins")
            self._pool.start()
            self._reactor.addSystemEventTrigger("during", "shutdown", self._pool.stop)
        return self._pool
