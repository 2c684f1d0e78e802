"""File systems that a daemon alone sees, and that end with it: small ones, and read-only ones.

The daemon runs in a mount namespace of its own. Root needs nothing else for that; others need a
user namespace, which not every system lets them have: there the tests are skipped.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_ROOT: Final = os.geteuid() == 0
_UNSHARE: Final = ("unshare", "--mount", *(() if _ROOT else ("--map-root-user",)), "--")
_DEADLINE: Final = 30.0
_PIECE: Final = bytes(1 << 16)


@cache
def _problem() -> str:
    """Return why there can be no mounts here; empty if there can."""
    if missing := [name for name in ("unshare", "nsenter", "mount") if shutil.which(name) is None]:
        return f"{missing[0]} is not installed"
    command = (*_UNSHARE, "mount", "-t", "tmpfs", "-o", "size=64k", "wiredaemon", "/mnt")
    tried = subprocess.run(command, capture_output=True, timeout=_DEADLINE, check=False)
    return tried.stderr.decode("utf-8", "replace").strip()


def small_file_systems(*folders: Path, size: int) -> Sequence[str]:
    """Return a command that runs another one with an empty file system in each of the folders.

    Args:
        folders: They exist.
        size: Bytes of each file system.
    """
    mounts = " && ".join(
        f'mount -t tmpfs -o size={size},mode=700 wiredaemon "${number}"'
        for number in range(1, len(folders) + 1)
    )
    return _with_mounts(f"{mounts or 'true'} && shift {len(folders)}", *map(str, folders))


def own_mounts() -> Sequence[str]:
    """Return a command that runs another one where `Mounts` may change what it sees."""
    return _with_mounts("true")


def _with_mounts(script: str, *arguments: str) -> Sequence[str]:
    if problem := _problem():
        pytest.skip(f"no file system can be mounted here: {problem}")
    return (*_UNSHARE, "sh", "-c", f'{script} && exec "$@"', "sh", *arguments)


class Mounts:
    """The file systems of a running process."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def path(self, path: Path) -> Path:
        """Return the path by which this process reaches what the other one sees at ``path``."""
        return path.__class__(f"/proc/{self._pid}/root{path.absolute()}")

    @contextmanager
    def full(self, folder: Path, *, room: int = 0) -> Iterator[None]:
        """Leave no byte free in the file system of a folder, while the context lasts.

        Args:
            folder: The folder, whose file system is small.
            room: Bytes that are left all the same, whole pages of memory.
        """
        ballast = self.path(folder) / "ballast"
        with ballast.open("wb", buffering=0) as file:
            try:
                while file.write(_PIECE):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
            file.truncate(file.tell() - room)
        try:
            yield
        finally:
            ballast.unlink()

    @contextmanager
    def read_only(self, folder: Path) -> Iterator[None]:
        """Let nothing be written below a folder, while the context lasts."""
        self._enter("mount", "--bind", str(folder), str(folder))
        self._enter("mount", "-o", "remount,bind,ro", str(folder))
        try:
            yield
        finally:
            self._enter("mount", "-o", "remount,bind,rw", str(folder))

    def _enter(self, *command: str) -> None:
        user = () if _ROOT else ("--user", "--preserve-credentials")
        subprocess.run(
            ("nsenter", f"--target={self._pid}", "--mount", *user, "--", *command),
            capture_output=True,
            timeout=_DEADLINE,
            check=True,
        )


def without_root_rights() -> Sequence[str]:
    """Return a command that runs another one that permissions of files hold for, root's too."""
    if not _ROOT:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("permissions do not hold for root, and setpriv is not installed")
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", "--")
