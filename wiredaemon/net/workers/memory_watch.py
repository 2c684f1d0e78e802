"""Returns the daemon's own memory to the system when a burst is over."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from wiredaemon.net.workers.deadline import Deadline
from wiredaemon.net.workers.resident_memory import ResidentMemory
from wiredaemon.repository.returned_memory import return_memory

if TYPE_CHECKING:
    from wiredaemon.net.workers.deadline import Reactor

CHECK_SECONDS: Final = 2.0
"""Seconds between two looks; memory is returned behind the first one that sees no growth."""

LEAST_GROWTH: Final = 8 * 1024 * 1024
"""Bytes of growth below which nothing is done: what is free then is soon needed again."""


class MemoryWatch:
    """Looks at the memory of this process as long as it is started.

    Args:
        reactor: The reactor, for the timer.
    """

    def __init__(self, reactor: Reactor) -> None:
        self._deadline = Deadline(reactor)
        self._memory: ResidentMemory | None = None
        self._least = 0
        """Bytes that stayed when memory was returned last."""
        self._before = 0
        """Bytes at the last look."""

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
        is_growing = now > self._before + LEAST_GROWTH
        if now > self._least + LEAST_GROWTH and not is_growing:
            return_memory()
            # What is in use stays: the next look compares with that, and does not try again.
            self._least = now = memory.read()
        self._least = min(self._least, now)
        self._before = now
        self._deadline.set(CHECK_SECONDS, self._check)
