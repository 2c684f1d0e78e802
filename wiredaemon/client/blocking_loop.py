"""The event loop of scripts: sockets, timers, and what is to be called soon.

It has no thread and runs by turns, which somebody who waits asks for. One that waits for one answer
has one poll, where asyncio's loop takes four turns for each wait (docs/decisions.md).
"""

from __future__ import annotations

import math
import select
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from wiredaemon.client.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.client.blocking_waits import BlockingWaiter
    from wiredaemon.client.timers import Timer

_LONGEST_POLL: Final = 3600.0
"""Seconds of one poll, whose argument has 31 bits of milliseconds; the next turn polls again."""
_MOST_LOOKS: Final = 8
"""Turns of a look: a server that says goodbye takes three, and one that goes on sending is heard by
whoever waits next."""


class BlockingLoop:
    """An event loop that runs only while somebody waits."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing to wait for.

        Args:
            clock: Gives seconds, and never goes back.
        """
        self.now = clock
        self._timers = Timers()
        self._soon: deque[Callable[[], object]] = deque()
        # Not `select`, which knows no descriptor above 1023; and not epoll, which a forked process
        # would share.
        self._poll = select.poll()
        self._on_ready: dict[int, Callable[[int], object]] = {}
        """What is called with the events of a descriptor."""
        self.is_polling = False
        """Nothing is done but waiting: what a signal's handler raises leaves nothing half done."""

    def call_later(self, seconds: float, function: Callable[[], object]) -> Timer:
        """Call a function after some time."""
        return self._timers.add(self.now() + seconds, function)

    def call_soon(self, function: Callable[[], object]) -> None:
        """Call a function at the beginning of the next turn, in the order of these calls."""
        self._soon.append(function)

    def watch(self, descriptor: int, events: int, on_ready: Callable[[int], object]) -> None:
        """Call a function with the events of a descriptor.

        Args:
            descriptor: A socket; what was watched of it before is forgotten.
            events: Of ``select.POLLIN`` and ``select.POLLOUT``; with none it is not watched. Errors
                come without being asked for.
            on_ready: Is called in each turn in which the socket is ready, so that many take turns.
                It may find that it is not, since another one may have had the number before.
        """
        if events:
            self._poll.register(descriptor, events)
            self._on_ready[descriptor] = on_ready
        elif self._on_ready.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def unwatch(self, descriptor: int) -> None:
        """Forget a descriptor, before it is closed."""
        if self._on_ready.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def wait(self, waiter: BlockingWaiter) -> None:
        """Return once a waiter was woken.

        Raises:
            BaseException: What is called raises, or a signal's handler does. If it has come while
                the loop was polling (`is_polling` is left so then), the rest waits for the next
                turn; else anything may be half done.
        """
        while not waiter.is_awake:
            self.call_waiting()
            # Before anything is polled: to have called what is there needs no turn of its own.
            if not waiter.is_awake:
                self._take_turn(_LONGEST_POLL)

    def look(self) -> None:
        """Handle what has happened while nobody waited, without waiting for anything."""
        for _ in range(_MOST_LOOKS):
            self.call_waiting()
            if not self._take_turn(0.0) and not self._soon:
                return

    def call_waiting(self) -> None:
        """Call what waits for a turn; what that adds waits for the next one."""
        soon = self._soon
        for _ in range(len(soon)):
            soon.popleft()()

    def _take_turn(self, longest: float) -> bool:
        """Wait until something happens, and handle it; return whether a socket was ready.

        Args:
            longest: The most seconds to wait for it; none while something is to be called soon.
        """
        if self._soon:
            longest = 0.0
        moment = self._timers.next_moment()
        if moment is not None:
            left = moment - self.now()
            if left < longest:
                longest = max(left, 0.0)
        # Rounded up: a poll that ends before its timer would be followed by others.
        milliseconds = math.ceil(longest * 1000.0)
        self.is_polling = True
        ready = self._poll.poll(milliseconds)
        self.is_polling = False
        on_ready = self._on_ready
        for descriptor, events in ready:
            # One that was called in front of it may have closed it.
            function = on_ready.get(descriptor)
            if function is not None:
                function(events)
        # After the sockets: after a long time without a turn, an answer that has come counts.
        if moment is not None and moment <= (now := self.now()):
            self._timers.call_due(now)
        return bool(ready)
