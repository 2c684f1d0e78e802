"""A timer that runs out when nothing has happened for too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.client.runtime import Cancellable, Runtime


class IdleTimer:
    """Calls back when it was not touched for some seconds.

    Touching only notes the time: one delayed call serves many touches.
    """

    __slots__ = ("_last", "_on_idle", "_runtime", "_seconds", "timer")

    def __init__(self, runtime: Runtime, on_idle: Callable[[], None]) -> None:
        """Begin stopped.

        Args:
            runtime: Measures the time.
            on_idle: Is called when the time is over; the timer has stopped then.
        """
        self._runtime = runtime
        self._on_idle = on_idle
        self._seconds: float | None = None
        self._last = 0.0
        self.timer: Cancellable | None = None
        """What looks from time to time; None while stopped, so that touching is of no use."""

    def set(self, seconds: float | None) -> None:
        """Run for so many seconds from the last touch, or stop."""
        if seconds == self._seconds:
            return
        was_stopped = self._seconds is None
        self._seconds = seconds
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if seconds is None:
            return
        if was_stopped:
            self._last = self._runtime.now()
        self._wait(seconds)

    def touch(self) -> None:
        """Note that something happens."""
        if self.timer is not None:
            self._last = self._runtime.now()

    def _wait(self, seconds: float) -> None:
        left = self._last + seconds - self._runtime.now()
        self.timer = self._runtime.call_later(max(left, 0.0), self._check)

    def _check(self) -> None:
        self.timer = None
        if self._seconds is None:
            return
        if self._runtime.now() - self._last < self._seconds:
            self._wait(self._seconds)
            return
        self._seconds = None
        self._on_idle()
