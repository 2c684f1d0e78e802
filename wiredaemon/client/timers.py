"""Timers of an event loop: what is to be called at which time."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_CANCELLED: Final = 100
"""Timers that may be cancelled and kept, however few others there are: removing one by one from the
middle would cost each call with a deadline a search."""


class Timer:
    """One timer."""

    __slots__ = ("_timers", "function")

    def __init__(self, timers: Timers, function: Callable[[], object]) -> None:
        """Begin; `Timers.add` makes them."""
        self._timers = timers
        self.function: Callable[[], object] | None = function
        """What is to be called; None once that was done or is not wanted any more."""

    def cancel(self) -> None:
        """Cancel it; nothing happens if it is over."""
        if self.function is not None:
            self.function = None
            self._timers.note_cancelled()


class Timers:
    """The timers of one loop, by time; those of the same time in the order in which they came."""

    __slots__ = ("_cancelled", "_heap", "_order")

    def __init__(self) -> None:
        """Begin without one."""
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = count()
        self._cancelled = 0
        """The number of cancelled timers that are still in the heap."""

    def __len__(self) -> int:
        """Return how many are held, those included that were cancelled and not dropped yet."""
        return len(self._heap)

    def add(self, moment: float, function: Callable[[], object]) -> Timer:
        """Have a function called at a moment of the loop's clock."""
        timer = Timer(self, function)
        heappush(self._heap, (moment, next(self._order), timer))
        return timer

    def note_cancelled(self) -> None:
        """Note that one was cancelled; when those are most of all, they are dropped."""
        self._cancelled += 1
        if self._cancelled > _MOST_CANCELLED and self._cancelled * 2 > len(self._heap):
            self._heap = [each for each in self._heap if each[2].function is not None]
            heapify(self._heap)
            self._cancelled = 0

    def next_moment(self) -> float | None:
        """Return the moment of the earliest timer; None if there is none."""
        while self._heap and self._heap[0][2].function is None:
            heappop(self._heap)
            self._cancelled -= 1
        return self._heap[0][0] if self._heap else None

    def call_due(self, now: float) -> None:
        """Call all whose moment has come; those that they add have to wait for the next time."""
        added = next(self._order)
        while self._heap and self._heap[0][0] <= now and self._heap[0][1] < added:
            timer = heappop(self._heap)[2]
            function, timer.function = timer.function, None
            if function is None:
                self._cancelled -= 1
            else:
                function()
