"""When the next worker may be started, after starts that failed and workers that died."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.application.internet import backoffPolicy

from wiredaemon.net.workers.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.net.workers.deadline import Reactor

# As long as a start takes: a failing one then costs a processor half its time at the most, and less
# each time.
FIRST_DELAY: Final = 0.5
"""Seconds until the second try of a start that has failed once."""

LONGEST_DELAY: Final = 30.0
"""Seconds between two tries at most: an operator who has mended the cause does not wait longer."""

# Without jitter: it keeps many clients of one server apart, and there is one pool.
_delay: Final = backoffPolicy(
    initialDelay=FIRST_DELAY, maxDelay=LONGEST_DELAY, factor=2.0, jitter=lambda: 0.0
)


class Restarts:
    """Delays starts that are likely to fail again, twice as long each time.

    Args:
        reactor: The reactor, for the timer.
        try_again: Called when the delay is over.
    """

    def __init__(self, reactor: Reactor, try_again: Callable[[], None]) -> None:
        self._try_again = try_again
        self._deadline = Deadline(reactor)
        self.failed_starts = 0
        """Starts that failed in a row."""
        self.deaths = 0
        """Workers that died in a row, without a command that was answered between them."""
        self.all_starts = self.all_failed_starts = self.all_deaths = 0
        """Starts that succeeded, starts that failed and deaths, since the pool was made."""

    @property
    def must_wait(self) -> bool:
        """No worker may be started for now."""
        return self._deadline.is_set

    @property
    def have_failed(self) -> bool:
        """The last tries have failed, and the next is still to come.

        One that failed is no reason to give up: it may have been killed.
        """
        return self.failed_starts > 1 and self.must_wait

    def start_failed(self) -> float:
        """Count a start that failed; return the seconds until the next one."""
        delay = _delay(self.failed_starts)
        self.failed_starts += 1
        self.all_failed_starts += 1
        self._wait(delay)
        return delay

    def start_succeeded(self) -> None:
        """Count a start, and forget those that failed."""
        self.all_starts += 1
        self.failed_starts = 0

    def worker_died(self) -> None:
        """Count a worker that died; the first one may be replaced at once."""
        delay = _delay(self.deaths)
        self.deaths += 1
        self.all_deaths += 1
        if self.deaths > 1:
            self._wait(delay)

    def command_answered(self) -> None:
        """Forget the workers that died."""
        self.deaths = 0

    def stop(self) -> None:
        """Try no more."""
        self._deadline.clear()

    def _wait(self, delay: float) -> None:
        if not self._deadline.is_set:
            self._deadline.set(delay, self._try_again)
