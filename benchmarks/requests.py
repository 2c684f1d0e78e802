"""Requests of clients: `hg` commands, and single requests over HTTP."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.errors import BenchmarkError
from benchmarks.processes import environment

_SECONDS: Final = 1200
_PIECE: Final = 1 << 16
_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 the system's own


def memory_folder() -> str | None:
    """Return a folder in memory for what clients write; None for the usual one, without that.

    A disk gets slower while it is busy with the clones before.
    """
    return str(_SHARED_MEMORY) if _SHARED_MEMORY.is_dir() else None


def mercurial(*arguments: str) -> bytes:
    """Run the installed `hg`, and return what it prints.

    Raises:
        BenchmarkError: It failed.
    """
    command = [sys.executable, "-m", "mercurial", *arguments]
    done = subprocess.run(
        command, env=environment(), capture_output=True, timeout=_SECONDS, check=False
    )
    if done.returncode:
        raise BenchmarkError(f"{' '.join(arguments)}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def read_answer(port: int, target: str) -> int:
    """Ask for something on a connection of its own, and return the bytes of the answer.

    Raises:
        BenchmarkError: It is no good one.
    """
    request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    return read_whole(port, request.encode())


def read_whole(port: int, request: bytes, *, least: int = 1) -> int:
    """Send a request on a connection of its own, and return the bytes of its answer.

    Raises:
        BenchmarkError: It is no good one, or has fewer than ``least`` bytes.
    """
    size, first = 0, b""
    with socket.create_connection(("127.0.0.1", port), _SECONDS) as connection:
        connection.sendall(request)
        while piece := connection.recv(_PIECE):
            first = first or piece
            size += len(piece)
    if b" 200 " not in first[:20] or size < least:
        raise BenchmarkError(f"an answer of {size} bytes: {first[:300]!r}")
    return size
