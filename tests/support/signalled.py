"""Sends signals to processes and waits until they have taken effect.

After ``os.kill`` a process may go on for a while: it answers, or writes into a pipe that is read
meanwhile. Linux only, as what watches processes is.
"""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path


def kill(pid: int) -> None:
    """Kill a process and return when it has ended; its parent may still have to learn of it."""
    descriptor = os.pidfd_open(pid)
    try:
        os.kill(pid, signal.SIGKILL)
        select.select([descriptor], [], [])
    finally:
        os.close(descriptor)


def stop(pid: int) -> None:
    """Stop a process and return when it stands still; ``SIGCONT`` lets it go on."""
    os.kill(pid, signal.SIGSTOP)
    while state(pid) != "T":
        os.sched_yield()


def state(pid: int) -> str:
    """Return the letter that the system has for the state of a process."""
    return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
