"""Turns of connections that have much to do: none keeps the reactor from the others.

One read may hold thousands of requests. A connection works for a turn, then lets the others go
first; of all that wait for another turn, one goes on in each turn of the reactor. So a peer with
few requests waits for one turn, however many others have much to do.

Many connections may begin to have much to do in one turn of the reactor. When that has taken long,
those that still come in it do little at once, or nothing (`LATE`, `LITTLE`).
"""

from __future__ import annotations

from collections import deque
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS: Final = 0.01
"""The time of a turn: what is begun then may take as long again, and all of it less than 50 ms."""
LATE: Final = 0.02
"""Seconds of a turn of the reactor after which a connection with much to do waits for another."""
LITTLE: Final = 2048
"""Bytes of a read that never wait: they may be a few requests, of an honest peer."""


class ReactorTurn:
    """The turn of the reactor that goes on; the watchdog sets when it began."""

    __slots__ = ("began",)

    def __init__(self) -> None:
        self.began = inf
        """A time of `Turns.now`; infinite while the reactor waits, or where nobody watches it."""


class Turns:
    """Lets connections go on whose turn has ended.

    Args:
        reactor: Calls back in its next turn.
        now: Tells the seconds that work takes.
    """

    _log = Logger()

    def __init__(self, reactor: Any, now: Callable[[], float] = perf_counter) -> None:  # noqa: ANN401 zope interfaces do not intersect
        self._reactor = reactor
        self._waiting: deque[Callable[[], object]] = deque()
        self.now = now
        self.current = ReactorTurn()

    def __len__(self) -> int:
        """Return how many connections wait for their turn."""
        return len(self._waiting)

    @property
    def are_late(self) -> bool:
        """The turn of the reactor has taken so long that whatever can wait should wait."""
        return self.now() - self.current.began > LATE

    def wait(self, go_on: Callable[[], object]) -> None:
        """Call back when it is the caller's turn again, after those that wait already."""
        self._waiting.append(go_on)
        if len(self._waiting) == 1:
            self._reactor.callLater(0, self._next)

    def _next(self) -> None:
        go_on = self._waiting[0]
        try:
            go_on()
        except Exception:  # noqa: BLE001 the others must have their turns all the same
            self._log.failure("a connection could not go on")
        finally:
            # Not before: a call of `wait` meanwhile would make a second timer.
            self._waiting.popleft()
            if self._waiting:
                self._reactor.callLater(0, self._next)
