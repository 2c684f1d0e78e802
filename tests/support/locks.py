"""Locks of repositories, and processes that may hold them."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def here() -> str:
    """Return what a lock says of this machine, in front of the colon and the process."""
    host = socket.gethostname()
    namespace = Path("/proc/self/ns/pid")
    return f"{host}/{namespace.stat().st_ino:x}" if namespace.exists() else host


@contextmanager
def running() -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that does nothing, until it is killed or the block ends."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
