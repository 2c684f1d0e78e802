"""The memory that a process holds, as the system says, and what it is bound to."""

from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress
from time import monotonic
from typing import Final

_PAGE_SIZE: Final = resource.getpagesize()
"""Bytes of the unit that Linux counts memory in."""


_NICENESS: Final = 5
"""Steps by which workers are nicer than we are: each is a fifth less of a busy processor."""


_MOMENT: Final = 0.02
"""Seconds for which the size of a process counts: it takes no more than some 80 MiB meanwhile."""


class ResidentMemory:
    """The bytes of memory that a process holds, where the system says so in ``/proc``.

    The file stays open: it is read often, and opening it takes five times as long.

    Args:
        pid: The process.
    """

    def __init__(self, pid: int) -> None:
        self._file = -1
        self._recent, self._read_at = 0, float("-inf")
        with suppress(OSError):
            self._file = os.open(f"/proc/{pid}/statm", os.O_RDONLY)

    def read(self) -> int:
        """Return the bytes, or 0 where the system does not say or the process is gone."""
        if self._file < 0:
            return 0
        try:
            return int(os.pread(self._file, 256, 0).split()[1]) * _PAGE_SIZE
        except (OSError, ValueError, IndexError):
            return 0

    def recent(self) -> int:
        """Return what `read` returns, or has returned a moment before: commands may take less."""
        now = monotonic()
        if now - self._read_at > _MOMENT:
            self._recent, self._read_at = self.read(), now
        return self._recent

    def close(self) -> None:
        """Close the file; `read` returns 0 from now on."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


def bound(pid: int, size: int) -> None:
    """Bind a worker: it may take so many bytes, and lets the daemon go first."""
    bound_memory(pid, size)
    let_others_first(pid)


def bound_memory(pid: int, size: int) -> None:
    """Bound the memory that a process may take for itself, where the system can.

    Its data, not its address space: revlogs of any size may be mapped, which takes none.

    Args:
        pid: The process; one that has gone needs no bound.
        size: Bytes; 0 for no bound.
    """
    if size and sys.platform == "linux":
        with suppress(OSError, ValueError):
            resource.prlimit(pid, resource.RLIMIT_DATA, (size, size))


def let_others_first(pid: int) -> None:
    """Let the daemon go before a worker where both want the same processor.

    Many workers may compute for long; what the daemon does takes little, and all wait for it.

    Args:
        pid: The process; for one that has gone nothing is done.
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, 0) + _NICENESS)
