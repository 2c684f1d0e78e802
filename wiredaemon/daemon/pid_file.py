"""Removes pid files of daemons that have ended, where `twistd` would take them for running ones.

`twistd` refuses to start while the process in its pid file exists, whichever it is. After a crash
another program may have the number by now, and in a container the new daemon itself has it, for
each of its starts counts from 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_OURS: Final = (b"wiredaemon", b"twistd")
"""Words of the command line of a daemon."""
_LARGEST: Final = 64
"""Bytes of a pid file that are read."""


def remove_stale_pid_file(path: Path, *, own: int) -> bool:
    """Remove a pid file whose process is no daemon of ours; return whether it was removed.

    A file that is missing, cannot be read or does not hold a number is left to `twistd`, which says
    what is wrong with it.

    Args:
        path: The pid file.
        own: The number of this process.
    """
    try:
        with path.open("rb") as file:
            pid = int(file.read(_LARGEST))
        if pid != own and (pid <= 0 or _may_be_daemon(pid)):
            return False
        path.unlink()
    except (OSError, ValueError):
        return False
    return True


def _may_be_daemon(pid: int) -> bool:
    """Return whether a process may be a daemon of ours: certain only where there is ``/proc``."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        # Gone, which `twistd` finds out by itself, or unknown on this system.
        return True
    return any(word in command for word in _OURS)
