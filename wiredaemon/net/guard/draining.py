"""Ends all connections before the daemon stops: each as soon as nothing is owed to its peer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from wiredaemon.net.guard.guard import Guarded

_INTERVAL: Final = 0.1
"""Seconds between two looks at the connections that are left, of which each takes some 2 us."""
_ABORTING: Final = 1.0
"""Seconds in which aborted connections are lost: the next turn of the reactor, usually."""


class Connections(Protocol):
    """Connections that are open, those of a `ConnectionGuard` or some of them."""

    def __len__(self) -> int:
        """Return their number."""

    def connections(self) -> list[Guarded]:
        """Return them."""


class Draining:
    """The end of connections. Their listeners are closed by then.

    Args:
        guard: Knows the connections.
        reactor: Tells the time and calls back.
        seconds: The time that answers have; connections that are left then are aborted.
    """

    _log = Logger()

    def __init__(self, guard: Connections, reactor: IReactorTime, seconds: float) -> None:
        self._guard = guard
        self._reactor = reactor
        self._seconds = seconds
        self._end = 0.0
        self._is_aborting = False
        self._done: Deferred[None] = Deferred()

    def begin(self) -> Deferred[None]:
        """Tell all connections; fires when there are none any more. To be called once."""
        self._end = self._reactor.seconds() + self._seconds
        self._go_on()
        return self._done

    def abort(self) -> None:
        """Wait no longer, if it has begun: abort all connections that are left."""
        if self._done.called or self._is_aborting:
            return
        self._is_aborting = True
        left = self._guard.connections()
        if left:
            self._log.warn("{count} connections are aborted", count=len(left))
        for connection in left:
            connection.abort()
        self._end = self._reactor.seconds() + _ABORTING

    def _go_on(self) -> None:
        now = self._reactor.seconds()
        if not self._is_aborting:
            self._drain(now)
        left = len(self._guard)
        if not left or (self._is_aborting and now >= self._end):
            self._done.callback(None)
            return
        if now >= self._end:
            self.abort()
        self._reactor.callLater(_INTERVAL, self._go_on)

    def _drain(self, now: float) -> None:
        for connection in self._guard.connections():
            try:
                connection.drain(now)
            except Exception:  # noqa: BLE001 the others must end all the same
                self._log.failure("a connection could not be ended")
                connection.abort()
