"""The memory of a daemon and of its workers, as the kernel counts it."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Final

from benchmarks.cpu import cpu_seconds, private_memory
from benchmarks.errors import BenchmarkError

_KIB: Final = 1024
_SAMPLE_SECONDS: Final = 1.0
"""Time between samples: reading a process's memory maps stops it for milliseconds."""
_DEADLINE: Final = 120.0
_SAMPLES: Final = 6
"""The number of samples in a row, 0.1 s apart, in which nothing may change."""
_STEADY: Final = 64 * _KIB
"""Bytes by which steady memory may differ."""
_IDLE: Final = 0.003
"""Seconds of processor time between two samples that still count as idle."""


class MemoryWatch:
    """Records the highest memory of a daemon and of its workers since the watch was made."""

    def __init__(self, pid: int) -> None:
        """Wait until the daemon's memory is steady, and begin.

        Args:
            pid: The daemon's process id.
        """
        self._pid = pid
        self._before = _settled(pid)
        self._next = 0.0
        self.growth = 0
        """Bytes of the daemon's private memory above those at the beginning."""
        self.worker = 0
        """Resident bytes of the largest worker."""

    def sample(self) -> None:
        """Take a sample, unless the last one is less than a second old."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _SAMPLE_SECONDS
            self.growth = max(self.growth, _own(self._pid) - self._before)
            self.worker = max(self.worker, largest_worker(self._pid))

    def after(self) -> int:
        """Wait until memory is steady again, and return the growth that is left."""
        return _settled(self._pid) - self._before


def worker_pids(pid: int) -> list[int]:
    """Return the process ids of a daemon's workers."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in text.split()]


def _own(pid: int) -> int:
    """Return the bytes of private memory of the daemon alone."""
    while True:
        try:
            return private_memory(pid) - sum(map(private_memory, worker_pids(pid)))
        except (FileNotFoundError, ProcessLookupError):  # A worker has just ended.
            continue


def largest_worker(pid: int) -> int:
    """Return the resident bytes of a daemon's largest worker, 0 without workers."""
    return max(map(resident_memory, worker_pids(pid)), default=0)


def resident_memory(pid: int) -> int:
    """Return the resident bytes of a process, 0 where it has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"^VmRSS:\s+(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * _KIB if found else 0


def _settled(pid: int) -> int:
    """Wait until the daemon's memory is steady and it uses no processor time; return the memory."""
    end = time.monotonic() + _DEADLINE
    calm = 0
    memory, used = _own(pid), cpu_seconds(pid)
    while calm < _SAMPLES:
        if time.monotonic() > end:
            raise BenchmarkError("the daemon does not come to rest")
        time.sleep(0.1)
        last, before = memory, used
        memory, used = _own(pid), cpu_seconds(pid)
        calm = calm + 1 if abs(memory - last) <= _STEADY and used - before < _IDLE else 0
    return memory
