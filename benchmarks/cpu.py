"""Processor time, cores and memory of other processes, as the kernel counts them. Linux only."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_NANOSECOND: Final = 1e-9
_TICK: Final = 1 / os.sysconf("SC_CLK_TCK")
_CPUCLOCK_SCHED: Final = 2
"""The kernel's clock of a process's time on cores, with all threads, in nanoseconds."""
_ALLOWED: Final = sorted(os.sched_getaffinity(0))
_KIB: Final = 1024

SERVER_CORE: Final = _ALLOWED[0]
"""The core on which each server and its children run."""
LOAD_CORE: Final = _ALLOWED[-1]
"""The core on which the load runs; the same one where there is only one."""


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """Keep this thread, and the processes that it starts, on one core during the block."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and its children, running or waited for.

    Running processes and their threads are exact; children that have ended count in clock ticks.
    """
    return sum(
        time.clock_gettime_ns(~one << 3 | _CPUCLOCK_SCHED) * _NANOSECOND + _waited_for(one)
        for one in _family(pid)
    )


def private_memory(pid: int) -> int:
    """Return the bytes of private memory of a process and of its children, added up."""
    return sum(own_private_memory(one) for one in _family(pid))


def memory_of(pid: int, name: str) -> int:
    """Return bytes of memory of a process: `VmRSS`, resident now, or `VmHWM`, at its highest."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    if found is None:
        raise ValueError(name)
    return int(found[1]) * _KIB


def reset_peak(pid: int) -> None:
    """Let the highest resident memory of a process begin with what is resident now."""
    # 5 resets VmHWM (proc(5)).
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


def allow_connections(count: int) -> None:
    """Raise this process's limit on open files, which servers inherit, to so many connections.

    Raises:
        ValueError: The system does not allow as many.
    """
    needed = count + 512
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, max(needed, hard)))


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread has just ended
            for child in children.read_text(encoding="ascii").split():
                yield from _family(int(child))


def _waited_for(pid: int) -> float:
    """Return the processor time of the children that have ended."""
    # The program's name, in parentheses, may hold spaces; user and system time of children waited
    # for are the fields 16 and 17 of all, the 14th and 15th behind the name.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) * _TICK


def own_private_memory(pid: int) -> int:
    """Return the bytes of private memory of a process, without its children."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return _KIB * sum(
        int(line.split()[1])
        for line in lines
        if line.startswith(("Private_Clean:", "Private_Dirty:"))
    )
