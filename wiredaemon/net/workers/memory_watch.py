"""Returns the daemon's own memory to the system when a burst is over."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING, Final

from wiredaemon.net.workers.deadline import Deadline
from wiredaemon.net.workers.resident_memory import ResidentMemory
from wiredaemon.repository.returned_memory import return_memory

if TYPE_CHECKING:
    from wiredaemon.net.workers.deadline import Reactor

CHECK_SECONDS: Final = 2.0
"""Seconds between two looks; memory is returned after the first one that sees no growth."""
_ATTEMPTS: Final = 5
"""Attempts to return memory, one at each look: it may be in use until a burst is answered."""
_MOST_LOOKS: Final = 32
"""Looks between two further attempts at the most."""

LEAST_GROWTH: Final = 2 * 1024 * 1024
"""Bytes of growth below which nothing is done: what is free then is soon needed again.

No more, because many small bursts add up, and 4 MiB are what one may leave behind."""


class MemoryWatch:
    """Looks at the memory of this process as long as it is started.

    Args:
        reactor: The reactor, for the timer.
    """

    def __init__(self, reactor: Reactor) -> None:
        self._deadline = Deadline(reactor)
        self._memory: ResidentMemory | None = None
        self._least = 0
        """The fewest bytes at any look."""
        self._before = 0
        """Bytes at the last look."""
        self._attempts = 0
        """Attempts since memory has grown or was returned."""
        self._left = 0
        """Looks until the next attempt."""

    def start(self) -> None:
        """Begin to look; to be called once twistd has forked."""
        self._memory = ResidentMemory(os.getpid())
        self._least = self._before = self._memory.read()
        self._deadline.set(CHECK_SECONDS, self._check)

    def stop(self) -> None:
        """Look no more."""
        self._deadline.clear()
        if self._memory is not None:
            self._memory.close()
            self._memory = None

    def _check(self) -> None:
        memory = self._memory
        if memory is None:
            return
        now = memory.read()
        if now > self._before + LEAST_GROWTH:
            self._attempts = self._left = 0
        elif self._left:
            self._left -= 1
        elif now > self._least + LEAST_GROWTH:
            now = self._return(now, memory)
        self._least = min(self._least, now)
        self._before = now
        self._deadline.set(CHECK_SECONDS, self._check)

    def _return(self, before: int, memory: ResidentMemory) -> int:
        """Return what is free, and return the bytes that stay.

        They may be in use until later, when nothing grows: so it is tried again.
        """
        # Twisted's connections over TLS are cycles of objects, with their output. What was there at
        # the start is frozen, so that this takes some 0.2 ms for each 1,000 objects of peers.
        gc.collect()
        return_memory()
        after = memory.read()
        self._attempts = 0 if after < before - LEAST_GROWTH else self._attempts + 1
        if self._attempts > _ATTEMPTS:
            self._left = min(2 ** (self._attempts - _ATTEMPTS), _MOST_LOOKS)
        return after
