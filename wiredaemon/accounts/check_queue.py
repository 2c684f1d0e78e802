"""The queue of password checks, in front of the threads that make them."""

from __future__ import annotations

from collections import deque
from math import ceil
from typing import TYPE_CHECKING

from wiredaemon.accounts.check_threads import THREADS
from wiredaemon.accounts.login import LoginBusyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred

    Start = Callable[[], Deferred[None] | None]
    """Begins a check, and returns what fires at its end; None if it has become needless."""


class CheckQueue:
    """Starts as many checks as there are threads; the others wait for their turn.

    Checks of users at places where they have logged in before have a line of their own, and their
    turn first: a crowd of strangers who guess does not keep them waiting.

    Args:
        most: Checks that may wait in each of the two lines.
        now: Returns the time in seconds.
    """

    def __init__(self, most: int, now: Callable[[], float]) -> None:
        self._most = most
        self._now = now
        self._known: deque[Start] = deque()
        self._strangers: deque[Start] = deque()
        self._running = 0
        # What a check of `NEW_COST` takes, until one was measured.
        self._seconds = 0.3

    def __len__(self) -> int:
        """Return how many checks wait."""
        return len(self._known) + len(self._strangers)

    def add(self, start: Start, *, is_known: bool) -> None:
        """Start a check, now or when its turn comes.

        Raises:
            LoginBusyError: Too many wait.
        """
        line = self._known if is_known else self._strangers
        if self._running < THREADS:
            self._start(start)
        elif len(line) < self._most:
            line.append(start)
        else:
            wait = max(1.0, self._most * self._seconds / THREADS)
            raise LoginBusyError(
                f"busy: more logins than {self._most} would wait; try again in {ceil(wait)} "
                "seconds (login_queue)",
                wait,
            )

    def discard(self, start: Start) -> None:
        """Take back a check that has not been started; do nothing if it has."""
        for line in (self._known, self._strangers):
            if start in line:
                line.remove(start)

    def _start(self, start: Start) -> None:
        began = self._now()
        check = start()
        if check is None:
            return
        self._running += 1
        check.addBoth(self._end, began)

    def _end(self, _outcome: object, began: float) -> None:
        self._running -= 1
        self._seconds = max(0.0, self._now() - began)
        while self._running < THREADS and (self._known or self._strangers):
            self._start((self._known or self._strangers).popleft())
