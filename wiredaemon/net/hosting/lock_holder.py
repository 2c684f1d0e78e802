"""Tells whether the process that holds the lock of a repository's store still runs.

Mercurial's lock is a symbolic link, or a file where there are none, that names its holder:
``HOST/PIDNAMESPACE:PID`` with the namespace's number in hexadecimal, without it where the system
has none.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

_LONGEST: Final = 1024
"""Bytes of a lock that is a file: names of hosts are shorter."""
_NAMESPACE: Final = Path("/proc/self/ns/pid")
_ZOMBIES: Final = frozenset({b"Z", b"X"})
"""States of processes in ``/proc`` that have ended, and that nobody has asked for yet."""


def is_abandoned(store: bytes) -> bool:
    """Return whether nobody holds a lock, or a process of this machine that has ended.

    Args:
        store: The folder that the lock is in.
    """
    holder = _holder_of(os.path.join(store, b"lock"))  # noqa: PTH118 bytes
    if holder is None:
        return True
    place, _, pid = holder.rpartition(b":")
    # Of another machine or container nothing is known.
    return place == _here() and pid.isdigit() and not _runs(int(pid))


def _holder_of(lock: bytes) -> bytes | None:
    try:
        return os.readlink(lock)  # noqa: PTH115 bytes
    except FileNotFoundError:
        return None
    except OSError:
        pass  # no link
    try:
        with Path(os.fsdecode(lock)).open("rb") as file:
            return file.read(_LONGEST).strip()
    except FileNotFoundError:
        return None
    except OSError:
        return b""


def _here() -> bytes:
    host = socket.gethostname().encode()
    try:
        return b"%s/%x" % (host, _NAMESPACE.stat().st_ino)
    except OSError:
        return host


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # of another user
    try:
        # After the program's name, which is in parentheses and may hold any others.
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        return True
    return state not in _ZOMBIES
